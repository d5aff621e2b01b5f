"""Who is looking at what: pages write it down, and the engine hurries for what is looked at."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scripthut.store.db import Database, DatabaseDown
from scripthut.store.index import on_backend
from scripthut.store.models import Run, WatchRow

LOOKS_FOR = timedelta(seconds=15)
WHATS = ("run", "output", "error", "outputs")


def renew(database: Database, run_id: str, task_id: int, what: str, now: datetime) -> None:
    """Note that somebody looks at a run (`task_id` 0) or a task's output, error or outputs.

    A look lasts 15 s and is written at most every 5 s, so that open pages do not write at every
    question they ask.
    """
    key = {"run_id": run_id, "task_id": task_id, "what": what}
    with database.reading() as session:
        known = session.get(WatchRow, key)
    if is_fresh(known.until if known else None, now):
        return
    until = now + LOOKS_FOR
    try:
        with database.noting() as session:
            statement = update(WatchRow).filter_by(**key).values(until=until)
            if not session.connection().execute(statement).rowcount:
                session.add(WatchRow(**key, until=until))
    except (IntegrityError, DatabaseDown):
        return  # another page wrote the same look in this moment, or it is written a moment later


def is_fresh(until: datetime | None, now: datetime) -> bool:
    """Whether a look that lasts until then need not be written anew."""
    return until is not None and until > now + LOOKS_FOR - timedelta(seconds=5)


def looks(session: Session, backend: str, now: datetime) -> Sequence[WatchRow]:
    """Everything somebody looks at on a backend."""
    statement = (
        select(WatchRow)
        .join(Run, Run.id == WatchRow.run_id)
        .where(on_backend(backend), WatchRow.until > now)
    )
    return session.scalars(statement).all()


def backends(session: Session, now: datetime) -> set[str]:
    """The backends of which somebody looks at a run."""
    statement = select(Run.backend).join(WatchRow, WatchRow.run_id == Run.id)
    return set(session.scalars(statement.where(WatchRow.until > now).distinct()))


def forget_old(session: Session, now: datetime) -> None:
    """Drop looks that ended a while ago."""
    session.execute(delete(WatchRow).where(WatchRow.until < now - timedelta(minutes=5)))
