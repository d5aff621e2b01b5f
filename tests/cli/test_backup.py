"""A backup of a server at work, restored on an empty place and over a later state."""

import json
from pathlib import Path

import pytest

from tests.databases import begin_anew, is_postgres
from tests.serving import Site, ended, hut, local, serving, until


def states(site: Site, run: str) -> dict[str, str]:
    return {task["id"]: task["status"] for task in site.get(f"/api/v1/runs/{run}").json["tasks"]}


def test_a_server_at_work_is_backed_up_and_its_run_goes_on_from_the_backup(tmp_path: Path) -> None:
    go, ran, file = tmp_path / "go", tmp_path / "ran", tmp_path / "hut.tar.gz"
    wait = f"until [ -e {go} ]; do sleep 0.1; done"
    says = 'echo "# $SCRIPTHUT_TASK_ID" >"$SCRIPTHUT_RUN_SUMMARY"'
    tasks = [
        {"id": "done", "command": f"echo done >>{ran}; {says}"},
        {"id": "runs", "command": f"{wait}; echo runs >>{ran}; {says}", "deps": ["done"]},
        {"id": "waits", "command": f"echo waits >>{ran}; {says}", "deps": ["runs"]},
    ]
    with serving(tmp_path) as site:
        run = site.run({"tasks": tasks})
        until(lambda: states(site, run)["runs"] == "running")
        made = hut(tmp_path, "backup", str(file), "--json")
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["files"] >= 2
        refused = hut(tmp_path, "restore", str(file), "--overwrite")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "A server is at work on" in refused.stderr
        go.touch()
        assert ended(site, run)["status"] == "completed"
    once = ["done", "runs", "waits"]
    assert ran.read_text().split() == once

    refused = hut(tmp_path, "restore", str(file))
    assert "There are runs in " in refused.stderr
    restored = hut(tmp_path, "restore", str(file), "--overwrite")
    assert restored.returncode == 0, restored.stderr
    assert ("The former database is " in restored.stdout) != is_postgres()
    with serving(tmp_path) as site:  # what ran since is found, and not run again
        assert ended(site, run)["status"] == "completed"
    assert ran.read_text().split() == once

    begin_anew(tmp_path / "data")
    assert hut(tmp_path, "restore", str(file)).returncode == 0
    with serving(tmp_path) as site:
        assert ended(site, run)["status"] == "completed"
        summary = f"/api/v1/runs/{run}/summary"
        until(lambda: len(site.get(summary).json["sections"]) == 3)
    assert ran.read_text().split() == once


@pytest.mark.own_database("that there is no file")
def test_what_cannot_be_done_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "scripthut.yaml").write_text(local(tmp_path))
    none = hut(tmp_path, "backup", "hut.tar")
    assert (none.returncode, none.stdout) == (1, "")
    assert "There is no database" in none.stderr
    (tmp_path / "hut.tar").write_text("no")
    assert "is no backup" in hut(tmp_path, "restore", "hut.tar").stderr
    assert not (tmp_path / "data" / "scripthut.db").exists()
