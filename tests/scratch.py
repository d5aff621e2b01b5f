"""Directories directly below /tmp: their paths are short, and other users may look into them.

Those with files that are made and removed all the time may be in memory.

Whoever makes one holds a lock on it until it is gone. So a directory that nobody holds was left by
a run that was killed, and the next run removes it.
"""

import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path("/tmp")
MEMORY = Path("/dev/shm")  # a directory without a disk, on Linux
ENOUGH = 1 << 30  # bytes that must be free in it
PREFIX = "hut."
DOWN = Path(__file__).parent / "cluster" / "down.sh"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin by removing what is left, in one process of several."""
    if not hasattr(session.config, "workerinput"):
        sweep()


@contextmanager
def scratch(root: Path | None = None) -> Iterator[Path]:
    """A directory for as long as the `with` lasts."""
    with claimed(root) as (place, _):
        try:
            yield place
        finally:
            shutil.rmtree(place)


def quick() -> Path:
    """Where files are made and removed without a disk, if there is room for them."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH
    return MEMORY if has_room else ROOT


@contextmanager
def claimed(root: Path | None = None) -> Iterator[tuple[Path, int]]:
    """A directory that another process is to remove, and the descriptor that holds its lock."""
    with _alone():
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root or ROOT))
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield place, lock
    finally:
        os.close(lock)


def sweep() -> None:
    """Remove the directories that nobody holds, with the clusters in them."""
    with _alone():
        for place in sorted([*ROOT.glob(f"{PREFIX}*"), *MEMORY.glob(f"{PREFIX}*")]):
            if _is_ours(place) and _is_left(place):
                _remove(place)


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else makes or removes one meanwhile: one that is new is held before it is seen."""
    with (ROOT / f".hut-scratch-{os.geteuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_ours(place: Path) -> bool:
    """Whether it is a directory of this very user: in /tmp, anybody may make one of that name."""
    found = place.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _is_left(place: Path) -> bool:
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _remove(place: Path) -> None:
    """Remove one; what still runs in it, once it has ended, the next time."""
    if (place / "run").is_dir():
        subprocess.run([DOWN, place, "--wipe"], check=False, capture_output=True, timeout=120)
    running = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    if not any(f"{place}/" in word for words in running for word in words):
        shutil.rmtree(place, ignore_errors=True)
