"""A running server follows its configuration: two workers and the engine, without a restart."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.serving import Site, ended, free_port, hut, local, serving, surroundings, until


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


def test_what_processes_are_made_with_holds_once_they_have_begun_anew(directory: Path) -> None:
    with serving(directory) as site:
        master = _master(directory)
        change(directory, place("local", max_concurrent=7), workers=3, allowed_hosts=["a.example"])
        until(lambda: "processes have begun anew" in site.get("/runs").text)
        assert len(_workers(master)) == 2
        told = site.post("/api/v1/reload", {}).json
        assert (told["restart"], told["anew"]) == (["settings.workers"], True)
        assert told["changed"] == ["backend local: max_concurrent", "settings.allowed_hosts"]
        until(lambda: len(_workers(master)) == 3)
        assert site.get("/api/v1/health", Host="a.example").status == 200
        until(lambda: "begun anew" not in site.get("/runs").text)


@pytest.mark.own_database("SQLite's file is where the data are, and moves with them")
def test_the_server_moves_to_another_port_and_to_other_data(directory: Path) -> None:
    ports = [free_port(), free_port()]
    config = local(directory, server_port=ports[0])
    with serving(directory, "--verbose", config=config) as site:
        first = site.run([{"id": "a", "command": "true"}])
        assert ended(site, first)["status"] == "completed"
        change(directory, place("local"), server_port=ports[1], data_dir=str(directory / "other"))
        told = site.post("/api/v1/reload", {}).json
        assert told["restart"] == ["settings.server_port", "settings.data_dir"]
        there = Site(site.host, ports[1])
        until(lambda: _answers(there))
        until(lambda: not _answers(site))
        assert there.get("/api/v1/runs").json["runs"] == []
        assert ended(there, there.run([{"id": "b", "command": "true"}]))["status"] == "completed"
        change(directory, place("local"), server_port=ports[0])
        there.post("/api/v1/reload", {})
        until(lambda: _answers(site))
        assert [run["id"] for run in site.get("/api/v1/runs").json["runs"]] == [first]


@pytest.mark.own_database("SQLite's file is where the data are, and moves with them")
def test_places_that_cannot_be_had_change_nothing_and_are_named(directory: Path) -> None:
    config = local(directory, server_port=free_port())
    with (
        serving(directory / "another") as other,
        serving(directory, "--verbose", config=config) as site,
    ):
        (directory / "file").write_text("")
        data = str(directory / "file/below")
        change(directory, place("local"), server_port=other.port, data_dir=data, workers=1)
        site.post("/api/v1/reload", {})
        until(lambda: len(_workers(_master(directory))) == 1)

        def said() -> str:
            return " ".join(health(site)["configuration"]["restart"])

        until(lambda: f"port {other.port} of 127.0.0.1 is taken" in said())
        assert "the database's directory cannot be made" in said()
        assert ended(site, site.run([{"id": "a", "command": "true"}]))["status"] == "completed"


def test_the_daemon_is_found_where_it_has_moved_to(directory: Path) -> None:
    directory.mkdir()
    ports = [free_port(), free_port()]
    (directory / "scripthut.yaml").write_text(local(directory, server_port=ports[0]))
    begun = hut(directory, "daemon", "start", "--json", check=True).stdout
    assert json.loads(begun)["port"] == ports[0]
    try:
        first = Site("127.0.0.1", ports[0])
        change(directory, place("local"), server_port=ports[1], data_dir=str(directory / "new"))
        first.post("/api/v1/reload", {})
        until(lambda: _answers(Site("127.0.0.1", ports[1])))
        found = json.loads(hut(directory, "daemon", "status", "--json", check=True).stdout)
        assert (found["running"], found["port"]) == (True, ports[1])
    finally:
        assert "stopped" in hut(directory, "daemon", "stop", check=True).stdout


def _answers(site: Site) -> bool:
    try:
        return site.get("/api/v1/health").status == 200
    except OSError:
        return False


def test_sighup_reads_again_and_takes_the_number_of_workers_too(directory: Path) -> None:
    with serving(directory) as site:
        master = _master(directory)
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


ACTS = """
import logging, os, signal, sys
from pathlib import Path
from scripthut.cli import server
from scripthut.cli.configuration import settle
from scripthut.config import Live

class Told(Live):
    def reread(self, refused):
        os.kill(os.getpid(), signal.SIGTERM)
        super().reread(refused)

logging.basicConfig(level=logging.INFO)
found = settle(Path(sys.argv[1]))
server.act(Told(found.config, found.generation, found.where, found.environment, found.has_files))
"""


def test_an_engine_that_is_told_to_end_while_it_begins_anew_ends(directory: Path) -> None:
    around = surroundings(directory)
    (directory / "scripthut.yaml").write_text(local(directory))
    log = directory / "engine.log"
    with log.open("wb") as out:
        words = [sys.executable, "-c", ACTS, str(directory / "scripthut.yaml")]
        engine = subprocess.Popen(words, stderr=out, env=around)
    try:
        until(lambda: "engine started" in log.read_text())
        engine.send_signal(signal.SIGHUP)
        assert engine.wait(timeout=30) == 0
    finally:
        engine.kill()
        engine.wait()
    assert "engine stopped" in log.read_text()


def _master(directory: Path) -> psutil.Process:
    mine = psutil.Process().children()
    (found,) = [p for p in mine if str(directory / "scripthut.yaml") in p.cmdline()]
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
