"""Finding tasks of a run: by words, by state, in an order; the failures around one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import ColumnElement, Float, Select, case, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from scripthut.core.jobs import Area
from scripthut.core.states import State
from scripthut.store.models import Output, Task, asked

FAILURES = (State.FAILED, State.LOST)
URGENT = (
    State.FAILED, State.LOST, State.DEP_FAILED, State.CANCELLED, State.RETRYING,
    State.GENERATING, State.SETTLING, State.RUNNING, State.QUEUED,
    State.SUBMITTED, State.SUBMITTING, State.PENDING, State.COMPLETED,
)  # fmt: skip
"""States from what needs a person to what needs nobody: the order of a table sorted by state."""


@dataclass(frozen=True)
class Wish:
    """Which tasks are asked for: each word in the id, name, job, node or reason; () any state."""

    text: str = ""
    states: tuple[State, ...] = ()
    order: str = ""  # a key of ORDERS; empty: as the document has them
    is_down: bool = False


class _Seconds(FunctionElement[float]):
    """Seconds from the first time to the second; NULL when either is not known."""

    type = Float()
    inherit_cache = True


@compiles(_Seconds, "sqlite")
def _in_sqlite(element: _Seconds, compiler: SQLCompiler, **words: object) -> str:
    start, end = (compiler.process(clause, **words) for clause in element.clauses)
    return f"(julianday({end}) - julianday({start})) * 86400"


@compiles(_Seconds, "postgresql")
def _in_postgresql(element: _Seconds, compiler: SQLCompiler, **words: object) -> str:
    start, end = (compiler.process(clause, **words) for clause in element.clauses)
    return f"EXTRACT(EPOCH FROM ({end} - {start}))"


_RAN = _Seconds(Task.started_at, func.coalesce(Task.finished_at, func.current_timestamp()))
_WAITED = _Seconds(
    Task.submitted_at, func.coalesce(Task.started_at, Task.finished_at, func.current_timestamp())
)
Column: TypeAlias = (
    ColumnElement[str] | ColumnElement[int] | ColumnElement[float] | Mapped[datetime | None]
)
ORDERS: Mapping[str, Column] = {
    "task": func.lower(Task.key),
    "state": case({state.value: n for n, state in enumerate(URGENT)}, value=Task.state),
    "submitted": Task.submitted_at,
    "elapsed": _RAN,
    "waited": _WAITED,
    "cpus": asked("cpus"),
    "memory": asked("memory"),
}


def found(session: Session, run_id: str, wish: Wish, start: int, limit: int) -> list[int]:
    """The row ids of the tasks that are wished for, from the `start`-th on, in the wished order."""
    statement = select(Task.id).where(*_where(run_id, wish))
    column = ORDERS.get(wish.order)
    if column is not None:
        statement = statement.order_by(
            (column.desc() if wish.is_down else column.asc()).nulls_last()
        )
    return list(session.scalars(statement.order_by(Task.n).offset(start).limit(limit)))


def count(session: Session, run_id: str, wish: Wish) -> int:
    """How many tasks of a run are wished for."""
    return session.scalar(select(func.count()).select_from(Task).where(*_where(run_id, wish))) or 0


def _where(run_id: str, wish: Wish) -> Sequence[ColumnElement[bool]]:
    columns = (Task.key, Task.name, Task.job_id, Task.node, Task.reason)
    wanted = [Task.run_id == run_id]
    if wish.states:
        wanted.append(Task.state.in_(wish.states))
    for word in wish.text.split():
        here = [column.icontains(word, autoescape=True) for column in columns]
        wanted.append(here[0] | here[1] | here[2] | here[3] | here[4])
    return wanted


def files(session: Session, run_id: str, text: str, limit: int) -> list[tuple[str, Output]]:
    """Kept files of a run whose paths hold these words, each with its task's key."""
    statement = (
        select(Task.key, Output)
        .join(Task, Task.id == Output.task_id)
        .where(Task.run_id == run_id, Output.attempt == Task.attempt)
        .where(Output.area == Area.OUTPUT, Output.sha256.is_not(None))
    )
    for word in text.split():
        statement = statement.where(Output.path.icontains(word, autoescape=True))
    found = session.execute(statement.order_by(Task.n, Output.path).limit(limit))
    return [(key, row) for key, row in found]


@dataclass(frozen=True)
class Failures:
    """The keys of the failures of a run around a task; None: there is none there."""

    first: str | None
    previous: str | None = None
    next: str | None = None


def failures(session: Session, run_id: str, n: int | None = None) -> Failures:
    """The first failure, and those before and after the task at place `n` of the document."""
    failed = select(Task.key).where(Task.run_id == run_id, Task.state.in_(FAILURES))

    def one(statement: Select[str]) -> str | None:
        return session.scalar(statement.limit(1))

    first = one(failed.order_by(Task.n))
    if first is None or n is None:
        return Failures(first)
    before = one(failed.where(Task.n < n).order_by(Task.n.desc()))
    return Failures(first, before, one(failed.where(Task.n > n).order_by(Task.n)))
