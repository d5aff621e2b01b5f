"""A server under a real systemd, with that machine as its backend: jobs in scopes of their own."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import ROOT
from tests.stories.conftest import free_port
from tests.stories.server import Server, until
from tests.systemd import Systemd

pytestmark = [pytest.mark.systemd, pytest.mark.slow]
SERVICE = """\
[Unit]
DefaultDependencies=no
[Service]
WorkingDirectory={root}
Environment=HOME={home} TMPDIR={home} PATH={path}
ExecStart={python} -m scripthut.cli serve --config {config}
StandardOutput=append:{log}
StandardError=append:{log}
TimeoutStopSec=20
"""
GREEDY = "python3 -c 'x = bytearray(400 << 20); import time; time.sleep(60)'"
HIDDEN = "setsid env -i sleep 300 >/dev/null 2>&1 &"  # neither its session nor its variables


@dataclass
class Service(Server):
    """A server that systemd starts and stops."""

    systemd: Systemd | None = None

    def start(self) -> None:
        """Write its unit, start it and wait until it answers."""
        self.write()
        words = {"root": ROOT, "home": self.directory, "config": self.config}
        words |= {"log": self.directory / "server.log", "path": os.environ["PATH"]}
        assert self.systemd is not None
        self.systemd.service("hut", SERVICE.format(**words, python=sys.executable))
        self.systemd.run("systemctl", "start", "hut")
        until(self._answers, 60, self.log)

    def group(self, run_id: str) -> str:
        """The control group of a run's first task."""
        assert self.systemd is not None
        unit = f"scripthut-{run_id}-0-1.scope"
        return self.systemd.run("systemctl", "show", unit, "--property=ControlGroup", "--value")

    def kernel(self, group: str, controller: str, old: str, new: str) -> str:
        """The first word of a control group's file, in either version of the hierarchy."""
        assert self.systemd is not None
        one, two = (f"/sys/fs/cgroup{at}{group.strip()}" for at in (f"/{controller}", ""))
        read = f"cat {one}/{old} 2>/dev/null || cat {two}/{new}"
        return self.systemd.run("sh", "-c", read).split()[0]

    def kill(self) -> None:
        self.systemd.run("systemctl", "kill", "--signal=KILL", "hut")

    def stop(self) -> None:
        self.systemd.run("systemctl", "stop", "hut")


@pytest.fixture
def server(systemd: tuple[Systemd, Path], tmp_path: Path) -> Iterator[Service]:
    machine, directory = systemd
    place = directory / tmp_path.name
    place.mkdir()
    backend = {"type": "local", "name": "local", "max_concurrent": 8}
    server = Service(place, free_port(), [backend], {"workers": 1}, systemd=machine)
    server.start()
    yield server
    server.stop()


def inside(server: Service, command: str) -> list[str]:
    """The processes inside whose command line begins so."""
    assert server.systemd is not None
    told = server.systemd.run("ps", "-e", "-o", "args=")
    return [line for line in told.splitlines() if line.startswith(command)]


def test_the_kernel_holds_a_job_to_its_memory_and_it_is_said_so(server: Service) -> None:
    tasks: list[dict[str, object]] = [
        {"id": "greedy", "command": GREEDY, "memory": "100M"},
        # What is killed is not the command itself, and that one goes on for a while.
        {"id": "parent", "command": f"{GREEDY}; sleep 2; exit 5", "memory": "100M"},
        {"id": "modest", "command": "exit 7", "memory": "100M"},
    ]
    run_id = server.run(tasks, backend="local")
    assert server.await_end(run_id) == "failed"
    for key, code in (("greedy", 137), ("parent", 5)):
        task = server.task(run_id, key)
        assert task["exit_code"] == code, task
        assert "used more than the 100.0 MiB it asked for" in task["reason"], task
        assert 95 << 20 < task["memory_used"] < 130 << 20, task  # with pages that others share
    assert "asked for" not in (server.task(run_id, "modest")["reason"] or "")


def test_a_job_outlives_the_service_that_started_it_and_dies_whole(server: Service) -> None:
    task = {"id": "t", "command": f"{HIDDEN} sleep 301 & sleep 302", "cpus": 1, "memory": "200M"}
    run_id = server.run([task], backend="local")
    until(lambda: inside(server, "sleep 300") != [], 30, "the task")
    group = server.group(run_id)
    assert server.kernel(group, "cpu", "cpu.cfs_quota_us", "cpu.max") == "100000"  # of 100000
    assert server.kernel(group, "memory", "memory.limit_in_bytes", "memory.max") == str(200 << 20)
    server.stop()  # the unit's own control group is ended whole, as systemd does by itself
    assert [len(inside(server, f"sleep {n}")) for n in (300, 301, 302)] == [1, 1, 1]
    server.start()
    server.await_states(run_id, {"t": "running"})
    server.post(f"/runs/{run_id}/tasks/t/cancel")
    assert server.await_end(run_id) == "cancelled"
    until(lambda: inside(server, "sleep 30") == [], 10, "all of it is gone")
    assert server.systemd is not None and server.systemd.scopes() == []
