"""The main job on a small PBS behind a real SSH connection, with a real server."""

import json
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster
from tests.cluster.pbs.small import COMMANDS, install
from tests.stories.conftest import serving
from tests.stories.server import Server, until

pytestmark = [pytest.mark.sshd, pytest.mark.slow]
EXAMPLE = Path(__file__).parents[2] / "examples" / "montecarlo.json"


@pytest.fixture(params=["pro", "torque"])
def server(request: pytest.FixtureRequest, login_node: Cluster, tmp_path: Path) -> Iterator[Server]:
    """A running server with a PBS as its backend `hpc`."""
    base, shim = login_node.base / f"pbs-{request.param}", login_node.base / "shim"
    install(request.param, base, shim, "python3")
    user = pwd.getpwnam(login_node.user)
    for path in (base, base / "jobs"):
        os.chown(path, user.pw_uid, user.pw_gid)
    with serving(login_node, tmp_path, "pbs") as running:
        yield running
    for name in COMMANDS:
        (shim / name).unlink()
    shutil.rmtree(base)


def test_the_example_goes_from_submission_to_a_whole_run_summary(server: Server) -> None:
    document = json.loads(EXAMPLE.read_text())
    answer = server.post("/runs", {"backend": "hpc", "name": "example", "document": document})
    assert server.await_end(answer["id"]) == "completed"
    until(
        lambda: len(server.get(f"/runs/{answer['id']}/summary")["sections"]) > 1,
        60,
        "the run's summary",
    )


def test_every_ending_has_its_state_and_a_reason_in_words(server: Server) -> None:
    run_id = server.run(
        [
            {"id": "code", "command": "exit 3"},
            {"id": "killed", "command": "kill -9 $PPID $$"},
            {"id": "limit", "command": "sleep 300", "time_limit": "0:00:02"},
            {"id": "unwanted", "command": "sleep 300"},
            {"id": "held", "command": "true", "partition": "stopped"},
            {"id": "nowhere", "command": "true", "partition": "nosuch"},
        ]
    )

    def tasks() -> dict[str, tuple[str, str | None]]:
        shown = server.get(f"/runs/{run_id}")["tasks"]
        return {task["id"]: (task["status"], task["reason"]) for task in shown}

    until(lambda: tasks()["unwanted"][0] == "running", 60, lambda: str(tasks()))
    until(lambda: tasks()["held"] == ("queued", "The queue is stopped"), 60, lambda: str(tasks()))
    for task in ("unwanted", "held"):
        server.post(f"/runs/{run_id}/tasks/{task}/cancel")
    expected = {
        "code": ("failed", "Exited with code 3"),
        "killed": ("failed", "Ended by signal 9"),
        "limit": ("failed", "Reached its time limit of 0:00:02"),
        "unwanted": ("cancelled", "Cancelled"),
    }
    until(
        lambda: all(tasks()[name] == ending for name, ending in expected.items()),
        60,
        lambda: str(tasks()),
    )
    until(lambda: tasks()["held"][0] == "cancelled", 60, lambda: str(tasks()))
    state, reason = tasks()["nowhere"]
    assert state == "failed"
    assert "Unknown queue" in str(reason)
