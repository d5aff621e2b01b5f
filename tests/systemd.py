"""A real systemd for the tests of what only it gives: in namespaces of its own (systemd.sh)."""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parent / "systemd.sh"
UNSHARE = ["unshare", "--pid", "--fork", "--mount", "--cgroup", "--uts", "--ipc"]
STARTS_WITHIN = 30  # seconds
UNITS = Path("/run/systemd/system")  # as it sees it


@dataclass(frozen=True)
class Systemd:
    """One that runs; it can write below one directory alone."""

    pid: int

    def words(self, *argv: str) -> list[str]:
        """A command as one that runs inside."""
        return ["nsenter", f"--target={self.pid}", *["-m", "-u", "-i", "-p", "-C"], "--", *argv]

    def run(self, *argv: str, stdin: str = "") -> str:
        """Run a command inside; its output."""
        done = subprocess.run(
            self.words(*argv), input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    def service(self, name: str, text: str) -> None:
        """Define a service."""
        self.run("sh", "-c", f"cat >{UNITS}/{name}.service", stdin=text)
        self.run("systemctl", "daemon-reload")

    def scopes(self) -> list[str]:
        """The scopes of jobs that there are."""
        told = self.run("systemctl", "list-units", "--plain", "--no-legend", "scripthut-*.scope")
        return [line.split()[0] for line in told.splitlines()]


@pytest.fixture(scope="module")
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Systemd, Path]]:
    """A systemd, and the directory below which what runs inside can write."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("no namespaces here (root, util-linux)")
    may = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if may.returncode != 0:
        pytest.skip(f"no namespaces here ({may.stderr.strip()})")
    if not Path("/lib/systemd/systemd").exists():
        pytest.skip("no systemd here (Debian package systemd)")
    name, directory = f"hut-{secrets.token_hex(4)}", tmp_path_factory.mktemp("systemd")
    with (directory / "systemd.log").open("wb") as log:
        argv = ["sh", str(SCRIPT), name, str(directory)]
        outer = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield Systemd(_started(outer, directory)), directory
    finally:
        outer.kill()  # and with it, by the kernel, all that runs inside
        outer.wait()
        subprocess.run(["sh", str(SCRIPT), "--clean", name], check=False, timeout=60)


def _started(outer: "subprocess.Popen[bytes]", directory: Path) -> int:
    """Wait until it is at work; its process."""
    deadline = time.monotonic() + STARTS_WITHIN
    argv: Sequence[str] = ("systemctl", "is-system-running")
    while time.monotonic() < deadline and outer.poll() is None:
        for child in psutil.Process(outer.pid).children():
            ask = Systemd(child.pid).words(*argv)
            told = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
            if told.stdout.strip() in ("running", "degraded"):
                return child.pid
        time.sleep(0.1)
    said = (directory / "systemd.log").read_text(errors="replace")
    raise AssertionError(f"systemd does not start: {said}")
