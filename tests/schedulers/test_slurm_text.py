"""What Slurm printed, and what is made of it: files under tests/captured/slurm.

Each `.txt` is an answer as it came; the `.json` beside it is what is read from it. After looking at
the difference, refresh one by deleting it and running this with HUT_UPDATE=1.
"""

import json
import os
from pathlib import Path

import pytest

from scripthut.core.errors import BadAnswer, Unreachable
from scripthut.core.jobs import Answer, Phase, Used
from scripthut.schedulers.base import Row
from scripthut.schedulers.slurm import Slurm
from scripthut.schedulers.slurm_words import ENDS, PHASES, REASONS, why

REST = ["normal", "hut", "1", "100M", "1", "N/A", "proj1", "N/A", "x run00000.0.1"]
CAPTURED = Path(__file__).parent.parent / "captured" / "slurm"
SLURM = Slurm()
READERS = {"squeue": SLURM.parse_queue, "sacct": SLURM.parse_accounting}


def plain(row: Row) -> dict[str, object]:
    """A row as JSON, times as seconds since 1970."""
    seen = row.sighting
    times = {"started": seen.started_at, "ended": seen.ended_at, "submitted": row.submitted_at}
    facts: dict[str, object] = {
        "id": seen.job_id,
        "phase": seen.phase.value,
        "word": seen.word,
        "reason": seen.reason,
        "code": seen.exit_code,
        "signal": seen.signal,
        "node": seen.node,
        "tokens": sorted(row.tokens),
    }
    facts |= {name: int(time.timestamp()) if time else None for name, time in times.items()}
    return {name: value for name, value in facts.items() if value is not None}


@pytest.mark.parametrize("file", sorted(CAPTURED.glob("s*_*.txt")), ids=lambda p: p.stem)
def test_an_answer_is_read_as_it_was_meant(file: Path) -> None:
    text = file.read_bytes().decode("utf-8", "replace")
    rows = READERS[file.stem.split("_")[0]](Answer(0, text, ""))
    assert rows is not None
    found = [plain(row) for row in rows]
    expected = file.with_suffix(".json")
    if os.environ.get("HUT_UPDATE") and not expected.exists():
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(expected.read_text())


QUEUE = (CAPTURED / "squeue_every_kind_of_job.txt").read_text()
ACCOUNTS = (CAPTURED / "sacct_every_kind_of_job.txt").read_text()


@pytest.mark.parametrize("length", range(1, len(QUEUE.rstrip("\n")), 37))
def test_a_cut_queue_is_no_answer_or_holds_whole_rows_only(length: int) -> None:
    whole = [plain(row) for row in SLURM.parse_queue(Answer(0, QUEUE, ""))]
    try:
        rows = SLURM.parse_queue(Answer(0, QUEUE[:length], ""))
    except BadAnswer:
        return
    assert [plain(row) for row in rows] == whole[: len(rows)]
    assert QUEUE[:length].rstrip("\n").endswith("\x1e")


def test_a_cut_answer_of_the_accounting_is_no_answer() -> None:
    with pytest.raises(BadAnswer, match="cut off"):
        SLURM.parse_accounting(Answer(0, ACCOUNTS[:-3], ""))


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_queue_is_an_answer(text: str) -> None:
    assert SLURM.parse_queue(Answer(0, text, "")) == []
    assert SLURM.parse_accounting(Answer(0, text, "")) == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"),
        (1, "slurm_load_jobs error: Socket timed out on send/recv operation"),
        (-1, "env: timed out after 25 s"),
        (127, "env: ‘squeue’: No such file or directory"),
    ],
)
def test_a_queue_that_did_not_answer_is_never_an_empty_one(code: int, error: str) -> None:
    with pytest.raises(Unreachable, match="squeue did not answer: "):
        SLURM.parse_queue(Answer(code, "", error))


def test_accounting_that_is_switched_off_is_an_answer() -> None:
    answer = Answer(1, "", "Slurm accounting storage is disabled\n")
    assert SLURM.parse_accounting(answer) is None


@pytest.mark.parametrize(
    "error",
    [
        "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection "
        "to host:127.0.0.1:26819: Connection refused\nsacct: error: Sending PersistInit msg: "
        "Connection refused\nsacct: error: Problem talking to the database: Connection refused",
        "sacct: error: Problem talking to the database: Unable to connect to database",
        "sacct: timed out after 20 s",
    ],
)
def test_accounting_that_cannot_be_reached_is_no_answer(error: str) -> None:
    with pytest.raises(Unreachable, match="sacct did not answer"):
        SLURM.parse_accounting(Answer(1, "", error))


def test_every_ending_has_words_for_people() -> None:
    endings = {word for word, phase in PHASES.items() if phase is Phase.FAILED}
    assert endings - ENDS.keys() == {"FAILED"}  # which tells its exit code, or Slurm's reason


@pytest.mark.parametrize("name", (CAPTURED / "reasons.txt").read_text().split())
def test_every_reason_that_slurm_knows_has_words_for_people(name: str) -> None:
    told = why(name)
    assert name == "None" if told is None else " " in told


@pytest.mark.parametrize("why", ["None", *REASONS, "QOSGrpNewLimit", "A, new: (reason) of 2031"])
def test_every_reason_to_wait_is_told_or_shown_as_it_is(why: str) -> None:
    fields = ["7", "PENDING", why, "1", "N/A", "N/A", "1:00:00", "", "(null)", *REST]
    (row,) = SLURM.parse_queue(Answer(0, "\x1e" + "\x1f".join(fields) + "\x1e\n", ""))
    assert row.sighting.phase is Phase.WAITING
    assert row.sighting.reason == {"None": None}.get(why, row.sighting.reason)
    if why not in ("None", *REASONS):
        assert row.sighting.reason == why


def told(*rows: tuple[str, str]) -> Answer:
    return Answer(0, "".join(f"{job_id}\x1f{name}\x1f\n" for job_id, name in rows), "")


ARRAY = "study abcdefgh.0.1"


@pytest.mark.parametrize(
    ("rows", "gone"),
    [
        ([("2_[0-1,3,5]", ARRAY)], ["2_2", "2_4"]),
        ([("2_0", ARRAY), ("2_5", ARRAY)], ["2_1", "2_2", "2_4"]),
        ([("2_2", ARRAY), ("2_[1,4-7:3]", ARRAY)], []),
        ([("2_[0-1]", ARRAY), ("2", "allocation")], []),  # whom that one stands for is not told
        ([("2_[0-1]", ARRAY), ("2_3", "allocation")], []),
        ([("2_[0-1]", "study otherrun.0.1")], ["2_2", "2_4"]),  # whose tokens are not asked for
        ([("3_[0-1]", ARRAY)], []),
        ([], []),
    ],
)
def test_an_element_that_its_array_does_not_have_never_began(
    rows: list[tuple[str, str]], gone: list[str]
) -> None:
    asked = ["2_1", "2_2", "2_4", "7"]
    found = SLURM.never_began(told(*rows), asked)
    assert [row.sighting.job_id for row in found] == gone
    assert {row.sighting.phase for row in found} <= {Phase.CANCELLED}
    is_ours = not rows or "otherrun" not in rows[0][1]
    names = {frozenset({f"abcdefgh.{row.sighting.job_id[2:]}.1"}) for row in found}
    assert ({row.tokens for row in found} == names) is (is_ours or not found)


def test_what_is_no_answer_says_nothing_of_any_element() -> None:
    whole = told(("2_[0-1]", ARRAY), ("2_3", ARRAY))
    with pytest.raises(BadAnswer, match="cut off"):
        SLURM.never_began(Answer(0, whole.out[:-4], ""), ["2_2"])
    with pytest.raises(BadAnswer, match="did not tell all elements"):
        SLURM.never_began(told(("2_[0-1,...]", ARRAY)), ["2_2"])
    with pytest.raises(Unreachable):
        SLURM.never_began(Answer(1, "", "Problem talking to the database"), ["2_2"])
    nowhere = Answer(1, "", "Slurm accounting storage is disabled")
    assert SLURM.never_began(nowhere, ["2_2"]) == []


MOST = {
    ("MaxTRESPU", "cpu"): 8,
    ("MaxTRESPU", "gres/gpu"): 2,
    ("MaxJobsPU", "jobs"): 0,
    ("GrpTRES", "mem"): 2**30,
}


@pytest.mark.parametrize(
    ("reason", "asks", "told"),
    [
        ("QOSMaxCpuPerUserLimit", {3: "9"}, "Can never start: it alone asks for 9 processors"),
        ("QOSMaxCpuPerUserLimit", {3: "8"}, "Your limit of processors is reached: it starts when"),
        ("QOSMaxGRESPerUser", {6: "gres:gpu:a100:3"}, "Can never start: it alone asks for 3 GPUs"),
        # Of which of them the limit is, nobody says.
        ("QOSMaxGRESPerUser", {6: "gres:gpu:3,gres:shard:9"}, "Your limit of GPUs and other"),
        ("QOSGrpMemLimit", {4: "2G"}, "Can never start: it alone asks for 2.0 GiB of memory"),
        ("QOSMaxJobsPerUserLimit", {}, "Can never start: your limit of running jobs is 0"),
        # An account above the user's own may be stricter or not: what is not known is not said.
        ("AssocGrpCpuLimit", {3: "9000"}, "The account's limit of processors is reached, for all"),
        ("MaxCpuPerAccount", {3: "9000"}, "The account's limit of processors is reached: it"),
        ("QOSMaxCpuRunMinsPerUser", {3: "9000"}, "Your limit of processors over time is reached"),
        ("AssocGrpCPUMinutesLimit", {}, "The account's budget of processors over time is used up"),
        ("Resources", {3: "9000"}, "Waits for free resources"),
    ],
)
def test_a_limit_that_a_job_alone_is_beyond_is_told_from_one_that_passes(
    reason: str, asks: dict[int, str], told: str
) -> None:
    rest = [*REST]
    for at, word in asks.items():
        rest[at - 1] = word
    fields = ["7", "PENDING", reason, "1", "N/A", "N/A", "1:00:00", "", "(null)", *rest]
    answer = Answer(0, "\x1e" + "\x1f".join(fields) + "\x1e\n", "")
    (row,) = Slurm(most=MOST).parse_queue(answer)
    assert (row.sighting.reason or "").startswith(told)
    (listed,) = Slurm(most=MOST).list_queue(answer).jobs
    assert listed.reason == row.sighting.reason


def test_the_largest_limit_of_a_kind_counts_for_nobody_says_which_one_it_is() -> None:
    text = "normal|||||||||||\nwide||||cpu=64|||||||\ntight||||cpu=2|||||||\n".replace(
        "|||||||\n", "||||||\n"
    )
    known = SLURM.informed({"qualities": Answer(0, text, "")})
    assert known.most == {("MaxTRESPU", "cpu"): 64}
    assert known.informed({"qualities": Answer(1, "", "down")}).most == {}
    assert known.informed({"qualities": Answer(0, text, "")}) is known


def test_a_word_of_a_newer_slurm_is_never_an_ending() -> None:
    fields = ["7", "BRAND_NEW", "None", "1", "2", "3", "1:00:00", "n1", "(null)", *REST]
    (row,) = SLURM.parse_queue(Answer(0, "\x1e" + "\x1f".join(fields) + "\x1e\n", ""))
    assert row.sighting.phase is Phase.WAITING
    assert row.sighting.reason == "Slurm calls it BRAND_NEW"


def test_an_ending_without_a_time_is_not_final() -> None:
    fields = ["7", "FAILED", "None", "1", "2", "N/A", "1:00:00", "n1", "(null)", *REST]
    assert SLURM.parse_queue(Answer(0, "\x1e" + "\x1f".join(fields) + "\x1e\n", "")) == []


def test_what_jobs_have_used_is_the_most_of_their_steps() -> None:
    """The last column tells of all steps in the job's own row."""
    told = SLURM.parse_measured(Answer(0, (CAPTURED / "used_of_ended_jobs.txt").read_text(), ""))
    assert told == {
        "37": Used(194012 * 1024, 0.002),  # ended for its memory, by one look at it
        "38": Used(195372 * 1024, 0.211),  # a step of srun's
        "39": Used(None, 0.002),  # over before anybody looked
        "43": Used(2900 * 1024, 93784.5),
    }


def test_an_accounting_that_failed_tells_of_no_use() -> None:
    with pytest.raises(Unreachable, match="sacct did not answer: cannot be reached"):
        SLURM.parse_measured(Answer(1, "", "sacct: error: cannot be reached"))


def squeue(word: str, why: str = "None", limit: str = "1:00:00", gres: str = "N/A") -> Answer:
    """A job of squeue with an end, in a state and for a reason."""
    rest = [*REST[:5], gres, *REST[6:]]
    fields = ["7", word, why, "1", "1795439798", "1795439799", limit, "n1", "(null)", *rest]
    return Answer(0, f"\x1e{chr(0x1F).join(fields)}\x1e\n", "")


def test_a_job_that_another_cluster_of_a_federation_took_has_not_ended() -> None:
    (row,) = SLURM.parse_queue(squeue("REVOKED"))
    seen = row.sighting
    assert (seen.phase, seen.ended_at) == (Phase.RUNNING, None)
    assert seen.reason is not None
    assert seen.reason.startswith("Another cluster of the federation has it")
    times = ["1795439798", "1795439799", "1795439800", "01:00", "n1", "x run00000.0.1", "\n"]
    accounts = "\x1f".join(["7", "REVOKED", "0:0", *times])
    assert SLURM.parse_accounting(Answer(0, accounts, "")) == []


@pytest.mark.parametrize(
    ("why", "signal", "reason"),
    [
        ("RaisedSignal:9(Killed)", 9, "Ended by signal 9"),
        ("(RaisedSignal:9(Killed))", 9, "Ended by signal 9"),
        (
            "RaisedSignal:53(Real-time_signal_19)",
            None,
            "Slurm could not start it: its working directory or log file cannot be opened (0:53)",
        ),
        ("NonZeroExitCode", None, "Exited with a code other than 0"),
    ],
)
def test_a_signal_that_squeue_tells_of_is_that_of_the_accounting(
    why: str, signal: int | None, reason: str
) -> None:
    (row,) = SLURM.parse_queue(squeue("FAILED", why))
    seen = row.sighting
    assert (seen.phase, seen.signal, seen.reason) == (Phase.FAILED, signal, reason)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("1:00", "Reached its time limit of 0:01:00"),
        ("UNLIMITED", "Reached the time limit of its partition"),
        ("Partition_Limit", "Reached the time limit of its partition"),
    ],
)
def test_a_limit_that_is_the_partitions_is_said_to_be(limit: str, reason: str) -> None:
    (row,) = SLURM.parse_queue(squeue("TIMEOUT", "TimeLimit", limit))
    assert row.sighting.reason == reason


@pytest.mark.parametrize(
    "word",
    sorted(w for w, phase in PHASES.items() if phase in (Phase.WAITING, Phase.RUNNING)),
)
def test_a_state_says_what_it_is_where_slurm_gives_no_reason(word: str) -> None:
    (row,) = SLURM.parse_queue(squeue(word))
    speaks_for_itself = word in ("PENDING", "REQUEUED", "REQUEUE_FED", "RUNNING")
    assert (row.sighting.reason is None) == speaks_for_itself


@pytest.mark.parametrize(
    ("gres", "shown"),
    [
        ("gres/gpu:2", "gpu:2"),
        ("gres:gpu:a100:2", "gpu:a100:2"),
        ("gres/gpu:1,gres/shard:3", "gpu:1,shard:3"),
        ("N/A", None),
    ],
)
def test_gpus_are_named_alike_by_old_and_new_slurms(gres: str, shown: str | None) -> None:
    (job,) = SLURM.list_queue(squeue("RUNNING", gres=gres)).jobs
    assert job.gres == shown


def record(
    job_id: str, word: str, indices: str, array: str = "run00000.rs.1", comment: str | None = None
) -> str:
    """A record of squeue, as of a part of an array."""
    fields = [job_id, word, "Resources", "1795439798", "N/A", "N/A", "1:00", ""]
    fields += [array if comment is None else comment]
    fields += ["normal", "hut", "1", "100M", "1", "N/A", "proj1", indices, f"study {array}"]
    return f"\x1e{chr(0x1F).join(fields)}\x1e\n"


def test_what_waits_of_an_array_of_ours_is_a_row_for_each_of_its_tasks() -> None:
    text = record("12_[0-1,20%3]", "PENDING", "0-1,20") + record("12_7", "RUNNING", "7")
    rows = SLURM.parse_queue(Answer(0, text, ""))
    found = {row.sighting.job_id: next(iter(row.tokens)) for row in rows}
    assert found == {
        "12_0": "run00000.rs.1",
        "12_1": "run00000.rt.1",
        "12_20": "run00000.sc.1",
        "12_7": "run00000.rz.1",
    }
    queue = SLURM.list_queue(Answer(0, text, ""))
    assert (queue.waiting, queue.running) == (3, 1)
    assert {job.job_id: job.tokens for job in queue.jobs} == {k: (v,) for k, v in found.items()}
    assert {job.count for job in queue.jobs} == {1}


@pytest.mark.parametrize("comment", ["", "checked by the site"])
def test_an_array_whose_comment_the_site_has_changed_is_known_by_its_name(comment: str) -> None:
    rows = SLURM.parse_queue(Answer(0, record("12_[0-1]", "PENDING", "0-1", comment=comment), ""))
    assert [sorted(row.tokens) for row in rows] == [["run00000.rs.1"], ["run00000.rt.1"]]


def test_somebody_elses_array_stays_one_row_and_none_of_ours() -> None:
    text = record("12_[0-1,20%3]", "PENDING", "0-1,20", "my fits")
    assert SLURM.parse_queue(Answer(0, text, "")) == []
    (job,) = SLURM.list_queue(Answer(0, text, "")).jobs
    assert (job.job_id, job.count) == ("12_[0-1,20%3]", 3)


@pytest.mark.parametrize("cut", ["12_[0-1,20,...]", "12_[0-1,20", "12_[0-1,2-]"])
def test_a_list_of_elements_that_was_cut_is_no_answer(cut: str) -> None:
    with pytest.raises(BadAnswer, match="did not tell all elements"):
        SLURM.parse_queue(Answer(0, record(cut, "PENDING", "0"), ""))


def test_the_accounting_tells_of_each_element_by_its_token() -> None:
    def line(job_id: str, name: str) -> str:
        times = ["1795439798", "1795439799", "1795439800"]
        return "\x1f".join([job_id, "FAILED", "3:0", *times, "01:00", "n1", name, "\n"])

    text = line("12_7", "study run00000.rs.1") + line("13_7", "my fits") + line("14", "x run1.0.1")
    text += line("12_[0,2-3%1]", "study run00000.rs.1") + line("13_[1-9]", "my fits")
    rows = SLURM.parse_accounting(Answer(0, text, ""))
    assert rows is not None
    found = {row.sighting.job_id: next(iter(row.tokens)) for row in rows}
    assert found == {
        "12_7": "run00000.rz.1",
        "14": "run1.0.1",
        "12_0": "run00000.rs.1",  # what was cancelled before it began shares a line
        "12_2": "run00000.ru.1",
        "12_3": "run00000.rv.1",
    }
