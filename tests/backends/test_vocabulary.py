"""What a real Slurm does to a job, in the words that a person reads."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scripthut.backends.cluster import ClusterBackend
from scripthut.core.jobs import Job, Phase
from scripthut.schedulers.slurm import Slurm
from tests.backends.conftest import LIMITS, Place, ssh_to
from tests.cluster.fixtures import Cluster

pytestmark = pytest.mark.slurm
ON_ONE_NODE = ("--nodelist=n1",)


@pytest.fixture
def there(slurm: Cluster) -> Iterator[Place]:
    backend = ClusterBackend("there", Slurm(extra=("--nice=7",)), ssh_to(slurm), LIMITS)
    yield Place(backend, lambda _: backend)
    backend.close()


def asking(place: Place, n: int, command: str, **more: object) -> Job:
    job = place.job(n, command)
    return replace(job, resources=replace(job.resources, **more))  # type: ignore[arg-type]


def test_a_job_that_gives_way_to_another_says_so(there: Place) -> None:
    low = asking(there, 0, "sleep 300", partition="lowc", cpus=4, extra=ON_ONE_NODE)
    (low,) = there.submit(low)
    there.until_running([low])
    (high,) = there.submit(
        asking(there, 1, "sleep 300", partition="high", cpus=4, extra=ON_ONE_NODE)
    )
    sighting = there.until_ended([low]).sightings[low.token]
    assert (sighting.phase, sighting.word) == (Phase.FAILED, "PREEMPTED")
    assert sighting.reason == "Was preempted by a job of higher priority"
    there.backend.cancel([high])


def test_a_requeued_job_waits_again_and_nothing_is_concluded(there: Place, slurm: Cluster) -> None:
    (job,) = there.submit(there.job(0, "sleep 300"))
    there.until_running([job])
    slurm.fault("job-requeue", str(job.job_id))
    seen = there.until([job], lambda one: "earliest start" in str(one.sightings[job.token].reason))
    assert seen.sightings[job.token].phase is Phase.WAITING


def test_words_for_sbatch_reach_it(there: Place, slurm: Cluster) -> None:
    (job,) = there.submit(asking(there, 0, "sleep 300", extra=("--qos=normal", "--requeue")))
    told = slurm.as_user(["scontrol", "show", "job", str(job.job_id)])
    assert "Nice=7" in told
    assert "QOS=normal" in told
