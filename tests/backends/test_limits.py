"""Limits of a real Slurm: which of them pass by themselves, and which never do."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scripthut.backends.cluster import ClusterBackend
from scripthut.core.jobs import Job, Observation, Resources
from scripthut.core.survey import Wish
from scripthut.schedulers.slurm import Slurm
from tests.backends.conftest import LIMITS, Place, ssh_to
from tests.cluster.fixtures import Cluster, start_cluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
MIB = 1024**2
ENFORCED = {"HUT_SLURM_EXTRA": "AccountingStorageEnforce=associations,limits,qos"}
TIGHT = (
    "MaxTRESPerUser=cpu=2 MaxTRESPerAccount=mem=500 GrpTRES=gres/gpu=1 "
    "MaxJobsPerAccount=5 MaxSubmitJobsPerAccount=20"
)


@pytest.fixture
def limited(slurm: Cluster) -> Iterator[Place]:
    """A cluster that enforces limits; `slurm` says whether there can be any."""
    with start_cluster(**ENFORCED) as cluster:
        cluster.admin("sacctmgr", "-i", "add", "qos", "tight")
        cluster.admin("sacctmgr", "-i", "modify", "qos", "tight", "set", *TIGHT.split())
        user = f"name={cluster.user}"
        cluster.admin("sacctmgr", "-i", "modify", "user", "where", user, "set", "qos+=tight")
        backend = ClusterBackend("there", Slurm(), ssh_to(cluster), LIMITS)
        yield Place(backend, lambda _: backend)
        backend.close()


def test_what_a_job_alone_is_beyond_never_passes_and_is_told_from_what_others_use_up(
    limited: Place,
) -> None:
    def asks(n: int, command: str = "sleep 300", **more: object) -> Job:
        small = Resources(time_limit=600, memory=10 * MIB, extra=("--qos=tight",))
        return limited.job(n, command, resources=replace(small, **more))  # type: ignore[arg-type]

    large = limited.submit(
        asks(0, cpus=3), asks(1, memory=600 * MIB), asks(2, gres="gpu:2", partition="gpu")
    )
    (runs,) = limited.submit(asks(3, cpus=2))
    limited.until_running([runs])
    (waits,) = limited.submit(asks(4, "true"))
    limited.backend.survey([], Wish(facts=True))  # as the engine asks every few minutes
    begins = {
        large[0].token: "Can never start: it alone asks for 3 processors, and your limit is 2",
        large[1].token: "Can never start: it alone asks for 600.0 MiB of memory, and the account's",
        large[2].token: "Can never start: it alone asks for 2 GPUs, and the common limit is 1",
        waits.token: "Your limit of processors is reached: it starts when others of yours have",
    }

    def is_told(seen: Observation) -> bool:
        told = {token: sighting.reason or "" for token, sighting in seen.sightings.items()}
        return all(told[token].startswith(words) for token, words in begins.items())

    seen = limited.until([*large, runs, waits], is_told)
    assert seen.sightings[runs.token].reason is None
    limited.backend.cancel([runs])
    limited.until([waits], lambda seen: waits.token in seen.notes)  # and so it does
    seen = limited.look(list(large))
    assert all("Can never start" in (s.reason or "") for s in seen.sightings.values())
    limited.backend.cancel(large)
