"""What a running task writes is there soon, while somebody looks."""

import time
from pathlib import Path
from statistics import median

import pytest

from scripthut.engine.pace import SHARE
from tests.cluster.fixtures import Cluster
from tests.scratch import scratch
from tests.stories.conftest import free_port
from tests.stories.server import Server, until

PAGE = 2.0  # seconds between two questions of an open page
COMMAND = """
for n in 1 2 3; do
  until [ -e "{go}$n" ]; do sleep 0.05; done
  echo "$n/3 step $n" > "$SCRIPTHUT_PROGRESS"
  echo "mark-$n" >> "$SCRIPTHUT_RUN_SUMMARY"
  echo "mark-$n" >> "$SCRIPTHUT_TASK_SUMMARY"
done
sleep 60
"""


def delays(server: Server, backend: str, go: str) -> tuple[list[float], float]:
    """Seconds from the writing of each mark until the server has it, with the run's page open.

    A mark was missing for sure when the last look without it began: that is its delay. And the
    seconds that one question to the backend took meanwhile, on a machine that may be busy.
    """
    run = server.run([{"id": "a", "memory": "100M", "command": COMMAND.format(go=go)}], backend)
    server.await_states(run, {"a": "running"})
    took = []
    for n in (1, 2, 3):
        mark = f"mark-{n}"
        asked = 0.0
        looks: list[float] = []

        def is_there(mark: str = mark, n: int = n, looks: list[float] = looks) -> bool:
            nonlocal asked
            looks.append(time.monotonic())
            if looks[-1] - asked > PAGE:
                asked = looks[-1]
                server.page(f"/runs/{run}/changes?since=0")
                server.get(f"/backends/{backend}/log")  # which is written while somebody looks
            sections = server.get(f"/runs/{run}/summary")["sections"]
            said = server.task(run, "a")["progress_text"]
            return (
                any(mark in s["html"] for s in sections if s["html"]) and said == f"{n}/3 step {n}"
            )

        server.page(f"/runs/{run}")
        Path(f"{go}{n}").touch()
        began = time.monotonic()
        until(is_there, 30, f"{mark} of {backend}")
        took.append(looks[-2] - began if len(looks) > 1 else 0.0)
        listed = server.get(f"/runs/{run}/tasks/a/outputs")["files"]
        assert [file["path"] for file in listed] == ["task-summary.md"]
    server.post(f"/runs/{run}/cancel")
    commands = server.get(f"/backends/{backend}/log")["commands"]
    return took, median([command["milliseconds"] for command in commands] or [0]) / 1000


def test_on_this_machine_a_summary_is_there_within_a_second_and_a_half(tmp_path: Path) -> None:
    server = Server(tmp_path, free_port(), [{"type": "local", "name": "local"}])
    server.start()
    try:
        took, _ = delays(server, "local", str(tmp_path / "go"))
    finally:
        server.stop()
    assert max(took) < 0.5 + 1.0 + 1.0, took  # the pace, a cycle, and a busy machine


@pytest.mark.slurm
@pytest.mark.slow
def test_on_slurm_a_summary_is_there_within_the_pace_and_a_cycle(
    slurm: Cluster, server: Server, tmp_path: Path
) -> None:
    with scratch() as place:
        place.chmod(0o755)  # seen by the cluster's user too
        took, question = delays(server, "hpc", str(place / "go"))
    # The pace, and a cycle; a machine that is slow to answer is left alone five times as long, and
    # is asked twice: by the cycle that just missed the mark, and by the one that has it.
    assert max(took) < 2.0 + max(2.0, (SHARE + 2) * question), (took, question)
    assert server.backend("hpc")["commands"] == 1
