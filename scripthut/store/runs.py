"""Runs and their tasks as the pages show them: reads alone."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, Text, cast, func, or_, select, tuple_
from sqlalchemy.orm import Session, contains_eager

from scripthut.core import endings
from scripthut.core.errors import NotFound
from scripthut.core.jobs import Used
from scripthut.core.layers import Leaf
from scripthut.core.states import TERMINAL, RunState, State, run_state
from scripthut.store.models import EventRow, Run, Task, asked


@dataclass(frozen=True)
class RunRow:
    """A run as it stands; `counts` holds no zeros."""

    id: str
    name: str
    backend: str
    created_at: datetime
    ended_at: datetime | None  # None: not over
    version: int
    cancel_asked_at: datetime | None
    summary_version: int  # of the last change of its summary
    source: str | None  # the source that its document came from
    cpu_seconds: float  # of its tasks that have ended
    gpu_seconds: float
    counts: Mapping[State, int]
    begun: float = 0.0  # the sum of what its running tasks say they have done, in tasks

    @property
    def state(self) -> RunState:
        return run_state(self.counts)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        return sum(self.counts.get(state, 0) for state in TERMINAL)

    @property
    def progress(self) -> float:
        """Between 0 and 1: tasks that ended, and what running ones say they have done."""
        return (self.done + self.begun) / self.total if self.total else 1.0

    @property
    def is_over(self) -> bool:
        return self.done == self.total

    @property
    def is_cancelling(self) -> bool:
        return self.cancel_asked_at is not None and not self.is_over


@dataclass(frozen=True)
class TaskRow:
    """A task as a line of a table. Memory in bytes, time limit in seconds."""

    id: int
    run_id: str
    n: int
    key: str
    name: str
    state: State
    version: int
    attempt: int
    job_id: str | None
    exit_code: int | None
    signal: int | None
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None
    cancel_asked_at: datetime | None
    has_outputs: bool
    has_run_summary: bool
    cpus: int
    memory: int | None
    time_limit: int | None
    progress: float | None = None  # between 0 and 1; None: the task does not say
    progress_text: str | None = None
    memory_used: int | None = None  # at most; None: not known
    cpu_used: float | None = None  # seconds of processor time

    @property
    def efficiency(self) -> float | None:
        """Which part of its processors' time was used; None: not known, or not over."""
        used = Used(self.memory_used, self.cpu_used)
        return endings.efficiency(used, self.cpus, self.started_at, self.finished_at)

    @property
    def is_over(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_telling(self) -> bool:
        """Whether it runs and has said how far it is."""
        is_said = self.progress is not None or self.progress_text is not None
        return self.state is State.RUNNING and is_said

    @property
    def is_cancelling(self) -> bool:
        return self.cancel_asked_at is not None and not self.is_over


@dataclass(frozen=True)
class Which:
    """Which runs: with these words in name, title, id or source; of one backend; of one name."""

    find: str = ""
    backend: str = ""
    name: str | None = None


@dataclass(frozen=True)
class Group:
    """Tasks whose ids agree up to the last dot, or neighbours that have none (`prefix` empty).

    `first` is the place of its first task: the group's name in addresses and on the page.
    """

    first: int
    prefix: str
    ids: tuple[int, ...]  # row ids, in the document's order
    counts: Mapping[State, int]


@dataclass(frozen=True)
class Stay:
    """A task's times."""

    id: int
    n: int
    key: str
    state: State
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Pulse:
    """The least that tells whether a run's page is out of date."""

    version: int
    backend: str
    ended_at: datetime | None


@dataclass(frozen=True)
class Mark:
    """How far a page has seen a run: a version, and the last task of it. 0: all of its tasks."""

    version: int
    task_id: int = 0


_RUN = (
    Run.id,
    Run.name,
    Run.backend,
    Run.created_at,
    Run.ended_at,
    Run.version,
    Run.cancel_asked_at,
    Run.summary_version,
    Run.source,
    Run.cpu_seconds,
    Run.gpu_seconds,
)
_TASK = (
    *(Task.id, Task.run_id, Task.n, Task.key, Task.name, Task.state, Task.version, Task.attempt),
    *(Task.job_id, Task.exit_code, Task.signal),
    *(Task.submitted_at, Task.started_at, Task.finished_at, Task.reason, Task.cancel_asked_at),
    *(Task.has_outputs, Task.has_run_summary),
    *(asked("cpus"), asked("memory"), asked("time_limit")),
    *(Task.progress, Task.progress_text, Task.memory_used, Task.cpu_used),
)


def newest(
    session: Session, limit: int, before: str | None = None, which: Which = Which()
) -> list[RunRow]:
    """Runs, the newest first; `before` is the id of the run that they follow in that order."""
    statement = select(*_RUN).where(*like(which))
    statement = statement.order_by(Run.created_at.desc(), Run.id.desc()).limit(limit)
    if before is not None:
        last = find_run(session, before)
        older = tuple_(Run.created_at, Run.id) < (last.created_at, last.id)
        statement = statement.where(older)
    return _with_counts(session, statement)


def like(which: Which) -> list[ColumnElement[bool]]:
    """What a question about these runs asks of each."""
    columns = (Run.name, Run.title, Run.id, Run.source)
    words = which.find.split()
    found = [
        or_(*(column.icontains(word, autoescape=True) for column in columns)) for word in words
    ]
    if which.backend:
        found.append(Run.backend == which.backend)
    if which.name is not None:
        found.append(Run.name == which.name)
    return found


def active(session: Session, limit: int) -> list[RunRow]:
    """The runs that are not over, the newest first."""
    statement = select(*_RUN).where(Run.ended_at.is_(None)).order_by(Run.created_at.desc())
    return _with_counts(session, statement.limit(limit))


def ended(session: Session, limit: int, since: datetime | None = None) -> list[RunRow]:
    """The runs that ended last (after `since`, if it is given)."""
    statement = select(*_RUN).where(Run.ended_at.is_not(None)).order_by(Run.ended_at.desc())
    if since is not None:
        statement = statement.where(Run.ended_at > since)
    return _with_counts(session, statement.limit(limit))


def one(session: Session, run_id: str) -> RunRow:
    """A run with its counts; NotFound."""
    found = _with_counts(session, select(*_RUN).where(Run.id == run_id))
    if not found:
        raise no_run(run_id)
    return found[0]


def find_run(session: Session, run_id: str) -> Run:
    """A run as the writers take it; NotFound."""
    run = session.get(Run, run_id)
    if run is None:
        raise no_run(run_id)
    return run


def find_task(session: Session, run_id: str, key: str) -> Task:
    """A task by its id in the document, with its run; NotFound."""
    statement = select(Task).where(Task.run_id == run_id, Task.key == key)
    statement = statement.join(Task.run).options(contains_eager(Task.run))
    task = session.scalars(statement).one_or_none()
    if task is None:
        find_run(session, run_id)
        raise NotFound(f"The run {run_id} has no task {key}. Its page lists those it has.")
    return task


def no_run(run_id: str) -> NotFound:
    """The error that says that it is not there."""
    return NotFound(f"There is no run {run_id}. The list of runs shows those that exist.")


def _with_counts(session: Session, statement: Select[*tuple[object, ...]]) -> list[RunRow]:
    found = session.execute(statement).all()
    counts = _counts(session, [str(row[0]) for row in found])
    nothing: tuple[dict[State, int], float] = ({}, 0.0)
    return [RunRow(*row, *counts.get(str(row[0]), nothing)) for row in found]  # type: ignore[call-arg, arg-type]


def _counts(
    session: Session, run_ids: Collection[str]
) -> dict[str, tuple[dict[State, int], float]]:
    """Run id -> its tasks by state, and the sum of what the running ones have done."""
    statement = (
        select(Task.run_id, Task.state, func.count(), func.sum(Task.progress))
        .where(Task.run_id.in_(run_ids))
        .group_by(Task.run_id, Task.state)
    )
    found: dict[str, tuple[dict[State, int], float]] = {}
    for run_id, state, count, done in session.execute(statement):
        counts, begun = found.get(run_id, ({}, 0.0))
        begun += (done or 0.0) if state is State.RUNNING else 0.0
        found[run_id] = ({**counts, State(state): count}, begun)
    return found


def began(session: Session, run_id: str) -> datetime | None:
    """When the first of a run's tasks began; None: none has."""
    return session.scalar(select(func.min(Task.started_at)).where(Task.run_id == run_id))


def pulse(session: Session, run_id: str) -> Pulse:
    """What tells whether a run's page is out of date: one indexed read. NotFound."""
    statement = select(Run.version, Run.backend, Run.ended_at).where(Run.id == run_id)
    found = session.execute(statement).one_or_none()
    if found is None:
        raise no_run(run_id)
    return Pulse(*found)


def tasks(session: Session, run_id: str, since: int = -1) -> list[TaskRow]:
    """A run's tasks that changed after the run's version `since` (-1: all), in its order."""
    statement = select(*_TASK).where(Task.run_id == run_id, Task.version > since)
    return _rows(session, statement.order_by(Task.n))


def tasks_by_id(session: Session, ids: Collection[int]) -> list[TaskRow]:
    """Tasks by their row ids, in the document's order."""
    return _rows(session, select(*_TASK).where(Task.id.in_(ids)).order_by(Task.n))


def tasks_by_key(session: Session, run_id: str, keys: Collection[str]) -> list[TaskRow]:
    """Tasks by their ids in the document, in its order."""
    statement = select(*_TASK).where(Task.run_id == run_id, Task.key.in_(keys))
    return _rows(session, statement.order_by(Task.n))


def dependents(session: Session, run_id: str, key: str, most: int) -> list[TaskRow]:
    """The tasks that wait for this one, at most `most`, in the document's order."""
    statement = select(*_TASK, Task.deps).where(Task.run_id == run_id)
    likely = cast(Task.deps, Text).contains(json.dumps(key), autoescape=True)
    found = session.execute(statement.where(likely).order_by(Task.n).limit(most))
    return [TaskRow(*row[:-1]) for row in found if key in row[-1]]


def _rows(session: Session, statement: Select[*tuple[object, ...]]) -> list[TaskRow]:
    return [TaskRow(*row) for row in session.execute(statement)]  # type: ignore[arg-type]


def changed(session: Session, run_id: str, since: Mark) -> list[Mark]:
    """The marks of the tasks that changed after `since`, in the order in which they did."""
    later = Task.version > since.version
    if since.task_id:
        later |= (Task.version == since.version) & (Task.id > since.task_id)
    statement = select(Task.version, Task.id).where(Task.run_id == run_id, later)
    found = session.execute(statement.order_by(Task.version, Task.id))
    return [Mark(*row) for row in found]


def leaves(session: Session, run_id: str) -> list[Leaf]:
    """A run's tasks as its graph needs them, in the document's order."""
    statement = select(Task.id, Task.n, Task.key, Task.deps).where(Task.run_id == run_id)
    return [Leaf(*row) for row in session.execute(statement.order_by(Task.n))]


def states(session: Session, run_id: str) -> dict[int, State]:
    """Row id -> state, of all of a run's tasks."""
    statement = select(Task.id, Task.state).where(Task.run_id == run_id)
    return {row_id: State(state) for row_id, state in session.execute(statement)}


def stays(session: Session, run_id: str) -> list[Stay]:
    """When each of a run's tasks was submitted, began and ended, in the document's order."""
    columns = (Task.id, Task.n, Task.key, Task.state)
    times = (Task.submitted_at, Task.started_at, Task.finished_at)
    statement = select(*columns, *times).where(Task.run_id == run_id).order_by(Task.n)
    return [Stay(*row) for row in session.execute(statement)]


def groups(session: Session, run_id: str) -> list[Group]:
    """A run's tasks by the part of their ids before the last dot, in the document's order."""
    statement = select(Task.id, Task.n, Task.key, Task.state).where(Task.run_id == run_id)
    return group(session.execute(statement.order_by(Task.n)))


def group(found: Iterable[tuple[int, int, str, State]]) -> list[Group]:
    """Groups of (row id, n, key, state). Ids without a dot keep their place between the others."""
    members: dict[int, list[int]] = {}
    counts: dict[int, Counter[State]] = {}
    prefixes: dict[int, str] = {}
    opened: dict[str, int] = {}
    last: str | None = None
    for row_id, n, key, state in found:
        prefix = key.rpartition(".")[0]
        if prefix != last:  # most follow one of their own: ten thousand are looked at for a page
            if prefix and prefix not in opened:
                opened.pop("", None)  # those without a dot that follow are another group
            first = opened.setdefault(prefix, n)
            prefixes.setdefault(first, prefix)
            ids, count = members.setdefault(first, []), counts.setdefault(first, Counter())
            last = prefix
        ids.append(row_id)
        count[state] += 1
    return [Group(n, prefix, tuple(members[n]), counts[n]) for n, prefix in prefixes.items()]


def history(session: Session, task_id: int) -> Sequence[EventRow]:
    """What happened to a task, the oldest first."""
    statement = select(EventRow).where(EventRow.task_id == task_id).order_by(EventRow.id)
    return session.scalars(statement).all()
