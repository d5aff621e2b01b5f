"""Many tasks in few submissions, on a real Slurm with a real server."""

from collections import Counter

import pytest

from scripthut.core import tokens
from tests.cluster.fixtures import Cluster
from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
# What each is given must be far above what its two shells take, for Slurm kills what takes more.
ALIKE: dict[str, object] = {"memory": "30M", "array": True, "time_limit": 10}


def jobs_of(cluster: Cluster, run_id: str) -> Counter[str]:
    """How many jobs the cluster's own accounting has for each token of a run."""
    found: Counter[str] = Counter()
    for row in cluster.sacct("-X", "--format=JobID%40,JobName%80").splitlines():
        job_id, _, name = row.partition("|")
        token, index = name.split(" ")[-1], job_id.partition("_")[2]
        if token.startswith(run_id + "."):
            assert index.isdecimal(), row
            found[tokens.element(token, int(index)) or ""] += 1
    return found


def arrays_of(cluster: Cluster, run_id: str) -> int:
    """How many arrays the accounting has of a run."""
    rows = cluster.sacct("-X", "--format=JobID%40,JobName%80").splitlines()
    return len({row.partition("_")[0] for row in rows if f" {run_id}." in row})


def test_three_hundred_tasks_are_one_submission_and_each_has_its_own_end(
    server: Server, slurm: Cluster
) -> None:
    ends = {3: "exit 7", 250: "kill -9 $$"}
    run_id = server.run(
        [
            {"id": f"t.{n}", "command": f"echo I am {n}; {ends.get(n, 'true')}", **ALIKE}
            for n in range(300)
        ]
    )
    assert server.await_end(run_id, 220) == "failed"
    tasks = {task["id"]: task for task in server.get(f"/runs/{run_id}")["tasks"]}
    assert Counter(task["status"] for task in tasks.values()) == {"completed": 298, "failed": 2}
    assert (tasks["t.3"]["exit_code"], tasks["t.250"]["exit_code"]) == (7, 137)
    until(lambda: len(jobs_of(slurm, run_id)) == 300, 60, "the accounting")
    assert set(jobs_of(slurm, run_id).values()) == {1}
    assert arrays_of(slurm, run_id) == 1
    until(lambda: server.task(run_id, "t.7")["cpu_used"] is not None, 60, "what it used")
    until(
        lambda: "I am 299" in server.page(f"/runs/{run_id}/tasks/t.299/detail/output"), 60, "a log"
    )


def test_a_server_killed_before_it_heard_of_its_array_submits_nothing_twice(
    server: Server, slurm: Cluster
) -> None:
    slurm.fault("slow-after", "sbatch", "20")
    run_id = server.run([{"id": f"t.{n}", "command": "sleep 2", **ALIKE} for n in range(40)])
    until(lambda: f" {run_id}." in slurm.squeue("-o", "%j"), 60, "the array is in the queue")
    assert set(server.states(run_id).values()) == {"submitting"}
    server.kill()
    slurm.fault("slow-after", "sbatch", "off")
    server.start()
    server.await_leader()
    assert server.await_end(run_id, 200) == "completed", server.get(f"/runs/{run_id}")
    until(lambda: len(jobs_of(slurm, run_id)) == 40, 60, "the accounting")
    assert set(jobs_of(slurm, run_id).values()) == {1}


def test_one_element_is_cancelled_and_the_others_go_on(server: Server, slurm: Cluster) -> None:
    run_id = server.run([{"id": f"t.{n}", "command": "sleep 15", **ALIKE} for n in range(40)])
    server.await_states(run_id, {"t.0": "running", "t.39": "queued"})
    server.post(f"/runs/{run_id}/tasks/t.39/cancel")
    server.post(f"/runs/{run_id}/tasks/t.0/cancel")
    server.await_states(run_id, {"t.39": "cancelled", "t.0": "cancelled"})
    listed = slurm.squeue("-r", "-t", "PD,R", "-o", "%i|%j")
    assert len([row for row in listed.splitlines() if f" {run_id}." in row]) <= 38
    server.post(f"/runs/{run_id}/cancel")
    assert server.await_end(run_id, 120) == "cancelled"
