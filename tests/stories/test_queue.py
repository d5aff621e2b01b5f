"""What else is in a user's queue, seen and cancelled from the pages of a real server."""

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.server import Server, until

pytestmark = pytest.mark.slurm


def listed(server: Server) -> dict[str, dict[str, object]]:
    return {job["id"]: job for job in server.get("/jobs")["jobs"]}


def test_another_job_is_seen_and_cancelled_and_ours_leads_to_its_task(
    server: Server, slurm: Cluster
) -> None:
    other = slurm.as_user(
        ["sbatch", "--parsable", "-o", "/dev/null", "-J", "by hand", "--wrap", "sleep 600"]
    ).strip()
    array = slurm.as_user(
        ["sbatch", "--parsable", "-o", "/dev/null", "--array=0-3%1", "--wrap", "sleep 600"]
    ).strip()
    until(lambda: other in listed(server), 30, "nobody has a run, and the queue is told")
    run_id = server.run([{"id": "mine", "command": "sleep 600", "memory": "50M"}])
    server.await_states(run_id, {"mine": "running"})
    until(lambda: any(job["run_id"] for job in listed(server).values()), 30, "ours among them")
    jobs = listed(server)
    mine = next(job for job in jobs.values() if job["run_id"])
    assert (mine["run_id"], mine["task_id"], mine["owner"]) == (run_id, "mine", slurm.user)
    assert (jobs[other]["run_id"], jobs[other]["name"]) == (None, "by hand")
    server.post(f"/backends/hpc/jobs/{other}/cancel")
    server.post(f"/backends/hpc/jobs/{array}_[]/cancel")
    server.post(f"/backends/hpc/jobs/{mine['id']}/cancel")
    assert server.await_end(run_id) == "cancelled"
    until(lambda: set(listed(server)) == {f"{array}_0"}, 60, "the rest of the array runs on")
    assert slurm.squeue("-o", "%i").split() == [f"{array}_0"]
    assert "job 1 " not in server.post("/backends/hpc/jobs/99999/cancel")["error"]


def test_others_jobs_are_seen_and_not_touched_and_what_ended_is_told(
    server: Server, slurm: Cluster
) -> None:
    ask = ["sbatch", "--parsable", "-o", "/dev/null", "-J"]
    theirs = slurm.as_user([*ask, "theirs", "--wrap", "sleep 600"], "hut2").strip()
    run_id = server.run([{"id": "bad", "command": "exit 3", "memory": "50M"}])
    server.await_end(run_id)

    def everybody() -> dict[str, dict[str, object]]:
        return {job["id"]: job for job in server.get("/jobs?who=all")["jobs"]}

    def ended() -> list[dict[str, object]]:
        jobs: list[dict[str, object]] = server.get("/jobs?phase=ended")["jobs"]
        return [job for job in jobs if job["run_id"] == run_id]

    until(lambda: theirs in everybody(), 30, "everybody's queue is told to who looks")
    other = everybody()[theirs]
    assert (other["owner"], other["name"], other["may_be_cancelled"]) == ("hut2", "theirs", False)
    assert "no job" in server.post(f"/backends/hpc/jobs/{theirs}/cancel")["error"]
    until(lambda: bool(ended()), 90, "the accounting tells of it")
    (job,) = ended()
    assert (job["phase"], job["exit_code"], job["task_id"]) == ("failed", 3, "bad")
    assert "Cancel " + theirs not in server.page("/queue?who=all")
    assert slurm.squeue("-j", theirs, "-o", "%T").strip() == "RUNNING"


def test_what_the_cluster_has_is_told_to_whoever_asks(server: Server) -> None:
    def facts() -> dict[str, object]:
        (backend,) = server.get("/backends")["backends"]
        return backend["facts"] or {}

    until(lambda: bool(facts()), 30, "the facts")
    assert facts()["cpus"] == 12
    assert facts()["soonest"][-1] == "down"
    assert "A job of up to" in server.page("/backends/hpc")
