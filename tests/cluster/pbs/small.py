"""A small PBS of executables on the PATH, for the tests of the PBS backend."""

import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

import pytest

PROGRAM = Path(__file__).parent / "standin.py"
COMMANDS = ("qsub", "qstat", "qselect", "qdel")


@dataclass(frozen=True)
class StandIn:
    """A running stand-in for PBS on this machine."""

    base: Path

    def fault(self, name: str) -> None:
        """Switch a fault on: `down`, `nohistory`, `amnesia`."""
        (self.base / name).touch()

    def mend(self, name: str) -> None:
        """Switch a fault off."""
        (self.base / name).unlink(missing_ok=True)

    def ask(self, *argv: str) -> str:
        """What one of the commands prints."""
        return run(argv, capture_output=True, text=True, check=True, timeout=30).stdout

    def end(self) -> None:
        """End all jobs, and wait for them."""
        self.mend("down")
        live = self.ask("qselect").split()
        run(["qdel", *live], capture_output=True, check=False, timeout=30)
        until = time.monotonic() + 30
        while {"job_state = R", "job_state = E"} & {x.strip() for x in self._shown()}:
            assert time.monotonic() < until, "jobs do not end"
            time.sleep(0.05)

    def _shown(self) -> list[str]:
        return self.ask("qstat", "-f").splitlines()


def start_pbs(kind: str, base: Path, patch: pytest.MonkeyPatch) -> StandIn:
    """A PBS of a kind (see standin.py) whose commands come first on the PATH."""
    (base / "bin").mkdir(parents=True)
    install(kind, base, base / "bin", sys.executable)
    patch.setenv("PATH", f"{base / 'bin'}:{os.environ['PATH']}")
    return StandIn(base)


def install(kind: str, base: Path, commands: Path, python: str) -> None:
    """Put a PBS of a kind into `base`, and its commands into a directory of the PATH."""
    (base / "jobs").mkdir(parents=True)
    (base / "kind").write_text(kind)
    program = shutil.copy(PROGRAM, base)  # the checkout may be closed to other users
    for name in COMMANDS:
        command = commands / name
        command.write_text(
            f'#!/bin/sh\nHUT_PBS={base} exec {python} -E -s -S {program} {name} "$@"\n'
        )
        command.chmod(0o755)
