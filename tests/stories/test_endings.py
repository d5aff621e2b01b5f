"""Every bad ending that the real cluster can be made to give, and what its page opens with."""

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
WRITES = """
echo '# Last' >"$SCRIPTHUT_TASK_SUMMARY"; echo x >"$SCRIPTHUT_OUTPUT_DIR/x.csv"
echo "last words of $SCRIPTHUT_TASK_ID" >&2
"""
HOLDS = "exec python3 -c 'x = bytearray({} << 20); import time; time.sleep(4)'"


def test_a_failed_node_a_deadline_and_a_timeout_say_why_they_ended(
    server: Server, slurm: Cluster
) -> None:
    stays = {"command": WRITES + "sleep 600", "memory": "50M"}
    run_id = server.run(
        [
            {"id": "node", **stays, "extra_args": ["--no-requeue", "--nodelist=n1"]},
            {"id": "late", **stays, "timeout": "3s"},
            {
                "id": "due",
                **stays,
                "time_limit": "1",
                "extra_args": ["--begin=now+40", "--deadline=now+70"],
            },
        ]
    )
    server.await_states(run_id, {"node": "running"})
    until(lambda: server.task(run_id, "node")["has_outputs"], 60, "it has written")
    slurm.fault("node-kill", "n1")
    assert server.await_end(run_id, 150) == "failed"
    reasons = {
        "node": "node failed",
        "late": "longer than its timeout of 0:00:03",
        "due": "deadline",
    }
    for key, reason in reasons.items():
        why = server.get(f"/runs/{run_id}/tasks/{key}")["why"]
        assert why["title"] == "Why it failed"
        assert reason in why["reason"], key
    for key in ("node", "late"):
        shown_whole(server, run_id, key)
    assert server.get(f"/runs/{run_id}/tasks/due/outputs")["files"] == []
    page = f"/runs/{run_id}/tasks/due/detail/details"
    until(
        lambda: "It wrote nothing to its logs" in server.page(page), 60, "what due wrote: nothing"
    )


def shown_whole(server: Server, run_id: str, key: str) -> None:
    """All that a task wrote before its end is there, and its page leads to it."""
    task = f"/runs/{run_id}/tasks/{key}"

    def is_there() -> bool:
        files = {file["path"] for file in server.get(f"{task}/outputs")["files"]}
        said = server.get(task)["why"]["last_lines"]
        return files == {"task-summary.md", "x.csv"} and f"last words of {key}" in said

    until(is_there, 60, f"what {key} wrote")
    page = server.page(f"{task}/detail/details")
    assert f"last words of {key}" in page
    assert "What it wrote" in page


def test_what_was_used_stands_beside_what_was_asked_for(server: Server) -> None:
    run_id = server.run(
        [
            {"id": "fits", "command": HOLDS.format(40), "memory": "90M"},
            {"id": "eats", "command": WRITES + HOLDS.format(300), "memory": "90M"},
        ]
    )
    assert server.await_end(run_id) == "failed"

    def is_known() -> bool:
        found = server.get(f"/runs/{run_id}")["tasks"]
        return all(task["memory_used"] and task["cpu_used"] is not None for task in found)

    until(is_known, 60, lambda: str(server.get(f"/runs/{run_id}")["tasks"]))
    fits, eats = server.get(f"/runs/{run_id}")["tasks"]
    assert 40 << 20 <= fits["memory_used"] < 90 << 20
    assert 0 <= fits["cpu_efficiency"] <= 1
    assert eats["memory_used"] > 90 << 20
    assert "out of memory" in eats["reason"]
    assert "of 90.0 MiB asked for" in server.page(f"/runs/{run_id}/tasks/eats/detail/details")
    assert "of 90.0 MiB asked for" in server.page(f"/runs/{run_id}/tasks/fits/detail/details")
