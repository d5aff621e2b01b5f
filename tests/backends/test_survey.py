"""A real Slurm says what it has and who is in its queue, in the command of the look."""

import time
from collections.abc import Iterator

import pytest

from scripthut.backends.cluster import ClusterBackend
from scripthut.core.jobs import Phase, Watch
from scripthut.core.queue import Queue
from scripthut.core.survey import Facts, NodeState, Wish
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.slurm import Slurm
from tests.backends.conftest import LIMITS, Place, ssh_to
from tests.cluster.fixtures import Cluster

pytestmark = pytest.mark.slurm
BOTH = Wish(queue=True, facts=True)


@pytest.fixture
def there(slurm: Cluster) -> Iterator[ClusterBackend]:
    backend = ClusterBackend("there", Slurm(), ssh_to(slurm), LIMITS)
    yield backend
    backend.close()


def ask(backend: ClusterBackend) -> tuple[Queue, Facts]:
    _, told = backend.survey([], BOTH)
    assert told.queue is not None
    assert told.facts is not None
    return told.queue, told.facts


def until_listed(backend: ClusterBackend, count: int) -> Queue:
    end = time.monotonic() + 30
    while len((queue := ask(backend)[0]).jobs) != count:
        assert time.monotonic() < end, queue
        time.sleep(0.2)
    return queue


def sbatch(slurm: Cluster, *words: str, user: str | None = None) -> str:
    said = slurm.as_user(["sbatch", "--parsable", "--output=/dev/null", *words], user)
    return said.strip()


def test_the_whole_cluster_is_told_in_one_command(there: ClusterBackend, slurm: Cluster) -> None:
    job = sbatch(slurm, "-p", "gpu", "--gres=gpu:a100:1", "-c", "2", "--wrap", "sleep 300")
    slurm.fault("node-drain", "n2")
    end = time.monotonic() + 30
    while (told := ask(there))[1].gpus_idle != 1:
        assert time.monotonic() < end, told
    queue, facts = told
    assert facts.nodes[NodeState.DRAINED] == 1
    assert (facts.cpus, facts.cpus_idle, facts.gpus) == (12, 6, 2)
    assert facts.soonest[-1].name == "down"
    assert {share.account for share in facts.shares} == {"proj1", "proj2"}
    assert facts.disks[0].free > 0
    assert facts.problems == ()
    assert [job.job_id for job in queue.jobs] == [job]


def test_facts_cost_no_command_beside_a_look(there: ClusterBackend, slurm: Cluster) -> None:
    place = Place(there, lambda _: there)
    (job,) = place.submit(place.job(0, "sleep 300"))
    place.until_running([job])
    before = there.commands
    seen, told = there.survey([Watch(job)], BOTH)
    assert there.commands == before + 1
    assert job.token in seen.sightings
    assert told.queue is not None
    assert told.queue.jobs[0].tokens[0] == job.token


def test_accounts_that_hang_do_not_keep_the_look(there: ClusterBackend, slurm: Cluster) -> None:
    slurm.fault("slow", "sacctmgr", "30")
    queue, facts = ask(there)
    assert facts.cpus == 12
    assert any("timed out" in problem for problem in facts.problems)
    assert queue.more == 0


def test_other_jobs_are_listed_with_their_owner_and_cancelled_by_row(
    there: ClusterBackend, slurm: Cluster
) -> None:
    sbatch(slurm, "--wrap", "sleep 300", user="hut2")  # somebody else's
    array = sbatch(slurm, "--array=0-9%1", "--job-name=a|b c", "--wrap", "sleep 300")
    later = sbatch(slurm, "--begin=now+1hour", "-J", "later", "--wrap", "true")
    queue = until_listed(there, 3)
    assert {job.owner for job in queue.jobs} == {slurm.user}
    waiting = next(job for job in queue.jobs if job.key == f"{array}_[]")
    assert (waiting.count, waiting.name, waiting.phase) == (9, "a|b c", Phase.WAITING)
    assert next(job for job in queue.jobs if job.job_id == later).reason == (
        "Its earliest start has not come yet (also after a requeue, for two minutes)"
    )
    there.cancel_listed([waiting.job_id, later])
    left = until_listed(there, 1)
    assert left.jobs[0].job_id == f"{array}_0"  # the part of the array that runs goes on
    assert slurm.squeue("-u", "hut2", "-o", "%T").split() == ["RUNNING"]


def test_torques_commands_tell_the_same_cluster(slurm: Cluster) -> None:
    backend = ClusterBackend("there", PBS(), ssh_to(slurm), LIMITS)
    sbatch(slurm, "-J", "other", "--wrap", "sleep 300")
    queue, facts = ask(backend)
    assert [job.owner for job in queue.jobs if job.name == "other"] == [slurm.user]
    assert facts.cpus == 12
    assert {p.name for p in facts.partitions} >= {"normal", "gpu"}
    backend.close()
