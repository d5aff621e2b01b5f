"""A running server follows its configuration: two workers and the engine, without a restart."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.serving import Site, ended, local, serving, until


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "site"


def change(directory: Path, *backends: dict[str, object], **settings: object) -> None:
    told = json.loads(local(directory, **settings))
    told["backends"] = list(backends)
    (directory / "scripthut.yaml").write_text(json.dumps(told))


def place(name: str, **keys: object) -> dict[str, object]:
    return {"type": "local", "name": name, **keys}


def health(site: Site) -> Any:
    return site.get("/api/v1/health").json


def known(site: Site) -> set[tuple[str, ...]]:
    """The backends that the workers name: as many questions as find every worker."""
    return {tuple(b["name"] for b in health(site)["backends"]) for _ in range(12)}


def state(site: Site, run: str) -> str:
    return str(site.get(f"/api/v1/runs/{run}").json["status"])


def test_a_backend_comes_and_goes_while_the_server_runs(directory: Path) -> None:
    with serving(directory) as site:
        change(directory, place("local"), place("second"))
        until(lambda: known(site) == {("local", "second")})
        assert ended(site, site.run([{"id": "a", "command": "true"}], backend="second"))
        log = (directory / "server.log").read_text()
        assert "backend second: added" in log

        wait = directory / "go"
        tasks = [
            {"id": "runs", "command": f"while [ ! -e {wait} ]; do sleep 0.05; done"},
            {"id": "waits", "command": "true", "deps": ["runs"]},
        ]
        run = site.run(tasks, backend="second")
        until(lambda: state(site, run) == "running")
        change(directory, place("local"))
        until(lambda: known(site) == {("local",)})
        page = site.get(f"/runs/{run}").text
        assert "is not in the configuration" in page
        wait.touch()

        def first() -> str:
            return str(site.get(f"/api/v1/runs/{run}/tasks/runs").json["status"])

        until(lambda: first() == "completed")
        until(lambda: "backend let go backend=second" in (directory / "server.log").read_text())
        assert site.get(f"/api/v1/runs/{run}/tasks/waits").json["status"] == "pending"
        change(directory, place("local"), place("second", max_concurrent=1))
        assert ended(site, run)["status"] == "completed"


def test_a_broken_file_is_named_on_the_page_and_changes_nothing(directory: Path) -> None:
    with serving(directory) as site:
        good = (directory / "scripthut.yaml").read_text()
        (directory / "scripthut.yaml").write_text(good[:-1] + ', "bakends": []}')
        until(lambda: health(site)["configuration"]["problems"])
        until(lambda: "did you mean backends?" in site.get("/runs").text)
        until(lambda: "did you mean backends?" in (directory / "server.log").read_text())
        assert ended(site, site.run([{"id": "a", "command": "true"}]))["status"] == "completed"
        reply = site.post("/api/v1/reload", {})
        assert reply.status == 422
        assert "did you mean backends?" in reply.json["problems"][0]
        (directory / "scripthut.yaml").write_text(good)
        reply = site.post("/api/v1/reload", {})
        assert (reply.status, reply.json["ok"]) == (200, True)
        until(lambda: "did you mean" not in site.get("/runs").text)


def test_what_cannot_change_while_it_runs_is_named(directory: Path) -> None:
    with serving(directory) as site:
        change(directory, place("local", max_concurrent=7), workers=3, allowed_hosts=["a.example"])
        told = site.post("/api/v1/reload", {}).json
        assert told["restart"] == ["settings.workers"]
        assert told["changed"] == ["backend local: max_concurrent", "settings.allowed_hosts"]
        assert site.get("/api/v1/health", Host="a.example").status == 200
        until(lambda: "After a restart" in site.get("/runs").text)


def test_sighup_reads_again_and_takes_the_number_of_workers_too(directory: Path) -> None:
    with serving(directory) as site:
        master = _master(site)
        former = until(lambda: _workers(master))
        change(directory, place("local"), place("second"), workers=3)
        os.kill(master.pid, signal.SIGHUP)
        until(lambda: len(_workers(master)) == 3 and not _workers(master) & former)
        until(lambda: known(site) == {("local", "second")})
        assert ended(site, site.run([{"id": "a", "command": "true"}], backend="second"))
        (directory / "scripthut.yaml").write_text("backends: 5")
        os.kill(master.pid, signal.SIGHUP)
        until(lambda: "must be a list" in site.get("/runs").text)
        assert known(site) == {("local", "second")}


def _master(site: Site) -> psutil.Process:
    mine = psutil.Process().children()
    (found,) = [p for p in mine if "serve" in p.cmdline()]
    return found


def _workers(master: psutil.Process) -> set[int]:
    """The pids of those that live: any may end between one look at it and the next."""
    return {p.pid for p in master.children() if _serves(p)}


def _serves(process: psutil.Process) -> bool:
    try:
        gone = process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
        return not gone and "serve" in process.cmdline()
    except psutil.NoSuchProcess:
        return False
