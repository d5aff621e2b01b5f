"""The database: its engine, its transactions, and the one place where writing begins."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolIsEmpty
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from scripthut.core.errors import HutError

__all__ = ["Database", "DatabaseDown", "Session"]

BUSY = 30.0  # seconds a writer waits for another one before "database is locked"
IN_PASSING = 0.3  # seconds a note waits that somebody writes again in a moment
STUCK = 5.0  # seconds after which PostgreSQL ends a writer that has fallen silent
CONNECT = {"connect_timeout": "10", "tcp_user_timeout": "15000"}  # for PostgreSQL, unless given


# What to do about it, by SQLite's kinds of errors.
REMEDIES: Mapping[int, str] = {
    sqlite3.SQLITE_BUSY: (
        "Another process has been writing for long; nothing was changed here, try again in a moment"
    ),
    sqlite3.SQLITE_READONLY: (
        "Nothing was changed: the file, its -wal and -shm and their directory must be writable for "
        "the user that runs scripthut"
    ),
    sqlite3.SQLITE_FULL: "Nothing was changed: make room on the disk that data_dir is on",
    sqlite3.SQLITE_IOERR: (
        "Nothing was changed: see whether the disk that data_dir is on is full or broken"
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The directory must exist and be writable for the user that runs scripthut"
    ),
}


class DatabaseDown(HutError):
    """The database does not answer, or was locked for too long; nothing was written."""


class Database:
    """A database and the ways to use it: `reading`, `writing` and, in passing, `noting`."""

    def __init__(self, url: str, patience: float | None = None) -> None:
        """Open a database by its SQLAlchemy URL; makes the directory of a SQLite file.

        `patience`: seconds that a writer waits for another one; None: BUSY.
        """
        self.url = make_url(url)
        self._sqlite = self.url.get_backend_name() == "sqlite"
        if self._sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        given = {name: CONNECT[name] for name in CONNECT.keys() - self.url.query.keys()}
        args = {"timeout": BUSY} if self._sqlite else given
        self.engine = create_engine(self.url, connect_args=args, pool_pre_ping=not self._sqlite)
        self.engine.update_execution_options(hut_patience=patience)
        self._writer = self.engine.execution_options(hut_writes=True)
        self._notes = self._writer.execution_options(hut_patience=IN_PASSING)
        if self._sqlite:
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        else:
            for writes in (self._writer, self._notes):
                event.listen(writes, "begin", _postgresql_begin)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that changes nothing and sees one state of the database."""
        with _says_when_down(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes: committed at the end, undone on any exception.

        On SQLite it begins IMMEDIATE: one that reads first and writes later would meet "database
        is locked" whenever another one wrote in between.
        """
        with _writing(self._writer) as session:
            yield session

    @contextmanager
    def noting(self) -> Iterator[Session]:
        """As `writing`, for what nobody should wait for: it may stay unwritten.

        Whoever notes something suppresses DatabaseDown, and notes it again in a moment.
        """
        with _writing(self._notes) as session:
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def _writing(engine: Engine) -> Iterator[Session]:
    with _says_when_down(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def _says_when_down() -> Iterator[None]:
    try:
        yield
    except PoolIsEmpty as error:  # many backends' cycles wait for a database that hangs
        said = "all connections that this process may have are waiting for it"
        raise DatabaseDown(f"The database does not answer: {said}") from error
    except DBAPIError as error:
        if not isinstance(error, OperationalError) and not error.connection_invalidated:
            raise
        raise DatabaseDown(f"The database does not answer: {_sentence(error.orig)}") from error


def _sentence(error: BaseException | None) -> str:
    """The database's own words, and what to do where SQLite says what is wrong.

    Its first byte is the kind; what stands above that says more exactly where.
    """
    code = error.sqlite_errorcode if isinstance(error, sqlite3.Error) else None
    remedy = None if code is None else REMEDIES.get(code & 0xFF)
    return str(error) if remedy is None else f"{error}. {remedy}"


def _sqlite_connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours, see below
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")  # an intent that was committed survives power loss
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: DBAPICursor) -> None:
    """Switch to the log of writes, which needs the file alone: SQLite does not wait for that."""
    until = time.monotonic() + BUSY
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("hut_writes")
    # A connection goes from hand to hand, and its patience with it.
    connection.exec_driver_sql(f"PRAGMA busy_timeout={_patience(connection)}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _patience(connection: Connection) -> int:
    """Milliseconds for which another writer is waited for."""
    patience = connection.get_execution_options().get("hut_patience")
    return int((BUSY if patience is None else patience) * 1000)


def _postgresql_begin(connection: Connection) -> None:
    """Let nobody hold a row for ever: a host that vanished, a leader that was put to sleep."""
    connection.exec_driver_sql(
        f"SET LOCAL idle_in_transaction_session_timeout = {int(STUCK * 1000)}; "
        f"SET LOCAL lock_timeout = {_patience(connection)}"
    )
