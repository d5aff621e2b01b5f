"""What is known of the clusters besides our tasks, who looks at it, and what is asked of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session, load_only, undefer

from scripthut.core.queue import Queue, queue_as_json, queue_of
from scripthut.core.sights import (
    Crowd,
    Ended,
    crowd_as_json,
    crowd_of,
    ended_as_json,
    ended_of,
)
from scripthut.core.survey import Facts, Surveyed, Wish, facts_as_json, facts_of
from scripthut.store.db import Database, DatabaseDown
from scripthut.store.models import JobOrder, SurveyRow

LOOKS_FOR = timedelta(seconds=30)
FRESH_FACTS = timedelta(seconds=60)  # while somebody looks; everybody's queue is asked for it
FRESH_QUEUE = timedelta(seconds=8)
FRESH_CROWD = timedelta(seconds=30)  # the scheduler tells of everybody's jobs for it
FRESH_ENDED = timedelta(seconds=60)
CALM_FACTS = timedelta(minutes=10)  # while nobody does: with a look that is taken anyway
CALM_QUEUE = timedelta(minutes=1)
ORDER_LASTS = timedelta(minutes=10)  # an order whose job has not ended by then is given up
AGAIN = timedelta(seconds=15)  # an order that has had no effect is sent again


@dataclass(frozen=True)
class Known:
    """What is known of one backend, and since when. A time None: nothing is known."""

    facts: Facts = field(default_factory=Facts)
    facts_at: datetime | None = None
    queue: Queue = field(default_factory=Queue)
    queue_at: datetime | None = None
    crowd: Crowd = field(default_factory=Crowd)  # read with `sights` alone, and so is `ended`
    crowd_at: datetime | None = None
    ended: Ended = field(default_factory=Ended)
    ended_at: datetime | None = None


def look(database: Database, backend: str, wish: Wish, now: datetime) -> None:
    """Note that somebody looks at what a backend has; the engine asks for what is wished then.

    Written at most every LOOKS_FOR / 2, so that open pages do not write at every question.
    """
    columns = [
        *([SurveyRow.facts_until] if wish.facts else []),
        *([SurveyRow.queue_until] if wish.queue else []),
        *([SurveyRow.crowd_until] if wish.crowd else []),
        *([SurveyRow.ended_until] if wish.ended else []),
    ]
    _look(database, backend, columns, now)


def look_at_log(database: Database, backend: str, now: datetime) -> None:
    """Note that somebody looks at a backend's last commands; the engine writes them down then."""
    _look(database, backend, [SurveyRow.log_until], now)


def _look(
    database: Database,
    backend: str,
    columns: Sequence[InstrumentedAttribute[datetime | None]],
    now: datetime,
) -> None:
    with database.reading() as session:
        known = session.execute(select(*columns).where(SurveyRow.backend == backend)).first()
    if known is not None and all(until and until > now + LOOKS_FOR / 2 for until in known):
        return
    untils = {column.key: now + LOOKS_FOR for column in columns}
    try:
        with database.noting() as session:
            statement = update(SurveyRow).where(SurveyRow.backend == backend).values(untils)
            if not session.connection().execute(statement).rowcount:
                session.add(SurveyRow(backend=backend, **untils))
    except (IntegrityError, DatabaseDown):
        return  # another page wrote the same look in this moment, or it is written a moment later


@dataclass(frozen=True)
class LookedAt:
    """Backends that somebody looks at: what is to be asked anew, whose commands are read."""

    due: frozenset[str]
    logs: frozenset[str]


def looked_at(session: Session, now: datetime) -> LookedAt:
    """At what somebody looks, in one question: it is asked with every tick of the engine."""
    statement = select(SurveyRow).options(load_only(*_TIMES))
    rows = session.scalars(statement.where(or_(*(until > now for until in _UNTILS)))).all()
    return LookedAt(
        due=frozenset(row.backend for row in rows if _stale(row, now)),
        logs=frozenset(row.backend for row in rows if _is_seen(row.log_until, now)),
    )


def due(session: Session, now: datetime) -> set[str]:
    """The backends that somebody looks at and of which what is known is not fresh."""
    return set(looked_at(session, now).due)


def wanted(session: Session, backend: str, rides: bool, now: datetime) -> Wish:
    """What a look should bring besides the tasks; with `rides` it is taken for them anyway.

    For what rides along no command is spent; otherwise only what somebody waits for is asked.
    """
    statement = select(SurveyRow).options(load_only(*_TIMES)).where(SurveyRow.backend == backend)
    row = session.scalar(statement) or SurveyRow(backend=backend)
    is_ordered = session.scalar(select(JobOrder.job_id).where(JobOrder.backend == backend).limit(1))
    stale = _stale(row, now)
    return Wish(
        queue=stale.queue
        or is_ordered is not None
        or (rides and _older(row.queue_at, CALM_QUEUE, now)),
        facts=stale.facts or (rides and _older(row.facts_at, CALM_FACTS, now)),
        crowd=stale.crowd,
        ended=stale.ended,
    )


_UNTILS = (
    SurveyRow.facts_until,
    SurveyRow.queue_until,
    SurveyRow.crowd_until,
    SurveyRow.ended_until,
    SurveyRow.log_until,
)
_TIMES = (
    *_UNTILS,
    SurveyRow.facts_at,
    SurveyRow.queue_at,
    SurveyRow.crowd_at,
    SurveyRow.ended_at,
)


def _stale(row: SurveyRow, now: datetime) -> Wish:
    """What somebody looks at that is not fresh."""
    return Wish(
        queue=_is_seen(row.queue_until, now) and _older(row.queue_at, FRESH_QUEUE, now),
        facts=_is_seen(row.facts_until, now) and _older(row.facts_at, FRESH_FACTS, now),
        crowd=_is_seen(row.crowd_until, now) and _older(row.crowd_at, FRESH_CROWD, now),
        ended=_is_seen(row.ended_until, now) and _older(row.ended_at, FRESH_ENDED, now),
    )


def _is_seen(until: datetime | None, now: datetime) -> bool:
    return until is not None and until > now


def _older(at: datetime | None, age: timedelta, now: datetime) -> bool:
    return at is None or now - at >= age


def record(session: Session, backend: str, surveyed: Surveyed, now: datetime) -> None:
    """Write what a look brought."""
    row = session.get(SurveyRow, backend)
    if row is None:
        row = SurveyRow(backend=backend)
        session.add(row)
    if surveyed.facts is not None:
        row.facts, row.facts_at = facts_as_json(surveyed.facts), now
    if surveyed.queue is not None:
        row.queue, row.queue_at = queue_as_json(surveyed.queue), now
    if surveyed.crowd is not None:
        row.crowd, row.crowd_at = crowd_as_json(surveyed.crowd), now
    if surveyed.ended is not None:
        row.ended, row.ended_at = ended_as_json(surveyed.ended), now


def known(session: Session, backend: str) -> Known:
    """What is known of one backend."""
    return every(session, [backend])[backend]


def every(
    session: Session, backends: Collection[str], sights: Wish | None = None
) -> Mapping[str, Known]:
    """What is known of each of some backends; of everybody's jobs and ended ones as `sights` says.

    None: neither.
    """
    wish = sights or Wish()
    long = [*([SurveyRow.crowd] if wish.crowd else []), *([SurveyRow.ended] if wish.ended else [])]
    statement = select(SurveyRow).where(SurveyRow.backend.in_(backends))
    rows = session.scalars(statement.options(*(undefer(column) for column in long)))
    found = {row.backend: _known(row, wish) for row in rows}
    return {name: found.get(name, Known()) for name in backends}


def _known(row: SurveyRow, wish: Wish) -> Known:
    return Known(
        facts_of(row.facts),
        row.facts_at,
        queue_of(row.queue),
        row.queue_at,
        crowd_of(row.crowd or {}) if wish.crowd else Crowd(),
        row.crowd_at,
        ended_of(row.ended or {}) if wish.ended else Ended(),
        row.ended_at,
    )


def ask_cancel(session: Session, backend: str, key: str, now: datetime) -> None:
    """Order the cancellation of a job in a backend's queue; asking twice is asking once."""
    if session.get(JobOrder, (backend, key)) is None:
        session.add(JobOrder(backend=backend, job_id=key, asked_at=now))


def ordered(session: Session, backend: str) -> set[str]:
    """The keys of the jobs of a backend whose cancellation is ordered."""
    return set(session.scalars(select(JobOrder.job_id).where(JobOrder.backend == backend)))


def with_orders(session: Session, now: datetime) -> set[str]:
    """The backends that have an order which was not sent, or not lately."""
    return set(session.scalars(select(JobOrder.backend).where(_to_send(now)).distinct()))


def to_send(session: Session, backend: str, now: datetime) -> set[str]:
    """The keys of the jobs whose order is to be sent now."""
    statement = select(JobOrder.job_id).where(JobOrder.backend == backend, _to_send(now))
    return set(session.scalars(statement))


def _to_send(now: datetime) -> ColumnElement[bool]:
    return or_(JobOrder.sent_at.is_(None), JobOrder.sent_at < now - AGAIN)


def mark_sent(session: Session, backend: str, keys: Collection[str], now: datetime) -> None:
    """Note that the scheduler was told."""
    statement = update(JobOrder).where(JobOrder.backend == backend, JobOrder.job_id.in_(keys))
    session.connection().execute(statement.values(sent_at=now))


def forget_orders(session: Session, backend: str, keys: Collection[str], now: datetime) -> None:
    """Drop the orders of jobs that have left the queue, and those that came to nothing."""
    is_over = or_(JobOrder.job_id.in_(keys), JobOrder.asked_at < now - ORDER_LASTS)
    session.execute(delete(JobOrder).where(JobOrder.backend == backend, is_over))
