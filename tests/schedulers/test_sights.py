"""What schedulers tell people of everybody's jobs and of ended ones, cut as on the login node.

The texts under tests/captured/*/sights are as the commands printed them.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripthut.backends.sent.cut import cut
from scripthut.core.jobs import Answer, Phase
from scripthut.core.sights import Crowd, Ended
from scripthut.schedulers.base import Question, Sights
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.pbs_words import OLD_PRO, ON_SLURM, PRO, TORQUE
from scripthut.schedulers.slurm import Slurm

CAPTURED = Path(__file__).parent.parent / "captured"
NOW = datetime(2026, 11, 27, 20, tzinfo=UTC)
SLURM = Slurm().sights
DOWN = "squeue: error: Unable to contact slurm controller"


def answers(asked: Mapping[str, Question], text: str, **others: Answer) -> dict[str, Answer]:
    how = asked["jobs"].cut
    told = cut(text.encode(), asdict(how)).decode() if how else text
    return {"jobs": Answer(0, told, ""), **others}


def crowd_of(sights: Sights, text: str, user: str = "hut", **others: Answer) -> Crowd:
    return sights.parse_crowd(answers(sights.crowd(user), text, **others), user)


def ended_of(sights: Sights, text: str, user: str = "hut") -> Ended:
    return sights.parse_ended(answers(sights.ended(user, NOW), text), user)


def captured(name: str) -> str:
    return (CAPTURED / name).read_text()


def held(crowd: Crowd) -> dict[str, tuple[int, int, int]]:
    return {one.user: (one.running, one.cpus, one.waiting) for one in crowd.holders}


SQUEUE = captured("slurm/sights/squeue_of_everybody.txt")


def test_squeue_tells_who_holds_what_and_who_waits_before() -> None:
    crowd = crowd_of(SLURM, SQUEUE)
    assert [job.job_id for job in crowd.jobs] == ["4", "1", "2_[0-2]", "3", "5"]
    assert held(crowd) == {"hut2": (2, 9, 4), "hut": (0, 0, 1)}
    assert crowd.waiting == {
        "Waits for free resources": 3,
        "Jobs of higher priority are before it": 1,
        "Held: release it with `scontrol release`": 1,
    }
    assert [(one.partition, one.jobs, one.users) for one in crowd.before] == [("normal", 3, 1)]
    waiting = crowd.jobs[2]
    assert (waiting.owner, waiting.name, waiting.count) == ("hut2", "sweep|of them", 3)
    assert (crowd.running, crowd.queued, crowd.users, crowd.more) == (2, 5, 2, 0)


def test_no_token_is_read_from_others_jobs() -> None:
    crowd = crowd_of(SLURM, SQUEUE)
    named = next(job for job in crowd.jobs if job.name.endswith("run00000.0.1"))
    assert named.tokens == ()
    for kind, name in (
        (ON_SLURM, "torque/sights/qstat_of_everybody.txt"),
        (PRO, "openpbs/sights/qstat_a_wide.txt"),
    ):
        assert all(job.tokens == () for job in crowd_of(PBS(kind=kind).sights, captured(name)).jobs)


HIDES = Answer(0, "PrivateData             = accounts,jobs,usage\n", "")
OPEN = Answer(0, "PrivateData             = none\n", "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            HIDES,
            "This cluster shows nobody the jobs of others (PrivateData=jobs): you see your own.",
        ),
        (OPEN, "Nobody else has a job in the queue."),
        (Answer(1, "", "scontrol: error"), "Nobody else has a job in the queue."),
    ],
)
def test_a_queue_without_others_says_why(answer: Answer, said: str) -> None:
    only = "\x1e".join(record for record in SQUEUE.split("\x1e") if "\x1fhut2\x1f" not in record)
    assert crowd_of(SLURM, only, hides=answer).note == said
    assert crowd_of(SLURM, SQUEUE, hides=answer).note is None


def test_a_command_that_is_refused_is_told_of_and_breaks_nothing() -> None:
    crowd = SLURM.parse_crowd({"jobs": Answer(1, "", DOWN)}, "hut")
    assert crowd.note == (
        "Others' jobs cannot be listed: squeue says: Unable to contact slurm controller"
    )
    ended = SLURM.parse_ended({"jobs": Answer(-1, "", "sacct: timed out after 15 s")}, "hut")
    assert not ended.is_told
    assert "timed out after 15 s" in str(ended.note)
    assert "cannot be listed" in str(PBS(kind=PRO).sights.parse_crowd({}, "hut").note)
    assert PBS(kind=PRO).sights.parse_ended({}, "hut").jobs == ()


def test_sacct_tells_how_jobs_ended_and_not_of_those_that_live() -> None:
    ended = ended_of(SLURM, captured("slurm/sights/sacct_of_a_day.txt"))
    told = {job.name: (job.phase, job.exit_code, job.reason, job.elapsed) for job in ended.jobs}
    assert told == {
        "bad": (Phase.FAILED, 3, "Exited with code 3", 0.0),
        "good": (Phase.DONE, 0, None, 0.0),
    }
    assert (ended.is_told, ended.note, ended.more) == (True, None, 0)


def sacct(job_id: str, state: str, end: str, name: str = "x") -> str:
    start = "1795807900"
    fields = [job_id, "hut", state, "0:0", "1795807800", start, end, "01:00:00", "normal", "2"]
    return "\x1f".join([*fields, "2Gn", "1", "n1", "proj1", name]) + "\n"


def test_the_last_to_end_come_first_and_only_so_many() -> None:
    text = "".join(sacct(str(n), "COMPLETED", str(1795807900 + n)) for n in range(1, 700))
    ended = ended_of(SLURM, text)
    assert [job.job_id for job in ended.jobs[:2]] == ["699", "698"]
    assert (len(ended.jobs), ended.more) == (500, 199)


def test_an_ending_is_in_words_and_its_token_leads_to_its_task() -> None:
    text = sacct("7", "CANCELLED by 1001", "1795807960", "fit run00000.0.1")
    (job,) = ended_of(SLURM, text + sacct("8", "RUNNING", "Unknown")).jobs
    assert (job.phase, job.reason, job.elapsed) == (Phase.CANCELLED, "Cancelled", 60.0)
    assert job.memory == 2 * 2**30
    assert "run00000.0.1" in job.tokens


def test_an_element_that_ended_leads_to_its_own_task() -> None:
    ids = ("7_5", "7_36", "7_[40-41]")
    text = "".join(sacct(job_id, "FAILED", "1795807960", "fit run00000.0.1") for job_id in ids)
    found = {job.job_id: (job.tokens, job.count) for job in ended_of(SLURM, text).jobs}
    assert found == {
        "7_5": (("run00000.5.1",), 1),
        "7_36": (("run00000.10.1",), 1),
        "7_[40-41]": ((), 2),
    }
    (other,) = ended_of(SLURM, sacct("8_5", "FAILED", "1795807960", "my simulation")).jobs
    assert other.tokens == ("simulation",)


def test_where_no_accounts_are_kept_a_sentence_says_so() -> None:
    off = Answer(1, "", "Slurm accounting storage is disabled\n")
    assert SLURM.parse_ended({"jobs": off}, "hut") == Ended(
        is_told=False, note="This cluster keeps no accounts of jobs that ended."
    )


def test_qstat_s_table_tells_the_same() -> None:
    crowd = crowd_of(PBS(kind=PRO).sights, captured("openpbs/sights/qstat_a_wide.txt"))
    by_id = {job.job_id: job for job in crowd.jobs}
    assert (by_id["0.pbs1"].cpus, by_id["0.pbs1"].memory) == (2, 200 * 2**20)
    assert by_id["0.pbs1"].time_limit == 300
    assert by_id["9.pbs1"].reason == "Held, or waits for another job"
    assert by_id["4[].pbs1"].phase is Phase.RUNNING
    assert crowd.waiting["Waits for free resources"] == 7
    assert crowd.note == "Nobody else has a job in the queue."


def test_slurm_s_qstat_tells_of_names_with_blanks() -> None:
    """And of what has ended, which is left out."""
    crowd = crowd_of(PBS(kind=ON_SLURM).sights, captured("torque/sights/qstat_of_everybody.txt"))
    assert held(crowd) == {"hut2": (2, 9, 2), "hut": (0, 0, 1)}
    assert {job.name for job in crowd.jobs} >= {"gpu run00000.0.1", "sweep|of them"}
    assert {job.job_id for job in crowd.jobs} == {"1", "2", "3", "4", "5"}


def qstat(width: int, *users: str) -> str:
    """A table of one job each, its column of users so wide."""
    dashes = " ".join(["------", "-" * width, *["-----"] * 9])
    rows = [
        f"{n}.pbs1 {name}  workq  x  --  1  4  1gb  01:00  R  00:10" for n, name in enumerate(users)
    ]
    return "\n".join(["Job ID", dashes, *rows, ""])


@pytest.mark.parametrize(
    ("width", "name", "is_own"),
    [
        (8, "maximil*", True),
        (8, "maximili", True),  # a column that cuts without a sign
        (8, "maximus*", False),
        (8, "max", False),
        (15, "maximilian", True),
        (15, "maximili", False),  # a shorter name, and whole
        (15, "maximilia", False),
    ],
)
def test_a_name_that_its_column_cut_is_the_users_own_and_a_whole_one_is_not(
    width: int, name: str, is_own: bool
) -> None:
    crowd = crowd_of(PBS(kind=OLD_PRO).sights, qstat(width, name, "max"), user="maximilian")
    owner = "maximilian" if is_own else name
    assert [job.owner for job in crowd.jobs] == [owner, "max"]
    assert {one.user for one in crowd.holdings} == {owner, "max"}
    assert crowd.users == len({owner, "max"})


def test_a_table_that_does_not_say_how_wide_it_is_cuts_with_a_star_alone() -> None:
    text = qstat(8, "maximil*", "maximili").replace(" -----", "", 1)
    crowd = crowd_of(PBS(kind=OLD_PRO).sights, text, user="maximilian")
    assert [job.owner for job in crowd.jobs] == ["maximilian", "maximili"]


def test_a_server_that_hides_others_jobs_is_said_to() -> None:
    text = captured("openpbs/sights/qstat_a.txt")
    for said, told in (("    query_other_jobs = True\n", False), ("", True)):
        note = crowd_of(PBS(kind=OLD_PRO).sights, text, hides=Answer(0, said, "")).note
        assert ("query_other_jobs is not set" in str(note)) is told


def test_a_history_tells_how_jobs_ended() -> None:
    ended = ended_of(PBS(kind=OLD_PRO).sights, captured("openpbs/qstat_endings_of_many_kinds.txt"))
    phases = {job.phase for job in ended.jobs}
    assert phases == {Phase.FAILED, Phase.CANCELLED}
    times = [job.ended_at for job in ended.jobs if job.ended_at]
    assert times == sorted(times, reverse=True)
    assert ended.is_told


def test_torque_forgets_and_a_server_may_keep_no_history() -> None:
    torque = PBS(kind=TORQUE)
    assert torque.sights.ended("hut", NOW)["jobs"].argv == torque.queue("hut")
    assert "Torque forgets" in str(ended_of(torque.sights, "").note)
    said = Answer(0, "", "qstat: PBS is not configured to maintain job history \n")
    ended = PBS(kind=PRO).sights.parse_ended({"jobs": said}, "hut")
    assert ended.note == "This server keeps no history of jobs that ended."
    assert not ended.is_told
