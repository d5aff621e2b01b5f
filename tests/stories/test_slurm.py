"""The main job on a real Slurm cluster over a real SSH connection, with a real server."""

import json
import random
import time
from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.accounts import agree, jobs_of
from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
EXAMPLE = Path(__file__).parents[2] / "examples" / "montecarlo.json"
WRITES = r"""
printf '| a | b |\n|---|--:|\n| 1 | 2 |\n' >"$SCRIPTHUT_TASK_SUMMARY"
echo x >"$SCRIPTHUT_OUTPUT_DIR/a b.txt"
echo "- $SCRIPTHUT_TASK_ID was here" >"$SCRIPTHUT_RUN_SUMMARY"
"""


def test_the_example_goes_from_submission_to_a_whole_run_summary(server: Server) -> None:
    document = json.loads(EXAMPLE.read_text())
    answer = server.post("/runs", {"backend": "hpc", "name": "example", "document": document})
    assert server.await_end(answer["id"]) == "completed"
    sections = await_sections(server, answer["id"])
    shown = "".join(section["html"] for section in sections)
    assert "<table" in shown
    assert "<img" in shown


def await_sections(server: Server, run_id: str) -> list[dict[str, str]]:
    tasks = server.get(f"/runs/{run_id}")["tasks"]
    until(
        lambda: (
            all(task["has_run_summary"] for task in server.get(f"/runs/{run_id}")["tasks"])
            or len(server.get(f"/runs/{run_id}/summary")["sections"]) == len(tasks)
        ),
        60,
        lambda: f"all sections, but {server.get(f'/runs/{run_id}')['tasks']}",
    )
    return list(server.get(f"/runs/{run_id}/summary")["sections"])


def test_a_server_killed_ten_times_submits_everything_once(server: Server, slurm: Cluster) -> None:
    chance = random.Random(20260301)
    server.stop()
    server.backends[0]["max_concurrent"] = 3  # so that the run outlasts ten servers
    server.start()
    tasks = [
        *({"id": f"sim.{i}", "command": WRITES + "sleep 1", "memory": "50M"} for i in range(18)),
        {"id": "merge", "command": WRITES, "deps": ["sim.*"], "memory": "50M"},
        {"id": "report", "command": WRITES, "deps": ["merge"], "memory": "50M"},
    ]
    server.await_leader()
    run_id = server.run(tasks)
    for _ in range(10):
        # A random moment is the point: submissions, looks and collections are all hit.
        time.sleep(chance.uniform(0.1, 2.5))
        server.kill()
        server.start()
        server.await_leader()
    assert server.await_end(run_id, 300) == "completed"
    sections = await_sections(server, run_id)
    assert sorted(section["task_id"] for section in sections) == sorted(t["id"] for t in tasks)
    agree(server, slurm, run_id)
    assert len(jobs_of(slurm, run_id)) == len(tasks)


def test_every_bad_ending_shows_outputs_exit_code_and_a_reason_in_words(
    server: Server, slurm: Cluster
) -> None:
    says = WRITES + "echo last words of $SCRIPTHUT_TASK_ID >&2; "
    eats = "exec python3 -c 'x = bytearray(400 << 20); import time; time.sleep(60)'"
    run_id = server.run(
        [
            {"id": "fails", "command": says + "exit 7", "memory": "50M"},
            {"id": "long", "command": says + "sleep 600", "memory": "50M", "time_limit": "1"},
            {"id": "doomed", "command": says + "sleep 600", "memory": "50M"},
            {"id": "eats", "command": says + eats, "memory": "60M"},
            {"id": "after", "command": "true", "deps": ["fails"], "memory": "50M"},
        ]
    )
    server.await_states(run_id, {"doomed": "running"})
    server.post(f"/runs/{run_id}/tasks/doomed/cancel")
    assert server.await_end(run_id, 240) == "failed"
    tasks = {task["id"]: task for task in server.get(f"/runs/{run_id}")["tasks"]}
    assert (tasks["fails"]["status"], tasks["fails"]["exit_code"]) == ("failed", 7)
    assert "7" in tasks["fails"]["reason"]
    assert tasks["long"]["status"] == "failed"
    assert "time limit" in tasks["long"]["reason"].lower()
    assert tasks["doomed"]["status"] == "cancelled"
    assert "ancelled" in tasks["doomed"]["reason"]
    assert tasks["after"]["status"] == "dep_failed"
    assert "out of memory" in tasks["eats"]["reason"]
    for key in ("fails", "long", "doomed", "eats"):
        until(
            lambda key=key: len(server.get(f"/runs/{run_id}/tasks/{key}/outputs")["files"]) == 2,
            30,
            f"outputs of {key}",
        )
        await_last_words(server, run_id, key)
        why = server.get(f"/runs/{run_id}/tasks/{key}")["why"]
        assert why["reason"] == tasks[key]["reason"]
        assert why["memory"] == (60 if key == "eats" else 50) * 1024**2
        assert why["elapsed"] >= 0
        page = server.page(f"/runs/{run_id}/tasks/{key}/detail/details")
        assert f"last words of {key}" in page
        assert "What it wrote" in page
    whys = {key: server.get(f"/runs/{run_id}/tasks/{key}")["why"] for key in ("fails", "long")}
    assert whys["fails"]["exit"] == "7"
    assert whys["long"]["time_limit"] == 60
    assert whys["long"]["elapsed"] >= 60
    agree(server, slurm, run_id)


def await_last_words(server: Server, run_id: str, key: str) -> None:
    """Until a task's log, which is fetched after its end, is in the box that says why."""
    said = f"last words of {key}"

    def are_there() -> bool:
        return said in server.get(f"/runs/{run_id}/tasks/{key}")["why"]["last_lines"]

    until(are_there, 30, said)


FAULTS = {"ssh-stop": None, "ctld-stop": None, "ctld-hang": "ctld-cont"}  # None: start it again


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cluster_that_stops_answering_moves_no_task(
    server: Server, slurm: Cluster, fault: str
) -> None:
    run_id = server.run(
        [
            {"id": "short", "command": WRITES + "sleep 8", "memory": "50M"},
            {"id": "bad", "command": WRITES + "sleep 8; exit 3", "memory": "50M"},
            {"id": "next", "command": WRITES, "deps": ["short"], "memory": "50M"},
        ]
    )
    before = {"short": "running", "bad": "running", "next": "pending"}
    server.await_states(run_id, before)
    slurm.fault(fault)
    if fault == "ssh-stop":
        slurm.fault("ssh-kill-sessions")  # the listener is gone; the open connection would live on
    until(lambda: server.backend("hpc")["failing_since"] is not None, 60, "the card says so")
    assert server.states(run_id) == before
    assert "has not answered since" in server.page(f"/runs/{run_id}")
    time.sleep(10)  # long enough for the jobs to end unseen, which is the point
    assert server.states(run_id) == before
    if FAULTS[fault] is None:
        slurm.up()
    else:
        slurm.fault(FAULTS[fault])
    assert server.await_end(run_id, 180) == "failed"
    assert server.states(run_id) == {"short": "completed", "bad": "failed", "next": "completed"}
    assert server.backend("hpc")["failing_since"] is None
    agree(server, slurm, run_id)


def test_the_commands_of_a_cycle_do_not_grow_with_the_tasks(server: Server) -> None:
    costs = []
    for count in (10, 500):
        sleepers = [
            {"id": f"t.{i}", "command": "sleep 3000", "memory": "50M", "time_limit": "1:00:00"}
            for i in range(count)
        ]
        run_id = server.run(sleepers)
        until(lambda n=count: server.backend("hpc")["watched"] == n, 240, f"{count} live tasks")
        assert server.backend("hpc")["submit_commands"] <= 3  # of at most 100 tasks a submission
        costs.append(busiest_cycle(server))
        server.post(f"/runs/{run_id}/cancel")
        assert server.await_end(run_id, 240) == "cancelled"
    assert costs[0] == costs[1] <= 3


def busiest_cycle(server: Server) -> int:
    """The most commands that any of the next cycles needed."""
    seen: dict[str, int] = {}

    def enough() -> bool:
        backend = server.backend("hpc")
        seen[backend["answered_at"]] = backend["commands"]
        return len(seen) >= 3

    until(enough, 120, "three cycles")
    return max(list(seen.values())[1:])
