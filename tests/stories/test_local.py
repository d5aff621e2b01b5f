"""Servers that are killed, put to sleep and starved, with this machine as their backend."""

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripthut.web import PATIENCE
from tests.databases import is_postgres
from tests.serving import Site
from tests.stories.conftest import free_port
from tests.stories.server import Server, until
from tests.stories.storm import database_of

pytestmark = pytest.mark.slow
LOCAL = {"type": "local", "name": "local", "max_concurrent": 4}
TAKEN_OVER = 15  # seconds
LASTS = 11  # seconds, after which a lease has run out


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with one worker, so that killing it leaves no second candidate."""
    server = Server(tmp_path, free_port(), [LOCAL], {"workers": 1})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def second(server: Server) -> Iterator[Server]:
    """A second server on the same database."""
    directory = server.directory / "second"
    directory.mkdir()
    shared = {"data_dir": str(server.directory / "data")}
    second = Server(directory, free_port(), server.backends, {**server.settings, **shared})
    second.start()
    yield second
    second.stop()


def sleepers(count: int, seconds: float, tally: Path) -> list[dict[str, object]]:
    command = f'echo "$SCRIPTHUT_TASK_ID" >>{tally}; sleep {seconds}'
    return [{"id": f"t{i}", "command": command} for i in range(count)]


def begun(server: Server, place: Path, count: int, seconds: float) -> tuple[Path, str]:
    """A run of sleepers of which the first ones run: their tally, its id."""
    tally = place / "tally"
    run_id = server.run(sleepers(count, seconds, tally), backend="local")
    until(tally.exists, 30, "the first tasks")
    return tally, run_id


def holder(server: Server) -> str | None:
    engine = server.get("/health")["engine"]
    return None if engine is None else str(engine["holder"])


def send(server: Server, what: signal.Signals) -> None:
    assert server.process is not None
    os.killpg(server.process.pid, what)


def is_held(server: Server) -> bool:
    """Whether somebody writes into the database, and goes on doing so for a second."""
    with sqlite3.connect(database_of(server), isolation_level=None, timeout=1) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        other.execute("ROLLBACK")
        return False


def stop_between_writes(server: Server) -> None:
    """SIGSTOP at a moment when none of its transactions holds SQLite's one lock."""
    send(server, signal.SIGSTOP)
    while not is_postgres() and is_held(server):
        send(server, signal.SIGCONT)
        time.sleep(0.05)
        send(server, signal.SIGSTOP)


def stop_in_a_write(server: Server) -> None:
    """SIGSTOP at a moment when one of its transactions holds SQLite's one lock."""
    send(server, signal.SIGSTOP)
    while not is_held(server):
        send(server, signal.SIGCONT)
        time.sleep(0.01)
        send(server, signal.SIGSTOP)


def test_jobs_outlive_a_killed_server_and_are_judged_by_the_next(
    server: Server, tmp_path: Path
) -> None:
    run_id = server.run(
        [
            {"id": "ends", "command": "sleep 3; exit 4"},
            {"id": "goes", "command": "sleep 8"},
            {"id": "killed", "command": "sleep 300"},
            {"id": "next", "command": "true", "deps": ["goes"]},
        ],
        backend="local",
    )
    server.await_states(run_id, {"ends": "running", "goes": "running", "killed": "running"})
    job = str(server.task(run_id, "killed")["job_id"])
    server.kill()
    os.kill(int(job.split("-")[0]), signal.SIGKILL)
    time.sleep(4)  # `ends` ends while nobody looks, which is the point
    server.start()
    assert server.await_end(run_id) == "failed"
    assert server.states(run_id) == {
        "ends": "failed",
        "goes": "completed",
        "killed": "failed",
        "next": "completed",
    }
    assert server.task(run_id, "ends")["exit_code"] == 4
    assert "without leaving an exit note" in server.task(run_id, "killed")["reason"]


def test_tasks_that_end_in_the_second_in_which_they_began_have_ended(server: Server) -> None:
    wide = os.cpu_count() or 1
    run_id = server.run(
        [{"id": f"t{i}", "command": f"exit {i % 2}", "cpus": wide} for i in range(20)],
        backend="local",
    )
    assert server.await_end(run_id, 90) == "failed"
    tasks = server.get(f"/runs/{run_id}")["tasks"]
    assert [task["status"] for task in tasks] == ["completed", "failed"] * 10
    assert [task["job_id"] for task in tasks if task["job_id"].startswith("local-")] == []


@pytest.mark.parametrize("asleep", [14, pytest.param(60, marks=pytest.mark.soak)])
def test_a_leader_that_sleeps_is_followed_and_when_it_wakes_nothing_runs_twice(
    server: Server, second: Server, tmp_path: Path, asleep: int
) -> None:
    first = holder(server)
    tally, run_id = begun(server, tmp_path, 30, 1)
    stop_between_writes(server)
    slept = time.monotonic()
    until(lambda: holder(second) not in (None, first), TAKEN_OVER, "another leader")
    time.sleep(max(0.0, asleep - (time.monotonic() - slept)))  # the sleep is what is tested
    send(server, signal.SIGCONT)
    assert second.await_end(run_id) == "completed"
    assert sorted(tally.read_text().split()) == sorted(f"t{i}" for i in range(30))


@pytest.mark.own_database("SQLite's one lock; on PostgreSQL: test_postgres.py")
def test_a_leader_stopped_in_a_write_is_followed_once_it_is_killed_and_nobody_acts_before(
    server: Server, second: Server, tmp_path: Path
) -> None:
    first = holder(server)
    tally, run_id = begun(server, tmp_path, 60, 0.2)
    stop_in_a_write(server)
    assert len(second.states(run_id)) == 60  # reading goes on
    time.sleep(LASTS)  # longer than a lease
    assert is_held(server)
    assert holder(second) in (None, first)
    server.kill()
    until(lambda: holder(second) not in (None, first), TAKEN_OVER, "another leader")
    assert second.await_end(run_id) == "completed"
    assert sorted(tally.read_text().split()) == sorted(f"t{i}" for i in range(60))


def test_a_killed_leader_is_followed_within_fifteen_seconds(
    server: Server, second: Server, tmp_path: Path
) -> None:
    first = holder(server)
    tally, run_id = begun(server, tmp_path, 12, 1)
    server.kill()
    until(lambda: holder(second) not in (None, first), TAKEN_OVER, "another leader")
    assert second.await_end(run_id) == "completed"
    assert sorted(tally.read_text().split()) == sorted(f"t{i}" for i in range(12))


@pytest.mark.own_database("SQLite's one lock; on PostgreSQL: test_postgres.py")
@pytest.mark.parametrize("seconds", [12, pytest.param(40, marks=pytest.mark.soak)])
def test_a_locked_database_delays_and_loses_nothing(
    server: Server, tmp_path: Path, seconds: int
) -> None:
    tally, run_id = begun(server, tmp_path, 8, 2)
    file = server.directory / "data" / "scripthut.db"
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        ends = time.monotonic() + seconds
        site = Site("127.0.0.1", server.port)
        new = {"backend": "local", "document": {"tasks": [{"id": "a", "command": "true"}]}}
        while time.monotonic() < ends:  # the lock is what is tested
            began = time.monotonic()
            assert len(server.states(run_id)) == 8  # reading goes on
            assert run_id in server.page("/") and run_id in server.page(f"/runs/{run_id}")
            assert time.monotonic() - began < 3
            for path, body in ((f"/api/v1/runs/{run_id}/cancel", {}), ("/api/v1/runs", new)):
                began = time.monotonic()
                reply = site.post(path, body)
                assert time.monotonic() - began < PATIENCE + 3
                assert reply.status == 503
                assert "database is locked. Another process has been" in reply.json["error"]
                assert reply.headers["retry-after"]
        other.execute("ROLLBACK")
    assert server.await_end(run_id) == "completed", "no order to cancel was half taken"
    assert len(server.get("/runs")["runs"]) == 1, "nor a run half made"
    assert sorted(tally.read_text().split()) == sorted(f"t{i}" for i in range(8))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_pauses_collecting_and_nothing_else(server: Server, tmp_path: Path) -> None:
    server.stop()
    kept = server.directory / "data" / "kept"
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", kept], check=True)
    try:
        server.start()
        command = 'head -c 900000 /dev/urandom >"$SCRIPTHUT_OUTPUT_DIR/big.bin"'
        tasks = [{"id": "a", "command": command}, {"id": "b", "command": "true", "deps": ["a"]}]
        run_id = server.run(tasks, backend="local")
        assert server.await_end(run_id) == "completed"
        until(lambda: "is full" in str(server.backend("local")), 30, "a notice")
        assert server.await_end(server.run([tasks[0]], backend="local")) == "completed"
        subprocess.run(["mount", "-o", "remount,size=8m", kept], check=True)

        def is_kept() -> bool:
            files = server.get(f"/runs/{run_id}/tasks/a/outputs")["files"]
            return [f["sha256"] is not None for f in files if f["path"] == "big.bin"] == [True]

        until(is_kept, 60, "the file once there is room")
    finally:
        server.stop()
        subprocess.run(["umount", "-l", kept], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_fetch_on_a_full_disk_waits_for_room_and_loses_nothing(server: Server) -> None:
    server.stop()
    kept = server.directory / "data" / "kept"
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", kept], check=True)
    try:
        server.start()
        writes = "head -c 12000000 /dev/urandom | tee $SCRIPTHUT_OUTPUT_DIR/big.bin | sha256sum"
        run_id = server.run([{"id": "a", "command": writes}], backend="local")
        assert server.await_end(run_id) == "completed"
        task = f"/runs/{run_id}/tasks/a"
        until(lambda: bool(server.get(f"{task}/outputs")["files"]), 30, "the list")
        (file,) = server.get(f"{task}/outputs")["files"]
        fetch = f"{task}/outputs/{file['id']}/fetch"
        server.post(fetch)
        said = "it waits until there is room"
        until(lambda: said in str(server.get(fetch)["fetch"]), 40, lambda: str(server.get(fetch)))
        assert server.get(fetch)["fetch"]["state"] == "paused"
        assert said in server.page(f"{task}/outputs/view/{file['id']}")
        assert (
            server.await_end(server.run([{"id": "b", "command": "true"}], "local")) == "completed"
        )
        subprocess.run(["mount", "-o", "remount,size=99m", kept], check=True)
        until(lambda: server.get(fetch)["sha256"] is not None, 90, lambda: str(server.get(fetch)))
        assert server.get(fetch)["sha256"] in server.get(f"{task}/logs")["content"]
    finally:
        server.stop()
        subprocess.run(["umount", "-l", kept], check=True)


@pytest.mark.own_database("SQLite's file is on the disk that is full")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_of_the_server_is_said_and_nothing_is_lost(
    server: Server, tmp_path: Path
) -> None:
    server.stop()
    data, tally = server.directory / "data", tmp_path / "tally"
    data.rename(tmp_path / "before")
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", data], check=True)
    try:
        server.start()
        run_id = server.run(sleepers(8, 1, tally), backend="local")
        until(tally.exists, 30, "the first tasks")
        fills = data / "filler"
        with suppress(OSError), fills.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
        large = [{"id": f"x{n}", "command": "true #" + "x" * 4000} for n in range(500)]
        told = server.post("/runs", {"backend": "local", "document": {"tasks": large}})
        assert "disk is full" in told["error"], told
        assert len(server.states(run_id)) == 8  # reading goes on
        time.sleep(3)  # tasks end meanwhile
        fills.unlink()
        assert server.await_end(run_id) == "completed"
    finally:
        server.stop()
        subprocess.run(["umount", "-l", data], check=True)
    assert sorted(tally.read_text().split()) == sorted(f"t{i}" for i in range(8))


def test_a_machine_that_cannot_be_reached_slows_no_other_and_stops_no_server(
    server: Server, tmp_path: Path
) -> None:
    server.stop()
    # An address of the range for documentation: nothing ever answers there.
    away = {"type": "slurm", "name": "away", "ssh": {"host": "192.0.2.1", "user": "nobody"}}
    server.backends = [LOCAL, away]
    server.start()
    waits = server.run([{"id": "a", "command": "true"}], backend="away")
    began = time.monotonic()
    chain = [{"id": f"t{i}", "command": "true", "deps": [f"t{i - 1}"] * (i > 0)} for i in range(8)]
    assert server.await_end(server.run(chain, backend="local")) == "completed"
    assert time.monotonic() - began < 30
    until(lambda: server.backend("away")["failing_since"] is not None, 60, "the card says so")
    assert server.states(waits) == {"a": "pending"}
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 15


def test_a_run_of_ten_thousand_tasks_is_made_and_cancelled_while_pages_answer(
    server: Server,
) -> None:
    first = {"id": "first", "command": "sleep 300"}
    rest = [{"id": f"t.{i}", "command": "true", "deps": ["first"]} for i in range(10_000)]
    slowest = 0.0
    is_over = threading.Event()

    def browse() -> None:
        nonlocal slowest
        while not is_over.wait(0.05):
            began = time.monotonic()
            server.get("/health")
            slowest = max(slowest, time.monotonic() - began)

    reader = threading.Thread(target=browse)
    reader.start()
    try:
        run_id = server.run([first, *rest], backend="local")
        until(lambda: server.task(run_id, "first")["status"] == "running", 60, "the first task")
        began = time.monotonic()
        server.post(f"/runs/{run_id}/cancel")
        cancelling = time.monotonic() - began
        assert server.await_end(run_id) == "cancelled"
    finally:
        is_over.set()
        reader.join()
    assert cancelling < 10
    assert slowest < 8
