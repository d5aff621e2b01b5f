"""A real Slurm tells of everybody's jobs and of those that ended, to whoever looks, in the look."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from scripthut.backends.cluster import ClusterBackend
from scripthut.core.jobs import Phase, Watch
from scripthut.core.sights import Crowd, Ended
from scripthut.core.survey import Wish
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.slurm import Slurm
from tests.backends.conftest import LIMITS, Place, ssh_to
from tests.backends.test_survey import sbatch
from tests.cluster.fixtures import Cluster

pytestmark = pytest.mark.slurm
CROWD, ENDED = Wish(crowd=True), Wish(ended=True)


@pytest.fixture
def there(slurm: Cluster) -> Iterator[ClusterBackend]:
    backend = ClusterBackend("there", Slurm(), ssh_to(slurm), LIMITS)
    yield backend
    backend.close()


def crowd_of(backend: ClusterBackend) -> Crowd:
    _, told = backend.survey([], CROWD)
    assert told.crowd is not None
    assert (told.queue, told.ended) == (None, None)
    return told.crowd


def ended_of(backend: ClusterBackend) -> Ended:
    _, told = backend.survey([], ENDED)
    assert told.ended is not None
    return told.ended


T = TypeVar("T")


def until(ask: Callable[[], T], claim: Callable[[T], bool]) -> T:
    end = time.monotonic() + 30
    while not claim(told := ask()):
        assert time.monotonic() < end, told
        time.sleep(0.2)
    return told


def test_everybody_s_jobs_are_told_in_one_command_with_who_waits_before(
    there: ClusterBackend, slurm: Cluster
) -> None:
    full = ["-p", "normal", "--exclusive", "-N", "2"]
    other = sbatch(slurm, *full, "-J", "theirs", "--wrap", "sleep 300", user="hut2")
    until(lambda: slurm.squeue("-h", "-j", other, "-o", "%T").strip(), "RUNNING".__eq__)
    sbatch(slurm, *full, "--array=0-2", "--wrap", "sleep 300", user="hut2")
    mine = sbatch(slurm, *full, "-J", "mine", "--wrap", "sleep 300")
    before = there.commands

    def is_looked_at(crowd: Crowd) -> bool:
        return bool(crowd.before) and crowd.before[0].jobs == 3

    crowd = until(lambda: crowd_of(there), is_looked_at)
    assert there.commands > before
    by_id = {job.job_id: job for job in crowd.jobs}
    assert (by_id[other].owner, by_id[other].name, by_id[other].phase) == (
        "hut2",
        "theirs",
        Phase.RUNNING,
    )
    assert by_id[mine].reason is not None
    assert [(one.partition, one.jobs, one.users) for one in crowd.before] == [("normal", 3, 1)]
    holders = {one.user: (one.running, one.waiting) for one in crowd.holders}
    assert holders == {"hut2": (1, 3), slurm.user: (0, 1)}
    assert (crowd.user, crowd.users, crowd.note) == (slurm.user, 2, None)


def test_a_job_of_another_that_carries_our_token_is_no_evidence(
    there: ClusterBackend, slurm: Cluster
) -> None:
    place = Place(there, lambda _: there)
    job = place.job(0, "sleep 300")
    thief = sbatch(slurm, "-J", f"copy {job.token}", "--wrap", "sleep 300", user="hut2")
    crowd = until(lambda: crowd_of(there), lambda one: bool(one.jobs))
    seen, told = there.survey([Watch(job)], Wish(queue=True, crowd=True, ended=True))
    assert seen.sightings == {}
    assert told.queue is not None
    assert told.queue.jobs == ()
    assert [(one.job_id, one.tokens) for one in crowd.jobs] == [(thief, ())]


def test_a_cluster_that_hides_others_jobs_is_said_to(there: ClusterBackend, slurm: Cluster) -> None:
    sbatch(slurm, "--wrap", "sleep 300", user="hut2")
    assert until(lambda: crowd_of(there), lambda one: bool(one.jobs)).note is None
    slurm.fault("private-data", "jobs")
    crowd = until(lambda: crowd_of(there), lambda one: not one.jobs)
    assert crowd.note == (
        "This cluster shows nobody the jobs of others (PrivateData=jobs): you see your own."
    )


def test_jobs_that_ended_are_told_in_words_the_last_first(
    there: ClusterBackend, slurm: Cluster
) -> None:
    full = ["-p", "normal", "--exclusive", "-N", "2", "--wrap", "sleep 300"]
    other = sbatch(slurm, *full, user="hut2")
    until(lambda: slurm.squeue("-j", other, "-o", "%T").strip(), "RUNNING".__eq__)
    never = sbatch(slurm, *full)
    until(lambda: slurm.squeue("-j", never, "-o", "%r").strip(), "Resources".__eq__)
    slurm.as_user(["scancel", never])
    bad = sbatch(slurm, "-p", "gpu", "-J", "bad", "-c", "2", "--wrap", "exit 3")
    good = sbatch(slurm, "-p", "gpu", "-J", "good", "--wrap", "true")
    ids = {bad, good, never}
    ended = until(lambda: ended_of(there), lambda one: ids <= {job.job_id for job in one.jobs})
    found = {job.job_id: job for job in ended.jobs}
    assert (found[bad].phase, found[bad].exit_code, found[bad].reason) == (
        Phase.FAILED,
        3,
        "Exited with code 3",
    )
    assert (found[good].phase, found[good].exit_code) == (Phase.DONE, 0)
    assert (found[never].phase, found[never].started_at) == (Phase.CANCELLED, None)
    assert {job.owner for job in ended.jobs} == {slurm.user}
    assert found[bad].ended_at is not None
    times = [job.ended_at for job in ended.jobs if job.ended_at]
    assert times == sorted(times, reverse=True)
    assert ended.is_told
    assert ended.note is None


def test_where_the_accounting_does_not_answer_a_sentence_says_so(
    there: ClusterBackend, slurm: Cluster
) -> None:
    slurm.fault("dbd-stop")
    ended = ended_of(there)
    assert not ended.is_told
    assert "sacct says" in str(ended.note)


def test_slurm_s_commands_for_pbs_tell_of_everybody_too(slurm: Cluster) -> None:
    backend = ClusterBackend("there", PBS(), ssh_to(slurm), LIMITS)
    other = sbatch(slurm, "-J", "theirs", "--wrap", "sleep 300", user="hut2")
    done = sbatch(slurm, "-J", "done", "--wrap", "true")
    crowd = until(lambda: crowd_of(backend), lambda one: bool(one.jobs))
    assert [(job.job_id, job.owner) for job in crowd.jobs if job.name == "theirs"] == [
        (other, "hut2")
    ]
    ended = until(lambda: ended_of(backend), lambda one: bool(one.jobs) or bool(one.note))
    assert {job.owner for job in ended.jobs} <= {slurm.user}
    assert "forgets a job" in str(ended.note)
    assert done
    backend.close()
