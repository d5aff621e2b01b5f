"""A small PBS that stops answering, forgets, keeps jobs waiting; Slurm's commands for PBS."""

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripthut.backends import node
from scripthut.backends.asking import Node, Ring
from scripthut.backends.cluster import UNHEARD, ClusterBackend
from scripthut.core import paths
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Accepted, Job, Observation, OutputLimits, Phase, Rejected, Watch
from scripthut.core.sights import Crowd, Ended
from scripthut.core.survey import Wish
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.pbs_words import ON_SLURM
from scripthut.transports.local import Local
from tests.backends.conftest import LIMITS, Place, note_of, ssh_to
from tests.cluster.fixtures import Cluster
from tests.cluster.pbs.small import StandIn, start_pbs

KILL_ALL = "kill -9 $PPID $$"  # the frame and the command: no note is left


@dataclass
class Clock:
    """Seconds that pass when they are told to."""

    now: float = 0.0
    opened: list[ClusterBackend] = field(default_factory=list)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["pro", "old", "torque"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pbs(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "America/New_York")
    small = start_pbs(kind, tmp_path / "pbs", monkeypatch)
    yield small
    small.end()


def told_of(place: Place) -> tuple[Crowd, Ended]:
    _, told = place.backend.survey([], Wish(crowd=True, ended=True))
    assert told.crowd is not None
    assert told.ended is not None
    return told.crowd, told.ended


@pytest.fixture
def there(pbs: StandIn, clock: Clock) -> Iterator[Place]:
    def make(limits: OutputLimits) -> ClusterBackend:
        clock.opened.append(ClusterBackend("small", PBS(), Local(), limits, lambda: clock.now))
        return clock.opened[-1]

    yield Place(make(LIMITS), make)
    for backend in clock.opened:
        backend.close()


def asked(job: Job, **more: object) -> Job:
    return replace(job, resources=replace(job.resources, **more))  # type: ignore[arg-type]


def has_ended(seen: Observation, job: Job) -> bool:
    return job.token in seen.sightings and seen.sightings[job.token].ended_at is not None


def test_everybody_s_jobs_and_those_that_ended_come_with_a_look(there: Place, kind: str) -> None:
    good, bad, long = there.submit(
        there.job(0, "true"), there.job(1, "exit 3"), there.job(2, "sleep 300")
    )
    there.until_ended([good, bad])
    there.until_running([long])
    crowd, ended = told_of(there)
    assert [(job.name == good.token, job.phase) for job in crowd.jobs] == [(False, Phase.RUNNING)]
    assert crowd.jobs[0].cpus == long.resources.cpus
    assert crowd.note == "Nobody else has a job in the queue."
    codes = {job.tokens[0]: (job.phase, job.exit_code) for job in ended.jobs}
    assert codes == {good.token: (Phase.DONE, 0), bad.token: (Phase.FAILED, 3)}
    assert ended.is_told is (kind != "torque")


def test_a_server_that_is_down_is_no_failure_of_what_people_see(there: Place, pbs: StandIn) -> None:
    told_of(there)
    pbs.fault("down")
    crowd, ended = told_of(there)
    assert "cannot connect to server" in str(crowd.note)
    assert "cannot connect to server" in str(ended.note)


def test_a_server_that_is_down_gives_no_answer_at_all(there: Place, pbs: StandIn) -> None:
    job, running = there.submit(there.job(0, "exit 3"), there.job(1, "sleep 300"))
    there.until_ended([job])
    there.until_running([running])
    pbs.fault("down")
    with pytest.raises(Unreachable, match="cannot connect to server"):
        there.look([job])
    assert there.backend.submit([there.job(2, "true")]) == {}
    with pytest.raises(Unreachable, match="onnect"):
        there.backend.cancel([running])
    pbs.mend("down")
    seen = there.look([job, running])
    assert note_of(seen, job).code == 3
    assert seen.sightings[running.token].phase is Phase.RUNNING


def test_times_are_right_whatever_zone_the_login_node_is_in(there: Place) -> None:
    (job,) = there.submit(there.job(0, "sleep 300"))
    seen = there.until_running([job])
    started = seen.sightings[job.token].started_at
    assert started is not None
    assert abs(started - datetime.now(UTC)) < timedelta(minutes=1)
    there.backend.cancel([job])
    ended = there.until_ended([job]).sightings[job.token].ended_at
    assert ended is not None
    assert started <= ended <= datetime.now(UTC)


def test_a_job_that_left_no_note_is_known_by_its_exit_status(there: Place) -> None:
    (job,) = there.submit(there.job(0, KILL_ALL))
    seen = there.until([job], lambda seen: has_ended(seen, job))
    assert job.token not in seen.notes
    assert seen.sightings[job.token].phase is Phase.FAILED
    assert seen.sightings[job.token].reason == "Ended by signal 9"


def test_a_job_without_an_id_is_looked_for_by_name_once_it_has_been_absent_for_long(
    there: Place, clock: Clock, kind: str
) -> None:
    sent = there.job(0, KILL_ALL)
    logs = paths.log_dir(there.backend.home(), "other")  # whose claim is not there
    elsewhere = replace(sent, paths=paths.for_task(logs, sent.run_id, "t", 1, sent.token))
    never = there.job(1, "true")
    (job,) = there.submit(sent)
    there.until([job], lambda seen: has_ended(seen, job))
    if kind != "torque":  # whose queue shows what has ended
        assert elsewhere.token not in there.look([elsewhere, never]).sightings
        clock.now += UNHEARD
    seen = there.look([elsewhere, never])
    assert seen.sightings[elsewhere.token].job_id == job.job_id
    assert never.token not in seen.sightings


@pytest.mark.parametrize("fault", ["nohistory", "amnesia"])
def test_without_history_the_exit_note_decides_and_silence_is_an_answer(
    there: Place, pbs: StandIn, clock: Clock, fault: str, kind: str
) -> None:
    pbs.fault(fault)
    fine, killed = there.submit(there.job(0, "exit 4"), there.job(1, KILL_ALL))
    seen = there.until([fine, killed], lambda seen: fine.token in seen.notes)
    assert note_of(seen, fine).code == 4
    seen = there.until([killed], lambda seen: seen.sightings == {} or has_ended(seen, killed))
    forgets = fault == "amnesia" or kind != "torque"
    assert (killed.token not in seen.sightings) == forgets
    assert not seen.unanswered
    assert seen.notice is None
    before = there.backend.commands
    clock.now += 60
    there.look([killed])
    assert there.backend.commands - before <= 2


def test_a_job_over_its_time_limit_says_so(there: Place) -> None:
    (job,) = there.submit(asked(there.job(0, "sleep 300"), time_limit=1))
    seen = there.until([job], lambda seen: has_ended(seen, job))
    assert seen.sightings[job.token].phase is Phase.FAILED
    assert seen.sightings[job.token].reason == "Reached its time limit of 0:00:01"


def test_a_waiting_job_says_why_and_many_are_cancelled_with_one_command(there: Place) -> None:
    jobs = there.submit(
        asked(there.job(0, "true"), cpus=99), asked(there.job(1, "true"), partition="stopped")
    )
    seen = there.look(jobs)
    assert [seen.sightings[job.token].reason for job in jobs] == [
        "Can never start: Insufficient amount of resource: ncpus (R: 99 A: 8 T: 8)",
        "The queue is stopped",
    ]
    assert {s.phase for s in seen.sightings.values()} == {Phase.WAITING}
    before = there.backend.commands
    there.backend.cancel(jobs)
    assert there.backend.commands - before == 1
    after = there.look(jobs)
    assert not after.notes
    assert {s.phase for s in after.sightings.values()} <= {Phase.CANCELLED}


def test_a_refused_job_has_pbss_words_and_the_others_go_on(there: Place) -> None:
    bad = asked(there.job(0, "true"), partition="no such; touch x")
    closed = asked(there.job(1, "true"), partition="closed")
    wrong = asked(there.job(2, "true"), gres="lustre")
    good = there.job(3, "true")
    answers = there.backend.submit([bad, closed, wrong, good])
    assert answers[bad.token] == Rejected("Unknown queue")
    assert answers[closed.token] == Rejected("Queue is not enabled", wait=True)
    assert isinstance(answers[wrong.token], Rejected)
    assert isinstance(answers[good.token], Accepted)


def test_a_log_shows_while_its_job_runs(there: Place) -> None:
    (job,) = there.submit(there.job(0, "echo here; sleep 300"))
    there.until_running([job])
    log = Path(str(job.paths.out))
    there.until([job], lambda _: log.read_text().endswith("here\n"))
    there.backend.cancel([job])


def submission(directory: Path, *argv: str) -> dict[str, object]:
    """A request as a dialect makes it whose qsub wants a file."""
    return {
        "token": "t",
        "argv": list(argv),
        "script": base64.b64encode(b"echo hi\n").decode(),
        "file": str(directory / "t.sh"),
        "directories": [],
        "state": str(directory),
        "timeout": 10,
    }


def test_a_script_is_in_a_file_for_as_long_as_it_is_handed_over(tmp_path: Path) -> None:
    asked_for = submission(tmp_path, "sh", "-c", 'cat "$1"; ls -l "$1"', "x", f"{tmp_path}/t.sh")
    (told,) = Node(Local(), Ring()).ask({"submits": [asked_for]}, 30)
    answer = node.answer_of(told)
    assert answer.out.startswith("echo hi\n-rwx------ ")
    assert not (tmp_path / "t.sh").exists()


def test_a_script_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "t.sh").symlink_to("/etc/passwd")
    (told,) = Node(Local(), Ring()).ask({"submits": [submission(tmp_path, "true")]}, 30)
    answer = PBS(kind=ON_SLURM).parse_submit(node.answer_of(told))
    assert isinstance(answer, Rejected)
    assert answer.why.startswith(f"cannot write the script {tmp_path}/t.sh")


@pytest.fixture
def on_slurm(slurm: Cluster) -> Iterator[Place]:
    """Debian's commands of PBS over the real Slurm."""
    if shutil.which("qsub") is None:
        pytest.skip("not installed: qsub, of slurm-wlm-torque (see tests/parts.sh)")
    backends: list[ClusterBackend] = []

    def make(limits: OutputLimits) -> ClusterBackend:
        backends.append(ClusterBackend("there", PBS(), ssh_to(slurm), limits))
        return backends[-1]

    yield Place(make(LIMITS), make)
    for backend in backends:
        backend.close()


@pytest.mark.slurm
class TestSlurmsCommandsForPBS:
    def test_jobs_run_and_leave_their_notes_and_logs(self, on_slurm: Place) -> None:
        odd = on_slurm.backend.home() / "logs of 'mine'" / "100%j; touch x.out"
        first = on_slurm.job(0, "echo fine; sleep 1")
        jobs = on_slurm.submit(
            replace(first, paths=replace(first.paths, out=odd)),
            asked(on_slurm.job(1, "exit 3"), cpus=2, partition="short", time_limit=60),
        )
        seen = on_slurm.until(jobs, lambda seen: all(job.token in seen.notes for job in jobs))
        assert [note_of(seen, job).code for job in jobs] == [0, 3]
        assert [note_of(seen, job).job_id for job in jobs] == [job.job_id for job in jobs]
        shown = on_slurm.backend.observe([Watch(jobs[0], live=False, tails={"output": 0})])
        assert shown.logs[jobs[0].token, "output"].data.endswith(b"\nfine\n")

    def test_a_running_job_is_seen_and_cancelled(self, on_slurm: Place) -> None:
        (job,) = on_slurm.submit(on_slurm.job(0, "sleep 300"))
        seen = on_slurm.until_running([job])
        assert seen.sightings[job.token].node in ("n1", "n2")
        on_slurm.backend.cancel([job])
        on_slurm.until([job], lambda seen: job.token not in seen.sightings)

    def test_a_refused_job_has_slurms_words(self, on_slurm: Place) -> None:
        bad = asked(on_slurm.job(0, "true"), partition="nosuch; touch x")
        answer = on_slurm.backend.submit([bad])[bad.token]
        assert isinstance(answer, Rejected)
        assert answer.why.startswith("invalid partition specified: nosuch; touch x")

    def test_a_controller_that_is_down_gives_no_answer(
        self, on_slurm: Place, slurm: Cluster
    ) -> None:
        (job,) = on_slurm.submit(on_slurm.job(0, "true"))
        on_slurm.until([job], lambda seen: job.token in seen.notes)
        slurm.fault("ctld-stop")
        with pytest.raises(Unreachable):
            on_slurm.look([job])
        assert on_slurm.backend.submit([on_slurm.job(1, "true")]) == {}
