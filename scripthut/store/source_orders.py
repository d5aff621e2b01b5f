"""What people ask of sources; the engine serves it, and writes down what came of it."""

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from scripthut.core.errors import NotFound
from scripthut.store.models import SourceOrder

KEEP = timedelta(hours=1)  # how long what came of an order can be read


class What(StrEnum):
    """What is asked."""

    SYNC = "sync"
    RUN = "run"
    PREVIEW = "preview"


def order(session: Session, new: SourceOrder) -> SourceOrder:
    """Write an order down; the earlier one, when a request with its key wrote one before.

    One that was refused holds its key no longer: who asks again wants it tried again.
    """
    if new.request_key is None:
        session.add(new)
        session.flush()
        return new
    statement = select(SourceOrder).where(SourceOrder.request_key == new.request_key)
    found = session.scalars(statement).one_or_none()
    if found is not None and found.problems is not None:
        found.request_key = None
        session.flush()
        found = None
    if found is None:
        try:
            with session.begin_nested():
                session.add(new)
        except IntegrityError:  # another request with this key was first
            found = session.scalars(statement).one()
    return found or new


def one(session: Session, order_id: str) -> SourceOrder:
    """An order by its id; NotFound once it is forgotten."""
    statement = select(SourceOrder).where(SourceOrder.id == order_id)
    found = session.scalars(statement.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise NotFound(f"There is no order {order_id!r}; they are forgotten after an hour.")
    return found


def to_do(session: Session, sources: Sequence[str]) -> Sequence[SourceOrder]:
    """The orders of some sources that nobody has served, the oldest first."""
    statement = (
        select(SourceOrder)
        .where(SourceOrder.ended_at.is_(None), SourceOrder.source.in_(sources))
        .order_by(SourceOrder.asked_at, SourceOrder.id)
        .options(defer(SourceOrder.result))
    )
    return session.scalars(statement).all()


def busy(session: Session) -> frozenset[str]:
    """The sources of which something is asked that is not served yet."""
    statement = select(SourceOrder.source).where(SourceOrder.ended_at.is_(None)).distinct()
    return frozenset(session.scalars(statement))


def serve(
    session: Session,
    order_id: str,
    now: datetime,
    run_id: str | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Write down what came of an order."""
    row = one(session, order_id)
    row.ended_at, row.run_id = now, run_id
    if result is not None:
        row.result = zlib.compress(json.dumps(result).encode(), 1)


def refuse(session: Session, order_id: str, problems: Sequence[str], now: datetime) -> None:
    """Write down why nothing came of an order, in sentences."""
    row = one(session, order_id)
    row.ended_at, row.problems = now, list(problems)


def result_of(row: SourceOrder) -> dict[str, Any] | None:
    """What a preview gave; None: nothing yet."""
    if row.result is None:
        return None
    found: dict[str, Any] = json.loads(zlib.decompress(row.result))
    return found


def forget_old(session: Session, now: datetime) -> None:
    """Delete the orders that were served long ago; a run keeps its request's key itself."""
    session.execute(delete(SourceOrder).where(SourceOrder.ended_at < now - KEEP))
