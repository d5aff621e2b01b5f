"""Many jobs that are alike, submitted to a real Slurm as one array."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from scripthut.backends.cluster import LATE, ClusterBackend
from scripthut.core import paths, tokens
from scripthut.core.jobs import Answer, Job, Observation, Phase, Resources
from scripthut.schedulers.slurm import Slurm
from tests.backends.conftest import LIMITS, Place, note_of, ssh_to
from tests.cluster.fixtures import Cluster

pytestmark = pytest.mark.slurm


@dataclass
class Clock:
    """Seconds that pass when they are told to."""

    now: float = 0.0


SMALL = Resources(time_limit=600, memory=20 * 1024**2)


@pytest.fixture
def there(slurm: Cluster) -> Iterator[Place]:
    opened: list[ClusterBackend] = []

    def make(limits: object) -> ClusterBackend:
        opened.append(ClusterBackend("there", Slurm(), ssh_to(slurm), LIMITS))
        return opened[-1]

    yield Place(make(LIMITS), make)
    for backend in opened:
        backend.close()


def element(place: Place, n: int, command: str, **more: object) -> Job:
    """A job with the token that the engine gives its n-th task."""
    token = tokens.token(place.run_id, n, 1)
    job = place.job(n, command, resources=SMALL, array=True, **more)
    return replace(job, token=token, paths=replace(
        paths.for_task(job.paths.logs, place.run_id, job.key, 1, token)
    ))  # fmt: skip


def test_jobs_that_are_alike_are_one_array_and_each_keeps_its_own(
    there: Place, slurm: Cluster
) -> None:
    said = 'echo "$N in $PWD of $SLURM_ARRAY_TASK_ID"; echo "oh $N" >&2; echo "$X"'
    jobs = there.submit(
        element(there, 3, said, env={"N": "three", "X": "a\n'b' $N"}, working_dir="/tmp"),
        element(there, 4, said + "; exit 4", env={"N": "four"}),
        element(there, 40, said, env={"N": "forty", "Y": "y"}),
        element(there, 41, said, env={"N": "41"}, timeout=300),  # not alike
        place_alone := replace(element(there, 42, said), array=False),
    )
    array, index = str(jobs[0].job_id).split("_")
    assert [job.job_id for job in jobs[1:3]] == [f"{array}_4", f"{array}_40"]
    assert index == "3"
    assert all("_" not in str(job.job_id) for job in jobs[3:])
    assert jobs[4].token == place_alone.token
    seen = there.until_ended(jobs)
    assert [note_of(seen, job).code for job in jobs] == [0, 4, 0, 0, 0]
    assert [note_of(seen, job).job_id for job in jobs] == [job.job_id for job in jobs]
    logs = {
        job.key: slurm.as_user(["cat", str(job.paths.out), str(job.paths.err)]) for job in jobs[:3]
    }
    assert "three in /tmp of 3\na\n'b' $N\noh three" in logs["t.3"]
    assert "four in /home/hut of 4" in logs["t.4"]
    assert logs["t.40"].endswith("forty in /home/hut of 40\n\noh forty\n")


def test_the_elements_of_an_array_wait_run_and_are_cancelled_one_by_one(there: Place) -> None:
    held = replace(SMALL, extra=("--hold",))
    jobs = there.submit(*(replace(element(there, n, "true"), resources=held) for n in range(60)))
    known = [replace(job, job_id=None) for job in jobs]  # as after a crash: by their tokens alone
    seen = there.look(known)
    assert {t: s.job_id for t, s in seen.sightings.items()} == {j.token: j.job_id for j in jobs}
    assert {s.phase for s in seen.sightings.values()} == {Phase.WAITING}
    there.backend.cancel([jobs[7], jobs[8], jobs[30]])
    cancelled = {jobs[n].token for n in (7, 8, 30)}
    # Slurm forgets an element that is cancelled before it began: the withdrawn token is the proof.
    seen = there.until(jobs, lambda seen: not cancelled & seen.sightings.keys())
    assert seen.withdrawn == cancelled
    assert len(seen.sightings) == 57
    there.backend.cancel(jobs)
    there.until(jobs, lambda seen: {s.phase for s in seen.sightings.values()} == {Phase.CANCELLED})


def test_an_element_that_somebody_else_cancels_before_it_begins_is_known_by_its_array(
    slurm: Cluster,
) -> None:
    """Slurm has no record of it; that its array's records do not have it is the evidence."""
    clock = Clock()
    backend = ClusterBackend("there", Slurm(), ssh_to(slurm), LIMITS, lambda: clock.now)
    there = Place(backend, lambda _: backend)
    held = replace(SMALL, extra=("--hold",))
    jobs = there.submit(*(replace(element(there, n, "true"), resources=held) for n in range(6)))
    array = str(jobs[0].job_id).partition("_")[0]
    slurm.as_user(["scancel", f"{array}_[2,4]"])
    gone = [jobs[2], jobs[4]]
    seen = there.until(jobs, lambda seen: len(seen.sightings) == 4)
    assert not {job.token for job in gone} & seen.unanswered
    clock.now = LATE - 1
    assert len(there.look(jobs).sightings) == 4, "a record may come late"
    clock.now = 2 * LATE

    def are_known(seen: Observation) -> bool:
        return all(job.token in seen.sightings for job in gone)

    seen = there.until(jobs, are_known)
    for job in gone:
        assert seen.sightings[job.token].phase is Phase.CANCELLED
        assert seen.sightings[job.token].job_id == job.job_id
    assert {seen.sightings[job.token].phase for job in jobs} == {Phase.WAITING, Phase.CANCELLED}
    slurm.as_user(["scontrol", "release", f"{array}_[0,1,3]"])
    rest = [jobs[0], jobs[1], jobs[3]]
    there.until(jobs, lambda seen: all(j.token in seen.notes for j in rest) and are_known(seen))
    slurm.as_user(["scancel", array])
    there.until([jobs[5], *gone], are_known)  # also when nothing of the array waits any more
    backend.close()


def test_a_requeued_element_runs_again_under_its_own_id(there: Place, slurm: Cluster) -> None:
    once = '[ -e "$SCRIPTHUT_OUTPUT_DIR/x" ] && exit; touch "$SCRIPTHUT_OUTPUT_DIR/x"; sleep 60'
    jobs = there.submit(element(there, 0, once), element(there, 1, "true"))
    there.until([jobs[0]], lambda seen: len(there.listing(jobs[0]).files) == 1)
    slurm.fault("job-requeue", str(jobs[0].job_id))
    waiting = there.until(jobs, lambda seen: seen.sightings[jobs[0].token].phase is Phase.WAITING)
    assert waiting.sightings[jobs[0].token].job_id == jobs[0].job_id
    there.backend.cancel(jobs)


def test_accounting_finds_the_elements_by_id_and_those_without_an_id_by_name(
    there: Place, slurm: Cluster
) -> None:
    jobs = there.submit(*(element(there, n, f"exit {n}") for n in (1, 2)))
    there.until_ended(jobs)
    dialect, since = Slurm(), jobs[0].submitted_at
    assert since is not None

    def found(commands: list[list[str]]) -> dict[str, int | None]:
        texts = [slurm.as_user(argv) for argv in commands]
        rows = [r for t in texts for r in dialect.parse_accounting(answer(t)) or []]
        return {t: row.sighting.exit_code for row in rows for t in row.tokens}

    wanted = {jobs[0].token: 1, jobs[1].token: 2}
    ids = {str(job.job_id) for job in jobs}
    there.until(jobs, lambda _: found(dialect.accounting("hut", ids, [], since)) == wanted)
    assert found(dialect.accounting("hut", [], jobs, since)) == wanted


def answer(text: str) -> Answer:
    return Answer(0, text, "")
