"""The processes of `scripthut serve` and `scripthut engine`: start, share the work, stop."""

import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.serving import (
    HUT,
    ROOT,
    Site,
    ended,
    free_port,
    local,
    serving,
    surroundings,
    until,
)

HELLO = [{"id": "a", "command": "true"}]


def leader(site: Site) -> str | None:
    engine = site.get("/api/v1/health").json["engine"]
    return engine["holder"] if engine else None


def test_a_socket_file_is_for_its_owner_and_group_alone(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with serving(tmp_path, "--bind", f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o770
    assert not path.exists()


def test_a_killed_worker_is_replaced_and_another_engine_leads(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        first = until(lambda: leader(site))
        master = next(
            p for p in psutil.Process().children() if "scripthut.cli" in " ".join(p.cmdline())
        )
        for worker in master.children():
            worker.kill()
        second = until(lambda: (found := leader(site)) != first and found)
        assert second != first
        run = site.run(HELLO)
        assert ended(site, run)["status"] == "completed"


def test_without_an_engine_runs_wait_for_one(tmp_path: Path) -> None:
    config = local(tmp_path, engine=False)
    with serving(tmp_path, config=config) as site:
        run = site.run(HELLO)
        assert leader(site) is None
        assert site.get(f"/api/v1/runs/{run}").json["status"] == "pending"
        words = [*HUT, "engine", "--config", str(tmp_path / "scripthut.yaml")]
        with (tmp_path / "engine.log").open("wb") as log:
            engine = subprocess.Popen(words, stderr=log, env=surroundings(tmp_path))
        try:
            assert ended(site, run)["status"] == "completed"
        finally:
            engine.send_signal(signal.SIGTERM)
        assert engine.wait(timeout=30) == 0
        assert "engine stopped" in (tmp_path / "engine.log").read_text()
        assert until(lambda: leader(site) is None)  # the lease was given back


def test_stopping_gives_the_lease_back_and_leaves_no_process(tmp_path: Path) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with serving(tmp_path) as site:
        until(lambda: leader(site))
    after = {p.pid for p in psutil.Process().children(recursive=True)}
    assert after <= before
    with serving(tmp_path, config=local(tmp_path, engine=False)) as site:
        assert leader(site) is None


def test_clients_that_read_or_write_a_byte_a_second_hold_up_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as site, ExitStack() as stack:
        command = 'head -c 4000000 /dev/urandom >"$SCRIPTHUT_OUTPUT_DIR/large.bin"'
        run = site.run([{"id": "a", "command": command}])
        ended(site, run)
        file = until(lambda: kept(site, run))
        slow = [stack.enter_context(slow_client(site)) for _ in range(6)]
        for client in slow[:3]:
            client.sendall(f"GET {file} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        took = []
        for second in range(5):
            for client in slow[:3]:
                assert client.recv(1)  # of four million
            for client in slow[3:]:
                client.sendall(b"GET / HTTP/1.1"[second : second + 1])
            for _ in range(8):
                began = time.monotonic()
                assert site.get("/runs").status == 200
                took.append(time.monotonic() - began)
            time.sleep(1)  # a byte a second is what is tested
        assert max(took) < 1, took


def kept(site: Site, run: str) -> str | None:
    """Where the run's one file is, once it is kept."""
    files = site.get(f"/api/v1/runs/{run}/tasks/a/outputs").json["files"]
    return next((str(file["url"]) for file in files if file["sha256"]), None)


def slow_client(site: Site) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((site.host, site.port))
    return client


def test_the_log_is_one_line_an_event(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        site.get("/")
    lines = (tmp_path / "server.log").read_text().splitlines()
    assert lines
    strange = [line for line in lines if not line[:4].isdigit() or "Z " not in line[:22]]
    assert strange == []


def test_gunicorn_can_start_the_application_itself(tmp_path: Path) -> None:
    config = tmp_path / "scripthut.yaml"
    config.write_text(local(tmp_path))
    site = Site("127.0.0.1", free_port())
    words = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "2"]
    words += ["--bind", f"127.0.0.1:{site.port}", "--no-control-socket", "app:app"]
    env = {**surroundings(tmp_path), "SCRIPTHUT_CONFIG": str(config)}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(words, cwd=ROOT, env=env, stderr=log)
    try:
        until(lambda: is_up(site))
        assert ended(site, site.run(HELLO))["status"] == "completed"
    finally:
        server.terminate()
    assert server.wait(timeout=30) == 0
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    with serving(tmp_path, config=local(tmp_path, engine=False)) as after:
        assert leader(after) is None  # the lease was given back


def is_up(site: Site) -> bool:
    try:
        return site.get("/").status == 200
    except ConnectionRefusedError:
        return False


BREAKS_ONCE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
from scripthut.cli import main
from scripthut.engine import loop

loop.BREAK, whole = 0.1, loop.Engine.tick


def tick(engine, now):
    if not Path("has-broken").exists():
        Path("has-broken").touch()
        raise RuntimeError("can't start new thread")
    return whole(engine, now)


loop.Engine.tick = tick
main()
"""


def test_a_worker_whose_engine_broke_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "breaks.py").write_text(BREAKS_ONCE)
    program = (sys.executable, str(tmp_path / "breaks.py"), str(ROOT))
    with serving(tmp_path, config=local(tmp_path, workers=1), program=program) as site:
        log = tmp_path / "server.log"
        until(lambda: log.read_text().count("engine candidate") == 2)
        run = site.run({"tasks": [{"id": "a", "command": "true"}]})
        assert ended(site, run)["status"] == "completed"
    assert "engine broke" in log.read_text()
