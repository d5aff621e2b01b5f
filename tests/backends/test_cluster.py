"""A real Slurm that stops answering, forgets, and keeps jobs waiting."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from scripthut.backends.cluster import UNHEARD, ClusterBackend
from scripthut.backends.measuring import PAUSE
from scripthut.core import paths
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer, Job, Observation, Phase, Resources, Sighting, Watch
from scripthut.schedulers.base import Row
from scripthut.schedulers.slurm import Slurm
from tests.backends.conftest import LIMITS, Place, ssh_to
from tests.cluster.fixtures import Cluster

pytestmark = pytest.mark.slurm
KILL_ALL = "kill -9 $PPID $$"  # the frame and the command: no note is left


@dataclass(frozen=True)
class Forgetful(Slurm):
    """A Slurm that forgets a job as soon as it has ended (MinJobAge)."""

    def parse_queue(self, answer: Answer, user: str = "") -> list[Row]:
        return [row for row in super().parse_queue(answer, user) if row.sighting.ended_at is None]


@dataclass
class Clock:
    """Seconds that pass when they are told to."""

    now: float = 0.0
    opened: list[ClusterBackend] = field(default_factory=list)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def there(slurm: Cluster, clock: Clock) -> Iterator[Place]:
    """The cluster, its memory short."""

    def make(limits: object) -> ClusterBackend:
        backend = ClusterBackend("there", Forgetful(), ssh_to(slurm), LIMITS, lambda: clock.now)
        clock.opened.append(backend)
        return backend

    yield Place(make(LIMITS), make)
    for backend in clock.opened:
        backend.close()


def asked(job: Job, **more: object) -> Job:
    return replace(job, resources=replace(job.resources, **more))  # type: ignore[arg-type]


def test_a_controller_that_is_down_gives_no_answer_at_all(there: Place, slurm: Cluster) -> None:
    (job,) = there.submit(there.job(0, "true"))
    there.until([job], lambda seen: job.token in seen.notes)
    slurm.fault("ctld-stop")
    with pytest.raises(Unreachable, match=r"squeue did not answer: .*Unable to contact"):
        there.look([job])
    late = there.job(1, "true")
    assert there.backend.submit([late]) == {}
    assert job.token in there.backend.observe([Watch(job, live=False)]).listings
    slurm.mend()
    assert there.look([job]).notes[job.token].code == 0


def test_the_accounting_tells_of_a_job_that_left_no_note(there: Place) -> None:
    (job,) = there.submit(there.job(0, KILL_ALL))
    there.look([job])
    before = there.backend.commands
    there.look([job])
    assert there.backend.commands - before <= 2
    seen = there.until([job], lambda seen: job.token in seen.sightings and _has_ended(seen, job))
    assert seen.sightings[job.token].phase is Phase.FAILED
    assert job.token not in seen.notes
    unknown = replace(job, job_id=None)
    assert there.look([unknown]).claims[job.token] == job.job_id  # the claim names it


def _has_ended(seen: Observation, job: Job) -> bool:
    return seen.sightings[job.token].ended_at is not None


def test_a_job_without_an_id_is_looked_for_by_name_once_it_has_been_absent_for_long(
    there: Place, clock: Clock
) -> None:
    sent = there.job(0, KILL_ALL)
    logs = paths.log_dir(there.backend.home(), "other")  # whose claim is not there
    elsewhere = replace(sent, paths=paths.for_task(logs, sent.run_id, "t", 1, sent.token))
    (job,) = there.submit(sent)
    there.until([job], lambda seen: job.token in seen.sightings and _has_ended(seen, job))
    before = there.backend.commands
    assert elsewhere.token not in there.look([elsewhere]).sightings
    assert there.backend.commands - before == 1
    clock.now += UNHEARD
    seen = there.look([elsewhere])
    assert there.backend.commands - before == 3
    assert seen.sightings[elsewhere.token].job_id == job.job_id


def test_accounting_that_is_down_holds_up_only_what_needs_it(
    there: Place, slurm: Cluster, clock: Clock
) -> None:
    killed, fine, gone = there.job(0, KILL_ALL), there.job(1, "exit 3"), there.job(2, "true")
    jobs = there.submit(killed, fine)
    there.until(jobs, lambda seen: fine.token in seen.notes and killed.token in seen.claims)
    slurm.fault("dbd-stop")
    clock.now += 1000
    seen = there.until(jobs, lambda seen: seen.notice is not None)
    assert seen.unanswered == {killed.token}
    assert "sacct did not answer" in str(seen.notice)
    assert seen.notes[fine.token].code == 3
    before = there.backend.commands
    again = there.look([*jobs, gone])
    assert there.backend.commands - before == 1  # it is left alone for a while
    assert again.unanswered == {killed.token}
    assert again.notice == seen.notice
    slurm.mend()
    clock.now += 1000
    there.until(jobs, lambda seen: killed.token in seen.sightings)


def test_a_waiting_job_says_why_and_can_be_cancelled(there: Place) -> None:
    jobs = there.submit(
        asked(there.job(0, "true"), partition="down"),
        asked(there.job(1, "true"), partition="short", time_limit=3600),
        asked(there.job(2, "true"), cpus=99),
    )
    reasons = [
        "The partition is down",
        "Can never start: its time limit is longer than the partition allows",
        "Can never start: it asks for more than the partition has",
    ]
    none = Sighting("0", Phase.DONE, "NONE")
    seen = there.until(
        jobs,
        lambda seen: [seen.sightings.get(job.token, none).reason for job in jobs] == reasons,
    )
    assert {s.phase for s in seen.sightings.values()} == {Phase.WAITING}
    before = there.backend.commands
    there.backend.cancel(jobs)
    assert there.backend.commands - before == 1
    ended = there.until(
        jobs,
        lambda seen: all(
            job.token in seen.sightings and seen.sightings[job.token].phase is Phase.CANCELLED
            for job in jobs
        ),
    )
    assert not ended.notes


def test_a_refused_job_has_the_schedulers_words_and_the_others_go_on(there: Place) -> None:
    bad = asked(there.job(0, "true"), partition="no such; touch x")
    huge = asked(there.job(1, "true"), memory=10**15)
    good = replace(there.job(2, "true"), resources=Resources())
    answers = there.backend.submit([bad, huge, good])
    assert "invalid partition specified: no such; touch x" in str(answers[bad.token])
    assert "Memory specification can not be satisfied" in str(answers[huge.token])
    assert "Accepted" in str(answers[good.token])


def test_a_submission_that_timed_out_but_was_taken_is_found_and_runs_once(
    there: Place, slurm: Cluster
) -> None:
    job = there.job(0, 'echo ran >> "$SCRIPTHUT_OUTPUT_DIR/ran"; sleep 3')
    slurm.fault("ctld-hang")
    assert there.backend.submit([job]) == {}
    slurm.fault("ctld-cont")
    seen = there.until([job], lambda seen: job.token in seen.claims)
    assert seen.claims[job.token].isdigit()
    (again,) = there.submit(job)
    assert again.job_id != seen.claims[job.token]
    there.until([again], lambda seen: again.token in seen.notes)
    (file,) = there.listing(again).files
    ((_, data),) = there.backend.fetch([(again, file)])
    assert data == b"ran\n"


def test_a_foreign_job_with_our_old_id_is_neither_seen_nor_cancelled(there: Place) -> None:
    (running,) = there.submit(there.job(0, "sleep 60"))
    there.until_running([running])
    ours = replace(there.job(1, "true"), job_id=running.job_id)
    assert ours.token not in there.look([ours]).sightings
    there.backend.cancel([ours])
    assert there.look([running]).sightings[running.token].phase is Phase.RUNNING
    there.backend.cancel([running])


HUNGRY = "python3 -c 'import time; x = bytearray({} << 20); time.sleep({})'"


def test_the_accounting_tells_what_an_ended_job_has_used(there: Place) -> None:
    jobs = there.submit(there.job(0, HUNGRY.format(60, 3)), there.job(1, HUNGRY.format(300, 60)))
    there.until_ended(jobs)
    before = there.backend.commands
    watches = [Watch(job, live=False, measure=True) for job in jobs]
    deadline = time.monotonic() + 30
    while len(seen := there.backend.observe(watches).used) < len(jobs):
        assert time.monotonic() < deadline, seen
    held = [seen[job.token].memory or 0 for job in jobs]
    assert 60 << 20 <= held[0] < 100 << 20
    assert held[1] > 100 << 20  # what it was ended for
    assert (seen[jobs[0].token].cpu or 0) > 0
    assert there.backend.commands - before >= 1


def test_an_accounting_that_is_down_is_not_asked_what_was_used(
    there: Place, slurm: Cluster, clock: Clock
) -> None:
    (job,) = there.submit(there.job(0, "true"))
    there.until_ended([job])
    slurm.fault("dbd-stop")
    watch = Watch(job, live=False, measure=True)
    assert there.backend.observe([watch]).used == {}
    slurm.mend()
    assert there.backend.observe([watch]).used == {}
    clock.now += PAUSE
    deadline = time.monotonic() + 30
    while job.token not in there.backend.observe([watch]).used:
        assert time.monotonic() < deadline
        clock.now += PAUSE
