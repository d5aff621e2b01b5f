"""Pieces of files that are not kept: pages wish for them, and the engine brings them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager

from scripthut.core.jobs import Got
from scripthut.store.db import Database, DatabaseDown
from scripthut.store.index import on_backend
from scripthut.store.models import Output, PieceWish, Run, Task
from scripthut.store.versions import next_version

PIECE = 512 * 1024  # bytes of one piece
WAITS = timedelta(seconds=15)  # a page that wishes asks again before that
FRESH = timedelta(seconds=15)  # a piece of a file that changes is shown for as long
KEPT_FOR = timedelta(hours=1)  # and then forgotten
AT_ONCE = 16  # pieces that one look brings


@dataclass(frozen=True)
class Wished:
    """A piece that is to be brought: the wish, the file, and the task that wrote it, with its run.

    `attempt` is the one that wrote the file; the task may have gone on to another.
    """

    wish: PieceWish
    file: Output
    task: Task


def wish(database: Database, output_id: int, starts: Iterable[int], now: datetime) -> None:
    """Wish for the pieces of a file that begin there. Who waits asks again, and so renews it."""
    for start in starts:
        key = {"output_id": output_id, "start": start, "length": PIECE}
        try:
            with database.noting() as session:
                row = session.scalars(select(PieceWish).filter_by(**key)).one_or_none()
                if row is None:
                    session.add(PieceWish(**key, until=now + WAITS))
                    continue
                if row.got_at is not None:
                    row.got_at = None  # what came is too old
                row.until = now + WAITS
        except (IntegrityError, DatabaseDown):
            continue  # another page wished the same in this moment, the file has gone, or later


def pieces(session: Session, file: Output, now: datetime) -> list[PieceWish]:
    """The pieces of a file that can be shown: of the file as it is known, or read just now."""
    statement = select(PieceWish).where(
        PieceWish.output_id == file.id, PieceWish.got_at.is_not(None)
    )
    rows = session.scalars(statement.order_by(PieceWish.got_at.desc()))
    return [row for row in rows if _is_shown(row, file, now)]


def _is_shown(row: PieceWish, file: Output, now: datetime) -> bool:
    is_new = row.got_at is not None and row.got_at > now - FRESH
    is_same = (row.size, row.mtime_ns) == (file.size, file.mtime_ns)
    return is_new or (is_same and row.problem is None)


def wished(session: Session, backend: str, now: datetime) -> Sequence[Wished]:
    """The pieces that somebody waits for, those first for which it is longest."""
    statement = (
        select(PieceWish, Output, Task)
        .join(Output, Output.id == PieceWish.output_id)
        .join(Task, Task.id == Output.task_id)
        .join(Task.run)
        .where(on_backend(backend), PieceWish.got_at.is_(None), PieceWish.until > now)
        .options(contains_eager(Task.run))
        .order_by(PieceWish.id)
        .limit(AT_ONCE)
    )
    return [Wished(*row) for row in session.execute(statement)]


def came(session: Session, one: Wished, got: Got, sha256: str | None, now: datetime) -> None:
    """Write down what came of a wish, and what it shows of the file."""
    row = session.get(PieceWish, one.wish.id)
    file = session.get(Output, one.file.id)
    if row is None or file is None:
        return  # the file has gone from the listing meanwhile
    row.got_at, row.problem, row.sha256 = now, got.why, sha256
    if got.why is not None:
        return
    row.size, row.mtime_ns = got.size, got.mtime_ns
    if (file.size, file.mtime_ns) != (got.size, got.mtime_ns) and file.sha256 is None:
        file.size, file.mtime_ns = got.size, got.mtime_ns
        task = session.get(Task, file.task_id)
        if task is not None:
            task.version = next_version(session, task.run_id)


def backends(session: Session, now: datetime) -> set[str]:
    """The backends of whose files somebody waits for a piece."""
    statement = (
        select(Run.backend)
        .join(Task, Task.run_id == Run.id)
        .join(Output, Output.task_id == Task.id)
        .join(PieceWish, PieceWish.output_id == Output.id)
        .where(PieceWish.got_at.is_(None), PieceWish.until > now)
    )
    return set(session.scalars(statement.distinct()))


def forget_old(session: Session, now: datetime) -> None:
    """Drop pieces that nobody has asked for in a while; their bytes go with the next sweep."""
    session.execute(delete(PieceWish).where(PieceWish.until < now - KEPT_FOR))
