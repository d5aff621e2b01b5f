"""The last commands on backends, as far as the engine has written them down."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from scripthut.core.commands import Command, parts_as_json, parts_of
from scripthut.store.models import CommandRow

MOST = 200  # of a backend; and as many again that went wrong
OLD = timedelta(days=30)
_COLUMNS = ("at", "what", "command", "code", "milliseconds", "sent", "received", "error")


def record(session: Session, backend: str, commands: Sequence[Command]) -> None:
    """Write commands down, and let the oldest of this backend go."""
    rows = [
        {name: getattr(one, name) for name in _COLUMNS}
        | {"backend": backend, "parts": parts_as_json(one.parts), "is_bad": one.is_bad}
        for one in commands
    ]
    session.execute(insert(CommandRow), rows)
    for is_bad in {one.is_bad for one in commands}:
        here = (CommandRow.backend == backend, CommandRow.is_bad == is_bad)
        newest = select(CommandRow.at).where(*here).order_by(CommandRow.at.desc())
        oldest = session.scalar(newest.offset(MOST - 1).limit(1))
        if oldest is not None:
            session.execute(delete(CommandRow).where(*here, CommandRow.at < oldest))


def last(
    session: Session, backend: str, just_bad: bool = False, most: int = MOST
) -> Sequence[tuple[int, Command]]:
    """The newest commands on a backend, each with its number; those that went wrong alone."""
    statement = select(CommandRow).where(CommandRow.backend == backend)
    if just_bad:
        statement = statement.where(CommandRow.is_bad)
    statement = statement.order_by(CommandRow.at.desc(), CommandRow.id.desc()).limit(most)
    return [(row.id, _command(row)) for row in session.scalars(statement)]


def forget_old(session: Session, now: datetime) -> None:
    """Drop what was written down long ago, of backends that are no more, too."""
    session.execute(delete(CommandRow).where(CommandRow.at < now - OLD))


def _command(row: CommandRow) -> Command:
    return Command(**{name: getattr(row, name) for name in _COLUMNS}, parts=parts_of(row.parts))
