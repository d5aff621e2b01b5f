"""Runs of an older version whose files lie on a real cluster: read from there when asked for."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster
from tests.older import item, put
from tests.serving import surroundings
from tests.stories.conftest import serving
from tests.stories.server import HUT, Server, until

pytestmark = pytest.mark.slurm
RUN = "0dd5ea50"  # of its own: the login user's home outlives a session
LOGS = ".cache/scripthut/logs/study/fit"
WROTE = f"""
mkdir -p {LOGS}/outputs/{RUN}/a {LOGS}/outputs/{RUN}/_run || exit
printf 'one\\ntwo\\n' >{LOGS}/scripthut_{RUN}_a.out
echo 'module: not found' >{LOGS}/scripthut_{RUN}_a.err
printf '# Fit\\n\\n|k|v|\\n|-|-|\\n|x|1|\\n' >{LOGS}/outputs/{RUN}/a/task-summary.md
echo 1,2 >{LOGS}/outputs/{RUN}/a/table.csv
echo 'found by a' >{LOGS}/outputs/{RUN}/_run/a.md
"""


@pytest.fixture
def server(slurm: Cluster, tmp_path: Path) -> Iterator[Server]:
    slurm.as_user(["sh", "-c", WROTE])
    listed = [{"path": "table.csv", "size": 4, "kind": "other"}]
    older = {
        "version": 2,
        "workflow_name": "study/fit",
        "source_name": "study",
        "created_at": "2025-03-01T11:59:00+00:00",
        "log_dir": f"~/{LOGS}",
    }
    tasks = [item("a", outputs=listed, has_run_summary=True), item("b", "failed")]
    data = tmp_path / "older"
    put(data, f"study__fit/1_{RUN}", {**older, "id": RUN, "backend_name": "hpc", "items": tasks})
    with serving(slurm, tmp_path) as running:
        done = hut(running, "import", str(data), "--json", "--config", str(running.config))
        assert json.loads(done)["with_files_on"] == {"hpc": 1}
        yield running
    slurm.as_user(["rm", "-rf", LOGS])


def hut(server: Server, *words: str) -> str:
    done = subprocess.run(
        [*HUT, *words],
        capture_output=True,
        text=True,
        env=surroundings(server.directory),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_logs_outputs_and_summary_come_from_the_cluster_when_somebody_looks(
    server: Server,
) -> None:
    at = ("--server", server.url)

    assert hut(server, "run", "logs", RUN, "a", *at) == "one\ntwo\n"
    assert hut(server, "run", "logs", RUN, "a", "--error", *at) == "module: not found\n"
    until(lambda: len(server.get(f"/runs/{RUN}/summary")["sections"]) == 1, 20, "its summary")
    assert "found by a" in hut(server, "summary", RUN, *at)
    files = server.get(f"/runs/{RUN}/tasks/a/outputs")
    assert [file["path"] for file in files["files"]] == ["task-summary.md", "table.csv"]
    assert files["problem"] is None
    assert all(file["url"] for file in files["files"])
    assert hut(server, "outputs", "get", RUN, "a", "table.csv", "-o", "-", *at) == "1,2\n"

    # What wrote nothing is asked about once, and then nobody asks any more.
    until(lambda: 'hx-trigger="every 2s' not in server.page(f"/runs/{RUN}"), 20, "a settled page")
    assert "wrote nothing" in server.page(f"/runs/{RUN}/tasks/b?tab=output")
    assert "Traceback" not in server.log()
