"""`scripthut config ...` and `scripthut init`, as a shell and a person at a terminal run them."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from scripthut.cli.ssh_hosts import hosts, scheduler
from scripthut.config import load
from scripthut.core.errors import Unreachable
from tests.serving import HUT, local, serving, surroundings

SSH_CONFIG = """\
Host login  # the cluster
  HostName login.example.org
Host *.example.org
  User ada
HOST = "two names" gateway !not
Include more/*.conf
"""


def hut(cwd: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*HUT, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**surroundings(cwd), **env},
        timeout=60,
        check=False,
    )


def test_a_wrong_file_is_told_by_line_and_with_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("settings:\n  poll_interval: 1\n")
    done = hut(tmp_path, "config", "check", "x.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert "settings.poll_interval: 1 is less than 5 (line 2)" in done.stderr
    done = hut(tmp_path, "config", "check", "x.yaml", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["problems"] == [
        "settings.poll_interval: 1 is less than 5 (line 2)"
    ]


def test_a_good_file_is_told_with_what_is_not_used_of_it(tmp_path: Path) -> None:
    (tmp_path / "scripthut.yaml").write_text("pricing: {region: x}\n")
    done = hut(tmp_path, "config", "check")
    assert done.returncode == 0
    assert "is well. Backends: local. Sources: none." in done.stdout
    said = "costs are shown for a backend that has `prices` of its own"
    assert done.stderr == f"note: pricing: is kept; {said}\n"


def test_what_holds_is_shown_with_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "scripthut.yaml").write_text("settings: {server_port: 8123}\n")
    done = hut(tmp_path, "config", "show", "--json", SCRIPTHUT_SETTINGS_WORKERS="3")
    told = {one["key"]: one for one in json.loads(done.stdout)["values"]}
    assert told["settings.server_port"]["from"] == f"{tmp_path}/scripthut.yaml:1"
    assert told["settings.workers"]["from"] == "SCRIPTHUT_SETTINGS_WORKERS"
    assert "settings.server_port" in hut(tmp_path, "config", "show").stdout


def test_a_server_reads_again_when_it_is_told(tmp_path: Path) -> None:
    with serving(tmp_path / "site") as site:
        file = tmp_path / "site/scripthut.yaml"
        file.write_text(local(tmp_path / "site", poll_interval=7))
        done = hut(tmp_path, "config", "reload", "--server", site.url)
        assert done.returncode == 0
        assert "settings.poll_interval" in done.stdout
        file.write_text("settings: 5")
        done = hut(tmp_path, "config", "reload", "--server", site.url)
        assert done.returncode == 1
        assert "settings: must be a mapping" in done.stderr


def test_init_works_with_flags_alone(tmp_path: Path) -> None:
    done = hut(
        tmp_path, "init", "--host", "ada@hpc.example.org", "--type", "pbs", "--account", "#1"
    )
    assert done.returncode == 0, done.stderr
    file = tmp_path / "home/.config/scripthut/scripthut.yaml"
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=.scripthut.schema.json\n")
    assert (file.parent / ".scripthut.schema.json").exists()
    cluster, here = load(file).backends
    assert (cluster.type, cluster.name, here.type) == ("pbs", "hpc", "local")
    assert cluster.type == "pbs"
    assert (cluster.ssh.host, cluster.ssh.user, cluster.account) == ("hpc.example.org", "ada", "#1")
    again = hut(tmp_path, "init", "--host", "local")
    assert again.returncode == 1
    assert "--force writes over it" in again.stderr
    assert file.read_text() == text
    assert hut(tmp_path, "init", "--host", "local", "--force").returncode == 0
    assert [backend.type for backend in load(file).backends] == ["local"]


def test_init_without_a_terminal_says_which_flag_is_missing(tmp_path: Path) -> None:
    done = hut(tmp_path, "init")
    assert done.returncode == 1
    assert "--host" in done.stderr


def test_init_asks_three_questions(tmp_path: Path) -> None:
    (tmp_path / "home/.ssh/more").mkdir(parents=True)
    (tmp_path / "home/.ssh/config").write_text("Host nowhere.invalid\n")
    asks, answers = pty.openpty()
    process = subprocess.Popen(
        [*HUT, "init", "-o", "x.yaml", "--json"],
        stdin=answers,
        stderr=answers,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=surroundings(tmp_path),
    )
    os.write(asks, b"1\npbs\nmy-project\n")
    out, _ = process.communicate(timeout=60)
    said = os.read(asks, 65536).decode()
    os.close(answers)
    os.close(asks)
    assert process.returncode == 0, said
    assert json.loads(out) == {"file": "x.yaml", "type": "pbs", "host": "nowhere.invalid"}
    assert "1. nowhere.invalid" in said
    assert "does not answer" in said
    cluster, _ = load(tmp_path / "x.yaml").backends
    assert cluster.type == "pbs"
    assert cluster.account == "my-project"


def test_the_hosts_of_the_ssh_configuration_are_found(tmp_path: Path) -> None:
    (tmp_path / ".ssh/more").mkdir(parents=True)
    (tmp_path / ".ssh/config").write_text(SSH_CONFIG)
    (tmp_path / ".ssh/more/a.conf").write_text("Host included\nInclude ../config\n")
    assert hosts(tmp_path) == ["login", "two names", "gateway", "included"]
    assert hosts(tmp_path / "none") == []


def test_a_host_that_does_not_answer_is_no_host_without_a_scheduler() -> None:
    with pytest.raises(Unreachable, match=r"nowhere\.invalid does not answer"):
        scheduler("nowhere.invalid")
