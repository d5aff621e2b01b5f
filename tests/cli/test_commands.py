"""The commands as a shell runs them: what they print, where, and their exit codes."""

import os
import subprocess
from pathlib import Path

import pytest

from scripthut import __version__
from tests.serving import HUT, ROOT, free_port, local, serving, surroundings

WRONG = """
backends:
  - {type: slurm, name: hpc, ssh: {hots: login}}
settings: {server_port: eighty, server_host: 0.0.0.0}
"""


def hut(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*HUT, *words], capture_output=True, text=True, cwd=cwd, env=env, timeout=60, check=False
    )


def test_version_is_one_line() -> None:
    done = hut("--version")
    assert (done.returncode, done.stdout) == (0, f"scripthut {__version__}\n")


def test_the_help_lists_the_commands() -> None:
    done = hut("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("serve", "engine", "submit"))


def test_without_a_command_it_serves_as_older_versions_did(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(local(tmp_path))
    process = subprocess.Popen(
        [*HUT, "-c", str(file), "-p", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(tmp_path),
    )
    assert process.stderr is not None
    assert any("serving at=" in line for line in process.stderr)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_an_unknown_option_is_said_with_exit_code_2() -> None:
    done = hut("serve", "--prot", "80")
    assert done.returncode == 2
    assert "--port" in done.stderr


@pytest.mark.parametrize("command", ["serve", "engine"])
def test_every_problem_of_a_configuration_is_named_by_its_place(
    command: str, tmp_path: Path
) -> None:
    file = tmp_path / "hut.yaml"
    file.write_text(WRONG)
    done = hut(command, "--config", str(file))
    assert done.returncode == 1
    for words in ("backends[0].ssh.host: is required", "backends[0].ssh.hots", "server_port"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_configuration_is_a_sentence() -> None:
    done = hut("serve", "--config", "/nowhere/hut.yaml")
    assert done.returncode == 2
    assert "/nowhere/hut.yaml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "there is no sign-in"),
        (["--host", "hut.example.org"], "there is no sign-in"),
        (["--bind", "0.0.0.0:80"], "unix:PATH"),
        (["--bind", "unix:/nowhere/web.sock"], "there is no directory /nowhere"),
    ],
)
def test_an_address_that_cannot_be_served_is_refused(
    options: list[str], says: str, tmp_path: Path
) -> None:
    done = hut("serve", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        done = hut("serve", "--port", str(site.port), cwd=tmp_path)
    assert done.returncode == 1
    assert f"port {site.port} of 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is not JSON"), ("\xff", "is not UTF-8")],
)
def test_a_file_that_is_no_document_is_a_sentence(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "work.json"
    file.write_bytes(text.encode("latin-1"))
    done = hut("submit", str(file), "--backend", "local")
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "work.json"
    file.write_text('[{"id": "a", "command": "true"}]')
    base = f"http://127.0.0.1:{free_port()}"
    done = hut("submit", str(file), "--backend", "local", "--server", base)
    assert done.returncode == 1
    assert "scripthut serve" in done.stderr
    assert "Traceback" not in done.stderr
