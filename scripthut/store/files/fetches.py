"""Files that are fetched whole because somebody asked: how far each one is, and why it waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session, contains_eager

from scripthut.core.errors import Conflict
from scripthut.store.index import on_backend
from scripthut.store.models import Fetch, Output, Run, Task
from scripthut.store.outputs import is_within_reach
from scripthut.store.versions import next_version


@dataclass(frozen=True)
class Fetching:
    """A fetch, the file, and the task that wrote it, with its run."""

    fetch: Fetch
    file: Output
    task: Task


def ask(session: Session, file: Output, now: datetime) -> None:
    """Ask for a whole file; one that waits or has stopped goes on at once.

    Conflict for one that the server has, or that cannot be read at all.
    """
    if file.sha256 is not None:
        raise Conflict(f"The server has {file.path} already: it can be downloaded.")
    if not is_within_reach(file):
        raise Conflict(f"{file.path} cannot be fetched: it {file.note}.")
    row = session.get(Fetch, file.id)
    if row is None:
        session.add(Fetch(output_id=file.id, asked_at=now))
    else:
        row.problem, row.try_at, row.is_stopped, row.begun = None, None, False, 1
        row.failures = 0
    _show(session, file)


def cancel(session: Session, file: Output) -> None:
    """Fetch a file no more; what came of it goes."""
    session.execute(delete(Fetch).where(Fetch.output_id == file.id))
    _show(session, file)


def of(session: Session, output_ids: Sequence[int]) -> dict[int, Fetch]:
    """The fetches of some files, by the file's row."""
    rows = session.scalars(select(Fetch).where(Fetch.output_id.in_(output_ids)))
    return {row.output_id: row for row in rows}


def of_run(session: Session, run_id: str) -> dict[int, Fetch]:
    """The fetches of a run's files, by the file's row."""
    statement = (
        select(Fetch)
        .join(Output, Output.id == Fetch.output_id)
        .join(Task, Task.id == Output.task_id)
        .where(Task.run_id == run_id)
    )
    return {row.output_id: row for row in session.scalars(statement)}


def going(session: Session, backend: str, now: datetime) -> Sequence[Fetching]:
    """What is to be fetched from a backend now, in the order in which it was asked for."""
    statement = (
        select(Fetch, Output, Task)
        .join(Output, Output.id == Fetch.output_id)
        .join(Task, Task.id == Output.task_id)
        .join(Task.run)
        .where(on_backend(backend), Fetch.is_stopped.is_(False))
        .where(or_(Fetch.try_at.is_(None), Fetch.try_at <= now))
        .options(contains_eager(Task.run))
        .order_by(Fetch.asked_at, Fetch.output_id)
    )
    return [Fetching(*row) for row in session.execute(statement)]


def backends(session: Session, now: datetime) -> set[str]:
    """The backends from which something is to be fetched now."""
    statement = (
        select(Run.backend)
        .join(Task, Task.run_id == Run.id)
        .join(Output, Output.task_id == Task.id)
        .join(Fetch, Fetch.output_id == Output.id)
        .where(Fetch.is_stopped.is_(False))
        .where(or_(Fetch.try_at.is_(None), Fetch.try_at <= now))
    )
    return set(session.scalars(statement.distinct()))


def note(session: Session, output_id: int, facts: dict[str, object]) -> bool:
    """Write how far a fetch is; False when nobody wants it any more."""
    row = session.get(Fetch, output_id, with_for_update=True)
    if row is None:
        return False
    for name, value in facts.items():
        setattr(row, name, value)
    return True


def finish(session: Session, output_id: int, sha256: str, html: str | None) -> bool:
    """Make the file an ordinary kept one; False when nobody wants it any more."""
    row = session.get(Fetch, output_id, with_for_update=True)
    file = session.get(Output, output_id)
    if row is None or file is None:
        return False
    file.size, file.mtime_ns = row.size or 0, row.mtime_ns or 0
    file.sha256, file.html, file.note = sha256, html, None
    session.delete(row)
    run = _show(session, file)
    if run is not None and run.removed_at is not None:
        file.was_sha256 = file.was_sha256 or sha256  # it is here again, and may go again
    return True


def parts(session: Session) -> set[int]:
    """The files of which a part may be here."""
    return set(session.scalars(select(Fetch.output_id)))


def _show(session: Session, file: Output) -> Run | None:
    """Let open pages see it; the run that it is of."""
    task = session.get(Task, file.task_id)
    if task is None:
        return None
    task.version = next_version(session, task.run_id)
    return session.get(Run, task.run_id)
