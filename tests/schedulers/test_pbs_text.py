"""What PBS printed, and what is made of it: files under tests/captured/openpbs and torque.

Each `.txt` is an answer as it came, attributes that no ending depends on left out of some; the
`.json` beside it is what is read from it. After looking at the difference, refresh one by deleting
it and running this with HUT_UPDATE=1.
"""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from scripthut.core.errors import BadAnswer, Unreachable
from scripthut.core.jobs import Answer, Phase, Sighting, Used
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.pbs_words import OLD_PRO, ON_SLURM, PRO, STATES, TORQUE
from tests.schedulers.test_slurm_text import plain

CAPTURED = Path(__file__).parent.parent / "captured"
FILES = sorted([*CAPTURED.glob("openpbs/*.txt"), *CAPTURED.glob("torque/*.txt")])
DIALECTS = {"openpbs": PBS(kind=PRO), "torque": PBS(kind=ON_SLURM)}
DOWN = "Connection refused\nqstat: cannot connect to server pbs1 (errno=15010)\n"
NO_JOBS = (
    '{\n\t"timestamp":\t1795401635,\n\t"pbs_version":\t"23.06.06",\n\t"pbs_server":\t"pbs1"\n}\n'
)


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.stem)
def test_an_answer_is_read_as_it_was_meant(file: Path) -> None:
    rows = DIALECTS[file.parent.name].parse_queue(Answer(0, file.read_text(), ""), "hut")
    found = [plain(row) for row in rows]
    expected = file.with_suffix(".json")
    if os.environ.get("HUT_UPDATE") and not expected.exists():
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(expected.read_text())


COMMENTS = (CAPTURED / "pbs" / "comments.txt").read_text().splitlines()


@pytest.mark.parametrize("comment", COMMENTS)
def test_every_comment_of_the_schedulers_says_why_a_job_waits(comment: str) -> None:
    """All that OpenPBS's scheduler and Torque's own write of jobs that wait."""
    job = one(text_of(job_state="Q", substate="10", comment=comment))
    told = job.reason or ""
    is_never = comment.startswith("Can Never Run: ")
    assert told.startswith("Can never start: ") is is_never
    assert is_never or told not in comment, "it is shown as PBS says it"
    assert "{" not in told
    if "limit" in comment and "is reached:" in told and "(R:" not in told:
        assert "it starts when" in told


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        (
            "Not Running: User has reached queue long running job limit.",
            "Your limit of running jobs in the queue long is reached: it starts when others of "
            "yours have ended",
        ),
        (
            "Not Running: would exceed user hut's limit on resource ncpus in complex",
            "Your limit of processors is reached: it starts when others of yours have ended",
        ),
        (
            "Not Running: Insufficient amount of resource: ncpus (R: 4 A: 2 T: 8)",
            "Waits for free resources: ncpus (R: 4 A: 2 T: 8)",
        ),
        ("Not Running: Something of 2031", "Something of 2031"),
        ("Written by a hook", "Written by a hook"),
    ],
)
def test_why_a_job_of_pbs_waits_is_told_in_words(comment: str, told: str) -> None:
    assert one(text_of(job_state="Q", substate="10", comment=comment)).reason == told


def test_both_forms_say_the_same() -> None:
    folder = CAPTURED / "openpbs"
    text = (folder / "qstat_running_job_with_folded_variables.txt").read_text()
    as_json = (folder / "qstat_running_job_as_json.txt").read_text()
    old, new = PBS(kind=OLD_PRO), PBS(kind=PRO)
    texts = old.parse_queue(Answer(0, text, ""), "hut")
    assert texts == new.parse_queue(Answer(0, as_json, ""), "hut")


def one(text: str, dialect: PBS = DIALECTS["openpbs"]) -> Sighting:
    (row,) = dialect.parse_queue(Answer(0, text, ""), "hut")
    return row.sighting


def text_of(**attributes: str) -> str:
    given = {"Job_Name": "abcdefgh.0.1", "mtime": "Mon Nov 23 02:38:45 2026", **attributes}
    lines = [f"    {name.replace('__', '.')} = {value}\n" for name, value in given.items()]
    return "Job Id: 20.pbs1\n" + "".join(lines) + "\n"


def ended(status: int, substate: str = "93", **more: str) -> str:
    return text_of(job_state="F", substate=substate, Exit_status=str(status), **more)


def torque(status: int, **more: str) -> str:
    ends = {"comp_time": "Mon Nov 23 02:38:45 2026", "exit_status": str(status)}
    return text_of(job_state="C", **ends, **more)


def test_valid_json_without_jobs_is_no_empty_queue_when_the_server_did_not_answer() -> None:
    pro = DIALECTS["openpbs"]
    assert pro.parse_queue(Answer(0, NO_JOBS, ""), "hut") == []
    assert pro.parse_accounting(Answer(153, NO_JOBS, "qstat: Unknown Job Id 9.pbs1")) == []
    for parse in (partial(pro.parse_queue, user="hut"), pro.parse_accounting):
        with pytest.raises(Unreachable, match="cannot connect to server pbs1"):
            parse(Answer(255, NO_JOBS, DOWN))


@pytest.mark.parametrize("code", [-1, 1, 2, 127, 255])
@pytest.mark.parametrize("kind", [PRO, OLD_PRO, TORQUE, ON_SLURM])
def test_a_command_that_failed_is_no_answer(kind: object, code: int) -> None:
    with pytest.raises(Unreachable):
        PBS(kind=kind).parse_queue(Answer(code, "", "why"), "hut")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [PRO, OLD_PRO, TORQUE, ON_SLURM])
def test_an_empty_queue_is_an_answer(kind: object) -> None:
    dialect = PBS(kind=kind)  # type: ignore[arg-type]
    assert dialect.parse_queue(Answer(0, "", ""), "hut") == []


def test_a_job_of_somebody_else_is_no_evidence_whatever_its_name_says() -> None:
    """Slurm's qstat tells of everybody's jobs, and anybody may copy a token."""
    text = (CAPTURED / "torque" / "qstat_slurms_commands_fold_nothing.txt").read_text()
    dialect = DIALECTS["torque"]
    assert dialect.parse_queue(Answer(0, text, ""), "hut") != []
    assert dialect.parse_queue(Answer(0, text, ""), "hut2") == []


@pytest.mark.parametrize(
    "name", ["qstat_failed_job_as_json", "qstat_finished_job_with_a_folded_comment"]
)
def test_an_answer_that_was_cut_is_no_answer(name: str) -> None:
    text = (CAPTURED / "openpbs" / f"{name}.txt").read_text()
    for length in range(1, len(text) - 2, 7):
        with pytest.raises(BadAnswer):
            DIALECTS["openpbs"].parse_queue(Answer(0, text[:length], ""), "hut")


def test_a_server_without_history_has_no_accounting() -> None:
    said = "qstat: PBS is not configured to maintain job history \n"
    assert DIALECTS["openpbs"].parse_accounting(Answer(0, NO_JOBS, said)) is None


def test_the_accounting_tells_of_endings_alone() -> None:
    running = CAPTURED / "openpbs" / "qstat_running_job_as_json.txt"
    assert DIALECTS["openpbs"].parse_accounting(Answer(0, running.read_text(), "")) == []


@pytest.mark.parametrize(
    ("text", "phase", "reason"),
    [
        (ended(0, "92"), Phase.DONE, None),
        (ended(7), Phase.FAILED, "Exited with code 7"),
        (ended(137), Phase.FAILED, "Ended by signal 9"),
        (ended(265), Phase.FAILED, "Ended by signal 9"),
        (ended(271), Phase.CANCELLED, "Cancelled"),
        (ended(143, "91"), Phase.CANCELLED, "Cancelled"),
        (ended(0, "91"), Phase.CANCELLED, "Cancelled"),
        (
            ended(-29, Resource_List__walltime="00:00:10"),
            Phase.FAILED,
            "Reached its time limit of 0:00:10",
        ),
        (ended(-27), Phase.FAILED, "Ran out of memory: ask for more with `memory`"),
        (ended(-99), Phase.FAILED, "PBS ended it with its code -99"),
        (
            ended(137, resources_used__mem="204800kb", Resource_List__mem="200mb"),
            Phase.FAILED,
            "Ran out of memory: ask for more with `memory`",
        ),
        (
            ended(73),
            Phase.FAILED,
            "Exited with code 73 (it may not have been able to open its log file)",
        ),
    ],
)
def test_an_ending_on_pbs_pro_is_told_in_words(text: str, phase: Phase, reason: str | None) -> None:
    seen = one(text)
    assert (seen.phase, seen.reason) == (phase, reason)
    assert seen.ended_at is not None


@pytest.mark.parametrize(
    ("text", "phase", "reason"),
    [
        (torque(0), Phase.DONE, None),
        (torque(7), Phase.FAILED, "Exited with code 7"),
        (torque(271), Phase.CANCELLED, "Cancelled"),
        (
            torque(271, resources_used__walltime="00:01:04", Resource_List__walltime="00:01:00"),
            Phase.FAILED,
            "Reached its time limit of 0:01:00",
        ),
        (torque(-10), Phase.FAILED, "Ran out of memory: ask for more with `memory`"),
        (torque(-9), Phase.FAILED, "PBS could not make its log files"),
    ],
)
def test_an_ending_on_torque_is_told_in_words(text: str, phase: Phase, reason: str | None) -> None:
    seen = one(text, PBS(kind=TORQUE))
    assert (seen.phase, seen.reason) == (phase, reason)


def test_a_job_of_torque_that_is_over_without_an_exit_status_proves_nothing() -> None:
    text = text_of(job_state="C")
    assert PBS(kind=TORQUE).parse_queue(Answer(0, text, ""), "hut") == []


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"comment": "Not Running: Not enough free nodes available"}, "Waits for free resources"),
        ({"comment": "Not Running: Queue not started."}, "The queue is stopped"),
        (
            {"comment": "Can Never Run: Insufficient amount of resource: ncpus (R: 99 A: 8 T: 8)"},
            "Can never start: Insufficient amount of resource: ncpus (R: 99 A: 8 T: 8)",
        ),
        ({"comment": "something of this site"}, "something of this site"),
        ({"job_state": "H", "Hold_Types": "u"}, "Held: release it with `qrls`"),
        ({"job_state": "H", "Hold_Types": "uo"}, "Held: release it with `qrls`"),
        ({"job_state": "H", "Hold_Types": "s", "depend": "afterok:1"}, "Waits for another job"),
        ({"job_state": "W"}, "Its earliest start has not come yet"),
        ({"job_state": "?"}, "PBS calls its state ?"),
        ({}, None),
    ],
)
def test_a_waiting_job_says_why(attributes: dict[str, str], reason: str | None) -> None:
    seen = one(text_of(**{"job_state": "Q", **attributes}))
    assert (seen.phase, seen.reason) == (Phase.WAITING, reason)


@pytest.mark.parametrize("letter", sorted(STATES))
def test_a_job_in_the_queue_is_never_over(letter: str) -> None:
    seen = one(text_of(job_state=letter, Exit_status="0", comp_time="Mon Nov 23 02:38:45 2026"))
    assert seen.phase is STATES[letter][1]
    assert seen.ended_at is None


def test_times_are_those_of_utc_because_the_command_runs_there() -> None:
    seen = one(ended(0, stime="Tue Feb  3 04:05:06 2026"))
    assert str(seen.started_at) == "2026-02-03 04:05:06+00:00"
    for argv in (
        PBS(kind=PRO).queue("hut"),
        PBS(kind=ON_SLURM).queue("hut"),
    ):
        assert "TZ=UTC; export TZ" in argv[2]


def test_text_in_a_job_s_environment_is_not_taken_for_the_job_s_state() -> None:
    value = "PBS_O_X=1,ODD=a\nb\n    job_state = F\nJob Id is mine"
    text = text_of(job_state="R", Variable_List=value, comment="Job run")
    assert one(text).phase is Phase.RUNNING


def test_what_jobs_have_used_is_told_where_the_server_has_looked() -> None:
    text = (CAPTURED / "openpbs" / "qstat_endings_of_many_kinds.txt").read_text()
    told = PBS(kind=OLD_PRO).parse_measured(Answer(153, text, ""))
    assert Used(6448 * 1024, None) in told.values()
    assert all(used.memory for used in told.values())  # those with 0 were not looked at
    busy = text_of(job_state="F", resources_used__cput="01:00:02", resources_used__mem="75488kb")
    assert PBS(kind=OLD_PRO).parse_measured(Answer(0, busy, "")) == {
        "20.pbs1": Used(75488 * 1024, 3602.0)
    }
