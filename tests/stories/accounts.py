"""What the cluster's own accounting has of a run, held against the database."""

import re
from collections import Counter

from tests.cluster.fixtures import Cluster
from tests.stories.server import Server, until

BACKWARDS = {"COMPLETED": "completed", "CANCELLED": "cancelled"}  # all else has failed


def jobs_of(cluster: Cluster, run_id: str) -> Counter[str]:
    """How often the cluster's accounting has a job for each token of a run."""
    rows = cluster.sacct("-X", "--format=JobName%80").splitlines()
    return Counter(t for row in rows for t in re.findall(rf"\b{run_id}\.\w+\.\w\b", row))


def agree(server: Server, cluster: Cluster, run_id: str) -> None:
    """Wait until the accounting tells of every task what the database does, and of no other job."""
    tasks = server.get(f"/runs/{run_id}")["tasks"]
    said = {str(one["job_id"]): one["status"] for one in tasks if one["job_id"]}

    def told() -> dict[str, str]:
        # By id, for of a job that went back into the queue and was cancelled there, all that is
        # shown without one is that it went back.
        asked = ["--jobs", ",".join(said)] if said else ["--name=none"]
        rows = cluster.sacct("-X", *asked, "--format=JobID,State%30").splitlines()
        ends = dict(row.split("|", 1) for row in rows)
        return {one: BACKWARDS.get(state.split()[0], "failed") for one, state in ends.items()}

    until(lambda: told() == said, 60, lambda: f"{said}, but the accounting has {told()}")
    found = jobs_of(cluster, run_id)
    assert len(found) <= len(said), f"jobs that no task knows: {found}"
    assert set(found.values()) <= {1}
