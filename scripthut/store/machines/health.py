"""What the engine last knew of each backend: since when it answers, or does not, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from scripthut.store.models import BackendRow

OFTEN = timedelta(seconds=10)  # "answered at" is written at most this often


@dataclass(frozen=True)
class Answered:
    """A cycle that was answered: commands to look, commands to submit, live tasks looked at."""

    asked: int
    submitted: int
    live: int
    notice: str | None = None  # a sentence for the backend's card


def is_news(session: Session, name: str, notice: str | None, now: datetime) -> bool:
    """Whether an answer changes what is known: otherwise a quiet cycle writes nothing."""
    row = session.get(BackendRow, name)
    if row is None or row.answered_at is None or row.failing_since is not None:
        return True
    return row.notice != notice or now - row.answered_at >= OFTEN


def answered(session: Session, name: str, kind: str, answer: Answered, now: datetime) -> None:
    """Note that a backend answered."""
    row = _row(session, name, kind)
    row.answered_at, row.failing_since, row.message = now, None, None
    row.notice, row.commands, row.watched = answer.notice, answer.asked, answer.live
    if answer.submitted:
        row.submit_commands = answer.submitted


def failed(session: Session, name: str, kind: str, message: str, now: datetime) -> None:
    """Note that a backend did not answer; the time of the first silence is kept."""
    row = _row(session, name, kind)
    row.failing_since = row.failing_since or now
    row.message = message


def _row(session: Session, name: str, kind: str) -> BackendRow:
    row = session.get(BackendRow, name)
    if row is None:
        row = BackendRow(name=name, type=kind, commands=0, submit_commands=0, watched=0)
        session.add(row)
    row.type = kind
    return row
