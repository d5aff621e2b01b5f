"""What tasks have measured, as rows: one for each attempt that measured anything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from scripthut.core.measures.metrics import Curve, Metrics, Value
from scripthut.core.states import State
from scripthut.store.models import MetricsRow, Task


@dataclass(frozen=True)
class Measured:
    """A task as a line of the table of metrics."""

    id: int
    key: str
    name: str
    state: State
    values: Mapping[str, Value]
    note: str | None


def marks(session: Session, task_ids: Collection[int]) -> dict[int, str]:
    """Task -> the mark of what its present attempt's metrics were read from."""
    statement = (
        select(MetricsRow.task_id, MetricsRow.mark)
        .join(Task, (Task.id == MetricsRow.task_id) & (Task.attempt == MetricsRow.attempt))
        .where(MetricsRow.task_id.in_(task_ids))
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def record(session: Session, task: Task, mark: str, found: Metrics) -> None:
    """Make a task's row say what was measured."""
    row = session.get(MetricsRow, (task.id, task.attempt))
    if row is None:
        row = MetricsRow(task_id=task.id, attempt=task.attempt)
        session.add(row)
    row.mark = mark
    row.found = dict(found.values)
    row.curves = {name: [curve.x, curve.y] for name, curve in found.curves.items()}
    row.note = found.note


def of_run(session: Session, run_id: str) -> list[Measured]:
    """All tasks of a run with what they measured, in the document's order; one question."""
    statement = (
        select(
            Task.id,
            Task.key,
            Task.name,
            Task.state,
            MetricsRow.found,
            MetricsRow.note,
        )
        .outerjoin(
            MetricsRow, (MetricsRow.task_id == Task.id) & (MetricsRow.attempt == Task.attempt)
        )
        .where(Task.run_id == run_id)
        .order_by(Task.n)
    )
    rows = session.execute(statement)
    return [
        Measured(row_id, key, name, state, values or {}, note)
        for row_id, key, name, state, values, note in rows
    ]


def curves(session: Session, task_ids: Sequence[int], name: str) -> dict[int, Curve]:
    """Task -> how a metric of its present attempt went; only those that have a curve of it."""
    statement = (
        select(MetricsRow.task_id, MetricsRow.curves)
        .join(Task, (Task.id == MetricsRow.task_id) & (Task.attempt == MetricsRow.attempt))
        .where(MetricsRow.task_id.in_(task_ids))
    )
    found = {row[0]: row[1].get(name) for row in session.execute(statement)}
    return {task: Curve(tuple(c[0]), tuple(c[1])) for task, c in found.items() if c}


def has_any(session: Session, run_id: str) -> bool:
    """Whether any task of a run has measured anything."""
    statement = (
        select(MetricsRow.task_id)
        .join(Task, (Task.id == MetricsRow.task_id) & (Task.attempt == MetricsRow.attempt))
        .where(Task.run_id == run_id)
    )
    return session.execute(statement.limit(1)).first() is not None
