"""What lies on a backend's disk: kinds, whose it is, and whether it may be deleted."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

IDLE = timedelta(days=1)  # what nobody here knows may be another server's: that long untouched
IDLE_COMMIT = timedelta(days=7)  # of a commit's directory: its server may be down, its jobs not
FRESH = timedelta(hours=1)  # that long after a look what it found may go
UNSEEN = "Not all of it could be looked at: another server may be using it."
NOT_OURS = "It is a server's own, or not of scripthut's making."
LONGEST_JOB = timedelta(days=30)  # a job that began and has not said its end may still run


class Kind(StrEnum):
    """What something on the disk is, by its shape and its place."""

    COMMIT = "commit"  # a directory that holds a commit
    RUN = "run"  # logs, outputs and notes of one run
    LEFTOVER = "leftover"  # archives, and what an interruption left
    OTHER = "other"


class Class(StrEnum):
    """Who uses something."""

    ACTIVE = "active"  # a run that has not ended, or what it wrote is still to be fetched
    REFERENCED = "referenced"  # runs that have ended
    ORPHANED = "orphaned"  # nothing that this server knows
    UNKNOWN = "unknown"  # not of our making


@dataclass(frozen=True)
class Thing:
    """What a scan found. Sizes in bytes."""

    kind: Kind
    root: str  # absolute; trusted, as configured
    name: bytes  # below the root; of a run the folder of its logs
    run_id: str | None = None  # of a run's files
    mark: str = ""  # which directory it was, so that one that took its place is another
    size: int | None = None  # None: not measured
    files: int = 0
    is_whole: bool = True  # False: measuring was cut, it is more
    touched_at: datetime | None = None  # the newest change in it, or its mark's
    is_busy: bool = False  # a job in it began and has not said its end; or it is being made
    note: str | None = None  # a sentence, why nothing more is known

    @property
    def place(self) -> tuple[str, str, bytes, str | None]:
        """What makes it this one."""
        return self.kind.value, self.root, self.name, self.run_id


@dataclass(frozen=True)
class User:
    """A run that this server knows. `is_active`: it has not ended, or is still collected."""

    run_id: str
    name: str
    is_active: bool


@dataclass(frozen=True)
class Verdict:
    """Whose something is, and why it must stay (None: it may be deleted), as a sentence."""

    whose: Class
    why: str | None
    users: tuple[User, ...] = ()


def patience(kind: Kind, whose: Class) -> timedelta:
    """For how long something must have been untouched, since another server may use it."""
    if kind is Kind.RUN and whose is Class.REFERENCED:
        return timedelta(0)  # a run's id is no other server's
    return IDLE_COMMIT if kind is Kind.COMMIT and whose is Class.ORPHANED else IDLE


def judge(thing: Thing, users: Sequence[User], seen_at: datetime) -> Verdict:
    """Say whose something is, and whether it may go. `seen_at`: when the look at it began.

    >>> from datetime import UTC
    >>> now = datetime(2026, 1, 9, tzinfo=UTC)
    >>> run = Thing(Kind.RUN, "/l", b"study", "abcdefgh", touched_at=now - timedelta(days=2))
    >>> [judge(run, u, now).whose.value for u in ((), [User("abcdefgh", "study", False)])]
    ['orphaned', 'referenced']
    """
    by = tuple(sorted(users, key=lambda one: (not one.is_active, one.run_id)))
    if thing.kind is Kind.OTHER:
        return Verdict(Class.UNKNOWN, thing.note or NOT_OURS, by)
    if any(one.is_active for one in by):
        return Verdict(Class.ACTIVE, "A run that has not ended uses it.", by)
    whose = Class.REFERENCED if by else Class.ORPHANED
    return Verdict(whose, _in_use(thing, patience(thing.kind, whose), seen_at), by)


def _in_use(thing: Thing, idle: timedelta, seen_at: datetime) -> str | None:
    """Why another server may be using something; None: it does not."""
    if not idle:
        return None
    if thing.touched_at is None or not thing.is_whole:
        return thing.note or UNSEEN
    age = seen_at - thing.touched_at
    if age < idle:
        within = "a day" if idle == IDLE else f"{idle.days} days"
        return f"It was used within {within}: another server may be using it."
    if thing.is_busy and age < LONGEST_JOB:
        return "A job of it has begun and not said that it ended."
    return None


@dataclass(frozen=True)
class Removal:
    """A deletion that was ordered, as its backend is told. `idle`: seconds it must be untouched."""

    id: str
    thing: Thing
    idle: float
    may_begin: bool  # False: only what was begun before goes on
    is_moved: bool  # its backend has said that it has begun


class Way(StrEnum):
    """How far a deletion is."""

    GOING = "going"  # out of its place; its bytes are being freed
    GONE = "gone"
    STAYS = "stays"


@dataclass(frozen=True)
class Done:
    """What a backend said of a deletion. `why`: the end of a sentence."""

    way: Way
    freed: int = 0  # bytes, in this step
    why: str | None = None


@dataclass(frozen=True)
class Scan:
    """A look at the disk. `offset`: how many bytes of its answer are here."""

    id: str
    roots: tuple[str, ...]  # of directories of commits; may begin with `~`
    begun_at: datetime  # by the server's clock
    offset: int = 0


class Stage(StrEnum):
    """How far a look at the disk is."""

    BUSY = "busy"  # another server looks; only one at a time does
    GOING = "going"
    ENDED = "ended"
    LOST = "lost"  # its process has gone, or what it wrote


@dataclass(frozen=True)
class Scanned:
    """What a backend said of a look, since the offset."""

    stage: Stage
    offset: int = 0
    home: str | None = None
    total: int | None = None  # how many things there are to measure; None: not known yet
    things: tuple[Thing, ...] = ()
    note: str | None = None  # why not everything was looked at, as a sentence


@dataclass(frozen=True)
class Wanted:
    """What a backend is asked to do, in one command."""

    scan: Scan | None = None
    removals: tuple[Removal, ...] = ()


@dataclass(frozen=True)
class Told:
    """What it said of that. A removal that is missing is asked about again."""

    scan: Scanned | None = None
    removals: Mapping[str, Done] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """Something on a disk as a page shows it: its row, the thing, and whose it is."""

    id: int
    thing: Thing
    verdict: Verdict
    is_leaving: bool  # its deletion is ordered

    @property
    def may_go(self) -> bool:
        """Whether it can be chosen for deletion."""
        return self.verdict.why is None and not self.is_leaving

    @property
    def is_fresh_alone(self) -> bool:
        """Whether it may go only soon after it was seen: another server may come to use it."""
        return bool(patience(self.thing.kind, self.verdict.whose))


ORDERS: Mapping[str, Callable[[Shown], tuple[int, object]]] = {
    "size": lambda one: (0, one.thing.size if one.thing.size is not None else -1),
    "name": lambda one: (0, one.thing.name),
    "class": lambda one: (0, list(Class).index(one.verdict.whose)),
    "modified": lambda one: (
        (0, one.thing.touched_at.timestamp()) if one.thing.touched_at else (-1, 0.0)
    ),
}


def ordered(shown: Iterable[Shown], by: str) -> list[Shown]:
    """In the order that an address asks for: a key of ORDERS, `-` before it for the reverse."""
    key = ORDERS.get(by.removeprefix("-"), ORDERS["size"])
    known = by if by.removeprefix("-") in ORDERS else "-size"
    found = sorted(shown, key=lambda one: (one.thing.name, one.thing.run_id or ""))
    return sorted(found, key=key, reverse=known.startswith("-"))
