"""What a cycle acts with: one backend, and a database it may write only while it leads."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from scripthut.backends.base import Backend
from scripthut.core.jobs import Job, OutputLimits
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store.db import Session
from scripthut.store.files.kept import Kept


def nothing_beyond(_: Sequence[TaskSpec]) -> Sequence[str]:
    """No task asks for more than there is; of a cluster, its scheduler says so itself."""
    return ()


@dataclass(frozen=True)
class Hands:
    """One backend's cycle acts through these alone.

    `writing` is fenced: it raises Fenced, with nothing written, once another engine leads.
    """

    backend: Backend
    reading: Callable[[], AbstractContextManager[Session]]
    writing: Callable[[], AbstractContextManager[Session]]
    kept: Kept
    limits: OutputLimits
    secret_names: frozenset[str] = frozenset()  # of variables, besides those that look like it
    kind: str | None = None  # the backend's type in the configuration
    beyond: Callable[[Sequence[TaskSpec]], Sequence[str]] = nothing_beyond  # said of what joins


@dataclass(frozen=True)
class Watched:
    """A task that the cycle asked about, as it stood when the cycle began."""

    task_id: int
    run_id: str
    job: Job
    ended_at: datetime | None  # when that was seen, by our own clock; None: not ended
    listing_mark: str | None  # of the listing that was collected whole last
    is_listed: bool = True  # its directory was to be looked into
    failures: int = 0  # how often in a row that could not be done
    is_looked_at: bool = False  # somebody has its outputs or the run open
