"""The server in the background, and which server a command asks."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.serving import HUT, free_port, local, serving, surroundings, until


def hut(cwd: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*HUT, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**surroundings(cwd), **env},
        timeout=90,
        check=False,
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A directory with a configuration, whose server is stopped afterwards."""
    port = free_port()
    (tmp_path / "scripthut.yaml").write_text(
        local(tmp_path, server_port=port, cli_autostart="never")
    )
    yield tmp_path
    hut(tmp_path, "daemon", "stop")


def told(site: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((site / "data/daemon/daemon.json").read_text())
    return found


def test_it_starts_answers_and_stops(site: Path) -> None:
    assert hut(site, "daemon", "status").returncode == 3
    started = hut(site, "daemon", "start", "--json")
    assert started.returncode == 0, started.stderr
    pid = json.loads(started.stdout)["pid"]
    assert hut(site, "daemon", "start").returncode == 0
    assert told(site)["pid"] == pid
    assert hut(site, "daemon", "status").returncode == 0
    assert json.loads(hut(site, "run", "list", "--json").stdout)["runs"] == []
    assert "serving at=" in hut(site, "daemon", "logs", "--tail", "20").stdout
    assert f"pid {pid}" in hut(site, "daemon", "stop").stdout
    assert not psutil.pid_exists(pid)
    assert hut(site, "daemon", "status", "--json").returncode == 3
    assert hut(site, "daemon", "stop").stdout == "was not running\n"


def test_a_pid_that_another_process_has_now_is_not_the_server(site: Path) -> None:
    assert hut(site, "daemon", "start").returncode == 0
    found = told(site)
    os.kill(int(str(found["pid"])), signal.SIGKILL)
    until(lambda: hut(site, "daemon", "status").returncode == 3)
    sleeper = subprocess.Popen(["sleep", "60"])
    (site / "data/daemon/daemon.json").write_text(json.dumps({**found, "pid": sleeper.pid}))
    assert hut(site, "daemon", "status").returncode == 3
    assert hut(site, "daemon", "stop").returncode == 0
    assert sleeper.poll() is None
    sleeper.terminate()
    sleeper.wait()


def test_another_programs_port_is_a_sentence(site: Path) -> None:
    with serving(site / "other") as other:
        config = local(site, server_port=other.port, cli_autostart="never")
        (site / "scripthut.yaml").write_text(config)
        done = hut(site, "daemon", "start")
        assert done.returncode == 1
        assert "is taken by another program" in done.stderr
        assert "Traceback" not in done.stderr


def test_two_that_start_at_once_start_one(site: Path) -> None:
    words = [*HUT, "daemon", "start", "--json"]
    both = [
        subprocess.Popen(words, stdout=subprocess.PIPE, cwd=site, env=surroundings(site))
        for _ in range(2)
    ]
    pids = [json.loads(process.communicate(timeout=90)[0])["pid"] for process in both]
    assert pids[0] == pids[1]


def test_a_command_starts_the_server_when_that_is_configured(site: Path) -> None:
    file = site / "scripthut.yaml"
    refused = hut(site, "run", "list")
    assert refused.returncode == 1
    assert "scripthut daemon start" in refused.stderr
    file.write_text(file.read_text().replace('"never"', '"always"'))
    done = hut(site, "run", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"] == []
    assert "server started" in done.stderr


def test_the_server_is_chosen_by_flag_then_variable_then_configuration(site: Path) -> None:
    with serving(site / "one") as one, serving(site / "two") as two:
        one.run([{"id": "a", "command": "true"}], "of one")
        two.run([{"id": "a", "command": "true"}], "of two")
        config = json.loads((site / "scripthut.yaml").read_text())
        config["settings"]["cli_server"] = one.url
        (site / "scripthut.yaml").write_text(json.dumps(config))

        def asked(*words: str, **env: str) -> str:
            done = hut(site, "run", "list", "--json", *words, **env)
            return str(json.loads(done.stdout)["runs"][0]["name"])

        assert asked() == "of one"
        assert asked(SCRIPTHUT_SERVER=two.url) == "of two"
        assert asked("--server", one.url, SCRIPTHUT_SERVER=two.url) == "of one"
        (site / "other.yaml").write_text(json.dumps({"settings": {"cli_server": two.url}}))
        assert asked("--config", "other.yaml") == "of two"


@pytest.mark.parametrize(
    ("answer", "code", "told"), [("yes", 0, "always"), ("no", 1, "never"), ("once", 0, "ask")]
)
def test_the_answer_to_whether_a_server_is_started_is_remembered(
    answer: str, code: int, told: str, site: Path
) -> None:
    file = site / "scripthut.yaml"
    data = json.loads(file.read_text())["settings"]
    file.write_text(
        f"# mine\nsettings:\n  data_dir: {data['data_dir']}  # here\n"
        f"  server_port: {data['server_port']}\n  cli_autostart: ask\n"
    )
    asks, answers = pty.openpty()
    os.write(asks, f"{answer}\n".encode())
    done = subprocess.run(
        [*HUT, "run", "list", "--json"],
        stdin=answers,
        stderr=answers,
        stdout=subprocess.PIPE,
        cwd=site,
        env=surroundings(site),
        timeout=90,
        check=False,
    )
    said = os.read(asks, 65536).decode()
    os.close(asks)
    os.close(answers)
    assert done.returncode == code, said
    assert f"cli_autostart: {told}\n" in file.read_text()
    assert file.read_text().startswith("# mine\nsettings:\n  data_dir:")
    assert ("server started" in said) == (code == 0)
    assert ("remembered: settings.cli_autostart" in said) == (answer != "once")
