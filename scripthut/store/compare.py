"""Several runs beside each other: reads alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import String, select, type_coerce
from sqlalchemy.orm import Session

from scripthut.core.jobs import Area
from scripthut.core.states import State
from scripthut.store.models import Output, Run, Task

# Of a hundred thousand files the library would look up each word with much ado.
_AREAS = {area.value: area for area in Area}


@dataclass(frozen=True)
class Side:
    """A task in one of the runs."""

    key: str
    name: str
    state: State
    started_at: datetime | None
    finished_at: datetime | None


class Piece(NamedTuple):
    """A file in one of the runs, as far as it tells whether it differs. `sha256` None: not kept."""

    area: Area
    path: str
    sha256: str | None
    size: int


def sides(session: Session, run_id: str) -> dict[str, Side]:
    """Task -> how it stands, in the document's order."""
    statement = (
        select(Task.key, Task.name, Task.state, Task.started_at, Task.finished_at)
        .where(Task.run_id == run_id)
        .order_by(Task.n)
    )
    return {row[0]: Side(*row) for row in session.execute(statement)}


def pieces(session: Session, run_id: str) -> dict[str, dict[tuple[Area, str], Piece]]:
    """Task -> what it wrote, in the order of the paths."""
    statement = (
        select(
            Task.key, type_coerce(Output.area, String), *(Output.path, Output.sha256, Output.size)
        )
        .join(Output, (Output.task_id == Task.id) & (Output.attempt == Task.attempt))
        .where(Task.run_id == run_id, Output.area != Area.LOG)
        .order_by(Task.n, Output.path)
    )
    found: dict[str, dict[tuple[Area, str], Piece]] = {}
    for key, word, path, sha, size in session.execute(statement):
        area = _AREAS[word]
        found.setdefault(key, {})[area, _whose(area, path)] = Piece(area, path, sha, size)
    return found


def files(
    session: Session, run_id: str, keys: Collection[str]
) -> dict[str, dict[tuple[Area, str], Output]]:
    """Task -> the rows of its files, for some tasks of a run."""
    statement = (
        select(Task.key, Output)
        .join(Output, (Output.task_id == Task.id) & (Output.attempt == Task.attempt))
        .where(Task.run_id == run_id, Task.key.in_(keys), Output.area != Area.LOG)
    )
    found: dict[str, dict[tuple[Area, str], Output]] = {}
    for key, row in session.execute(statement):
        found.setdefault(key, {})[row.area, _whose(row.area, row.path)] = row
    return found


def of_same_name(session: Session, run: Run, limit: int) -> Sequence[Run]:
    """Other runs of a run's name: those before it, the newest first, then those after it."""
    statement = select(Run).where(Run.name == run.name, Run.id != run.id)
    before = statement.where(Run.created_at <= run.created_at)
    after = statement.where(Run.created_at > run.created_at)
    found = list(
        session.scalars(before.order_by(Run.created_at.desc(), Run.id.desc()).limit(limit))
    )
    later = session.scalars(after.order_by(Run.created_at, Run.id).limit(limit - len(found)))
    return [*found, *later]


def _whose(area: Area, path: str) -> str:
    """What names a file in every run: a task has one part of the run's summary."""
    return "" if area is Area.FRAGMENT else path
