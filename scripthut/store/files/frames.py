"""Addresses of interactive pages that an open page keeps good beyond their own time."""

from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete
from sqlalchemy.orm import Session

from scripthut.store.models import FrameRow


def renew(session: Session, token: str, until: datetime) -> None:
    """Let a token be good until then."""
    session.merge(FrameRow(token=_name(token), until=until))


def is_good(session: Session, token: str, now: datetime) -> bool:
    """Whether an open page has kept a token good."""
    row = session.get(FrameRow, _name(token))
    return row is not None and row.until > now


def forget_old(session: Session, now: datetime) -> None:
    """Drop what nobody has kept good for a day."""
    session.execute(delete(FrameRow).where(FrameRow.until < now - timedelta(days=1)))


def _name(token: str) -> str:
    return sha256(token.encode()).hexdigest()
