"""The user's jobs on a backend, whoever submitted them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scripthut.core.jobs import Phase, Token

MOST = 500  # jobs of a queue that are told one by one


@dataclass(frozen=True)
class Listed:
    """A job of the user's queue, whoever submitted it. Memory in bytes, times in seconds.

    `count`: how many jobs stand behind a row, for the waiting part of an array is one row.
    """

    job_id: str
    name: str
    owner: str
    phase: Phase
    word: str
    reason: str | None
    partition: str
    cpus: int
    memory: int | None = None
    nodes: int = 1
    gres: str | None = None
    time_limit: int | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None  # of a waiting job: when its scheduler expects it to start
    node: str | None = None
    account: str | None = None
    count: int = 1
    tokens: tuple[Token, ...] = ()  # by which it may be a task of ours
    ended_at: datetime | None = None  # None: it has not ended
    exit_code: int | None = None

    def used(self, now: datetime) -> float:
        """CPU hours that it has held so far; 0 while it waits."""
        if self.phase is Phase.WAITING or self.started_at is None:
            return 0.0
        until = self.ended_at or now
        return self.cpus * max(0.0, (until - self.started_at).total_seconds()) / 3600

    @property
    def elapsed(self) -> float | None:
        """Seconds for which it ran; None: it did not, or has not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())

    @property
    def key(self) -> str:
        """What it is cancelled by, for as long as it lives; see `key_of`."""
        return key_of(self.job_id)


@dataclass(frozen=True)
class Queue:
    """The user's queue. `jobs` is cut at a bound, and `more` counts what is left out."""

    jobs: tuple[Listed, ...] = ()
    running: int = 0
    waiting: int = 0
    more: int = 0


def key_of(job_id: str) -> str:
    """A job's id without what changes: what waits of an array grows less while its parts start.

    A heterogeneous job is one job, whichever of its parts is named.

    >>> [key_of(i) for i in ("3_[2-50%2]", "3_1", "12+1", "4[].pbs1", "7")]
    ['3_[]', '3_1', '12', '4[].pbs1', '7']
    """
    head, bracket, _ = job_id.partition("_[")
    return f"{head}_[]" if bracket else job_id.partition("+")[0]


def bounded(jobs: Iterable[tuple[Phase, int, Callable[[], Listed]]]) -> Queue:
    """A queue of (phase, how many jobs stand behind it, how to tell it), cut at MOST.

    What runs is told first; a queue of fifty thousand costs a count, not a value for each.
    """
    live = [job for job in jobs if job[0] in (Phase.RUNNING, Phase.WAITING)]
    live.sort(key=lambda job: job[0] is Phase.WAITING)
    counts = {phase: sum(job[1] for job in live if job[0] is phase) for phase in Phase}
    told = tuple(tell() for _, _, tell in live[:MOST])
    left_out = sum(job[1] for job in live[MOST:])
    return Queue(told, counts[Phase.RUNNING], counts[Phase.WAITING], left_out)


_QUEUE = TypeAdapter(Queue)


def queue_as_json(queue: Queue) -> dict[str, Any]:
    """A queue as plain data."""
    told: dict[str, Any] = _QUEUE.dump_python(queue, mode="json")
    return told


def queue_of(data: object) -> Queue:
    """A queue from plain data; what another version wrote differently is forgotten."""
    try:
        return _QUEUE.validate_python(data)
    except ValidationError:
        return Queue()
