"""A directory on a backend that holds a commit: what is asked for, and how far it is."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class Folder:
    """What a directory `<root>/<name>` is to hold. `root` may begin with `~`."""

    root: str
    name: str
    archive: str | None = None  # sha256 of the packed commit; None: it is not packed yet
    size: int = 0  # bytes of the archive
    postclone: str | None = None  # bash, run in the new directory
    keep: bool = False  # the archive there, for other directories of the same commit


class Stage(StrEnum):
    """How far a directory is, as its backend says."""

    WANTED = "wanted"  # the archive is needed, from an offset on
    WORKING = "working"  # being unpacked, or postclone runs
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Placed:
    """What a backend said of a directory."""

    stage: Stage
    path: str  # absolute
    offset: int = 0  # how many bytes of the archive are there, when it is wanted
    why: str | None = None  # a sentence: why it failed, or what it is doing


@dataclass(frozen=True)
class Held:
    """A directory that is there. `used_at`: when a run last began or ended in it; None: never."""

    id: int
    used_at: datetime | None
    is_busy: bool  # a run that is not over works in it


def surplus(held: Sequence[Held], most: int | None, before: datetime | None) -> list[int]:
    """Those beyond the `most` that were used last, or not used since `before`; None: no limit.

    One that is in use stays, and counts.

    >>> day = [datetime(2026, 1, n) for n in (1, 2, 3, 4)]
    >>> held = [Held(1, day[0], True), Held(2, day[1], False), Held(3, day[3], False)]
    >>> surplus(held, 1, None), surplus(held, None, day[2]), surplus(held, None, None)
    ([2, 3], [2], [])
    """
    used = sorted(held, key=lambda one: one.used_at.timestamp() if one.used_at else 0, reverse=True)
    used.sort(key=lambda one: not one.is_busy)
    beyond = {one.id for one in used[most:]} if most else set()
    old = {one.id for one in used if before and (one.used_at is None or one.used_at < before)}
    return [one.id for one in held if not one.is_busy and one.id in beyond | old]


def name_of(sha: str, postclone: str | None, submodules: bool, run_id: str | None = None) -> str:
    """What the directory of a commit is called, or that of one run of it.

    What is done in it after unpacking is part of its name, so that it is never what it was before
    the configuration changed. It is part of each name, for versions before 1.0 cloned into
    directories that are called like the commit alone, and their runs have logs and outputs there.

    >>> name_of("0123456789abcdef", None, True)
    '0123456789ab-e3b0c4'
    >>> name_of("0123456789abcdef", "make", True), name_of("0123456789abcdef", None, True, "abc")
    ('0123456789ab-d05aa2', '0123456789ab-e3b0c4-run-abc')
    """
    extra = f"{postclone or ''}{'' if submodules else '|plain'}"
    mark = hashlib.sha256(extra.encode()).hexdigest()[:6]
    return f"{sha[:12]}-{mark}{f'-run-{run_id}' if run_id else ''}"
