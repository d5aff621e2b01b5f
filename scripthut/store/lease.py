"""One engine acts: a row that elects it, and a fence that a stale one cannot pass.

Times are the database's own clock, so that the servers' clocks need not agree.
"""

from sqlalchemy import Float, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from scripthut.core.errors import Conflict
from scripthut.store.db import Database
from scripthut.store.models import Lease

ENGINE = "engine"
SECONDS = 10.0  # how long a lease lasts; it is renewed every second


class Fenced(Conflict):
    """Another engine leads now: whatever this one was about to write is void."""


class database_time(GenericFunction[float]):
    """Seconds since 1970 by the database's clock."""

    type = Float()
    inherit_cache = True


@compiles(database_time, "sqlite")
def _sqlite(_element: database_time, _compiler: SQLCompiler, **_kw: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_time, "postgresql")
def _postgresql(_element: database_time, _compiler: SQLCompiler, **_kw: object) -> str:
    return "extract(epoch from clock_timestamp())"


def acquire(database: Database, holder: str) -> int | None:
    """Take or renew the lease; its epoch, or None while another one holds it.

    The epoch grows whenever the lease is taken anew, so one who slept through its end finds its
    own epoch void.
    """
    _ensure_row(database)
    now = database_time()
    with database.writing() as session:
        renewed = (
            update(Lease)
            .where(Lease.name == ENGINE, Lease.holder == holder, Lease.until >= now)
            .values(until=now + SECONDS)
            .returning(Lease.epoch)
            .execution_options(synchronize_session=False)
        )
        epoch = session.execute(renewed).scalar_one_or_none()
        if epoch is not None:
            return epoch
        taken = (
            update(Lease)
            # One that ends later than any lease lasts is of before a clock was set back.
            .where(Lease.name == ENGINE, or_(Lease.until < now, Lease.until > now + 2 * SECONDS))
            .values(holder=holder, until=now + SECONDS, epoch=Lease.epoch + 1)
            .returning(Lease.epoch)
            .execution_options(synchronize_session=False)
        )
        return session.execute(taken).scalar_one_or_none()


def release(database: Database, holder: str) -> None:
    """Give the lease back, so that another candidate need not wait for its end."""
    with database.writing() as session:
        statement = update(Lease).where(Lease.name == ENGINE, Lease.holder == holder)
        session.execute(statement.values(until=0.0))


def fence(session: Session, holder: str, epoch: int) -> None:
    """Begin an engine's transaction: Fenced when the lease is not this engine's any more.

    The update locks the row, so that nobody takes the lease before this transaction has ended.
    """
    statement = (
        update(Lease)
        .where(Lease.name == ENGINE, Lease.holder == holder, Lease.epoch == epoch)
        .where(Lease.until >= database_time())
        .values(epoch=epoch)
    )
    if session.connection().execute(statement).rowcount != 1:
        raise Fenced("another engine leads: this one stops acting")


def leader(session: Session) -> tuple[str, float] | None:
    """Who leads and for how many more seconds; None when nobody does."""
    remaining = Lease.until - database_time()
    statement = select(Lease.holder, remaining).where(Lease.name == ENGINE, Lease.until > 0)
    row = session.execute(statement).one_or_none()
    return (row[0], float(row[1])) if row and row[0] and row[1] > 0 else None


def _ensure_row(database: Database) -> None:
    with database.reading() as session:
        if session.get(Lease, ENGINE) is not None:
            return
    try:
        with database.writing() as session:
            session.execute(insert(Lease).values(name=ENGINE, epoch=0, until=0.0))
    except IntegrityError:
        return  # another candidate made it in this moment
