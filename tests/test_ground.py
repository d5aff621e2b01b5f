"""The ground: make, the environment, what is said when a part is missing, and the demonstration."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import bite
from tests.serving import ROOT, Site, free_port, surroundings, until

SCREEN = 24  # lines
SKIPPING = "import pytest\n\ndef test_a():\n    pytest.skip('no cluster here')\n"
PASSING = "def test_a():\n    assert True\n"


def sh(path: str, *words: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", str(ROOT / path), *words],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def programs(directory: Path, **texts: str) -> dict[str, str]:
    """An environment whose only programs are these, each given as a shell script."""
    directory.mkdir()
    for name, text in texts.items():
        program = directory / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return {"PATH": str(directory)}


def test_the_list_of_commands_fits_a_screen_and_is_whole() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make (\w+)", done.stdout, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert listed == phony[1].split()
    assert len(done.stdout.splitlines()) <= SCREEN


def test_a_python_that_is_too_old_is_said(tmp_path: Path) -> None:
    env = programs(tmp_path / "bin", python3="exit 1")
    done = sh(".ci/environment", str(tmp_path / "venv"), env=env)
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_missing_venv_is_said_to_whoever_cannot_install_it(tmp_path: Path) -> None:
    python = 'case "$2" in *ensurepip*) exit 1 ;; *%d.%d*) echo 3.11 ;; esac'
    env = programs(tmp_path / "bin", python3=python, id="echo 1000")
    done = sh(".ci/environment", str(tmp_path / "venv"), env=env)
    assert done.returncode == 1
    assert "apt-get install python3.11-venv" in done.stderr


def test_a_missing_venv_is_installed_by_root(tmp_path: Path) -> None:
    said = tmp_path / "said"
    python = (
        f'case "$2" in *ensurepip*) [ -e {said} ] ;; *%d.%d*) echo 3.11 ;; '
        f"venv) echo made >> {said} ;; esac"
    )
    texts = {"python3": python, "id": "echo 0", "apt-get": f'echo "$*" >> {said}', "rm": "true"}
    env = programs(tmp_path / "bin", **texts)
    done = sh(".ci/environment", str(tmp_path / "venv"), env=env)
    assert done.returncode == 0, done.stderr
    update, install, made = said.read_text().splitlines()
    assert update.startswith("update")
    assert install.endswith("python3.11-venv")
    assert made == "made"


def test_parts_that_cannot_be_installed_are_named(tmp_path: Path) -> None:
    env = programs(tmp_path / "bin", id="echo 1000", ls="exit 1")
    done = sh("tests/parts.sh", env=env)
    assert done.returncode == 0
    assert " sbatch" in done.stdout
    assert " chromium" in done.stdout
    assert "as root on Debian" in done.stdout


@pytest.mark.parametrize(
    ("test", "all_parts", "code"),
    [(SKIPPING, "", 0), (SKIPPING, "1", 1), (PASSING, "1", 0)],
    ids=["left out", "left out though nothing may be", "nothing left out"],
)
def test_what_is_left_out_is_said_and_fails_where_nothing_may_be(
    test: str, all_parts: str, code: int, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HUT_ALL_PARTS": all_parts},
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("1 tests: no cluster here" in done.stdout) == (test == SKIPPING)


@pytest.mark.slow
def test_the_demonstration_shows_a_whole_summary_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    port, said = free_port(), tmp_path / "said"
    with said.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, str(tmp_path / "examples/demo.py"), "--port", str(port)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=surroundings(tmp_path),
        )
    try:
        site = Site("127.0.0.1", port)
        link = until(lambda: re.search(rf"{site.url}(/runs/\w+)", said.read_text()))
        summary = f"/api/v1{link[1]}/summary"
        until(lambda: len(site.get(summary).json["sections"]) == 20)
        assert site.get(link[1]).status == 200
    finally:
        demo.send_signal(signal.SIGINT)
    assert demo.wait(timeout=30) == 0
    assert (tmp_path / "demo/scripthut.db").exists()
    with pytest.raises(ConnectionRefusedError):
        site.get("/")


def test_the_demonstration_says_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples/demo.py"), "--port", str(port)],
            capture_output=True,
            text=True,
            env=surroundings(tmp_path),
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("row", bite.ROWS, ids=lambda row: row.name)
def test_every_protection_that_is_taken_out_once_is_there(row: bite.Row) -> None:
    """Whether a test notices takes minutes to say: `make bite`."""
    assert bite.found(ROOT, row) is not None
    assert all((ROOT / word).exists() for word in row.tests if word.endswith(".py"))
