"""A scheduler that is slow to tell people what they look at does not hold up anything else."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripthut.backends.cluster import ClusterBackend
from scripthut.backends.sights import PAUSE, SECONDS
from scripthut.core.sights import Crowd, Ended
from scripthut.core.survey import Surveyed, Wish
from scripthut.schedulers.slurm import Slurm
from scripthut.transports.local import Local

BOTH = Wish(queue=True, crowd=True, ended=True)
SQUEUE = 'case "$*" in *--user*|*-u*) exit 0;; esac\n'  # one's own queue answers at once


@dataclass
class Programs:
    """Slurm's programs, as far as a look asks them; each call is written down."""

    where: Path
    now: float = 0.0
    opened: list[ClusterBackend] = field(default_factory=list)

    def put(self, name: str, does: str) -> None:
        file = self.where / name
        file.write_text(f"#!/bin/sh\n{does}\n")
        file.chmod(0o755)

    def backend(self) -> ClusterBackend:
        self.opened.append(ClusterBackend("there", Slurm(), Local(), now=lambda: self.now))
        return self.opened[-1]

    def hang(self, name: str, before: str = "") -> None:
        self.put(name, f"{before}echo {name} >>{self.where}/calls\nexec sleep 300")

    def calls(self) -> list[str]:
        file = self.where / "calls"
        told = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return sorted(told)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Programs]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    programs = Programs(tmp_path)
    programs.put("scontrol", "exit 0")
    yield programs
    for backend in programs.opened:
        backend.close()


def look(backend: ClusterBackend) -> tuple[Crowd, Ended]:
    told: Surveyed = backend.survey([], BOTH)[1]
    assert told.queue is not None
    assert told.crowd is not None
    assert told.ended is not None
    return told.crowd, told.ended


def test_a_listing_that_is_slow_is_left_alone_for_a_while_and_says_so(programs: Programs) -> None:
    programs.hang("squeue", SQUEUE)
    programs.hang("sacct")
    backend = programs.backend()
    began = time.monotonic()
    crowd, ended = look(backend)
    assert time.monotonic() - began < 10
    assert SECONDS <= 3
    assert programs.calls() == ["sacct", "squeue"]
    assert re.fullmatch(
        rf"Others' jobs could not be listed within {SECONDS} s; "
        r"they are asked for again after \d\d:\d\d UTC\.",
        str(crowd.note),
    )
    assert re.fullmatch(
        rf"The scheduler did not tell within {SECONDS} s what ended; "
        r"it is asked again after \d\d:\d\d UTC\.",
        str(ended.note),
    )
    assert not ended.is_told
    programs.now = PAUSE - 1
    assert look(backend) == (crowd, ended)
    assert programs.calls() == []
    programs.now = PAUSE
    programs.put("sacct", "exit 0")
    programs.put("squeue", "exit 0")
    assert look(backend)[1] == Ended()
    assert look(backend)[0].note == "Nobody else has a job in the queue."


def test_one_slow_listing_leaves_the_other_as_it_is(programs: Programs) -> None:
    programs.put("squeue", "exit 0")
    programs.hang("sacct")
    programs.hang("scontrol")
    backend = programs.backend()
    first = look(backend)
    assert programs.calls() == ["sacct", "scontrol"]
    assert first[0].note == "Nobody else has a job in the queue."
    assert look(backend) == first
    assert programs.calls() == []
