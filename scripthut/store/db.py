"""The database: its engine, its transactions, and the one place where writing begins."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from scripthut.core.errors import HutError

__all__ = ["Database", "DatabaseDown", "Session"]

BUSY = 30.0  # seconds a writer waits for another one before "database is locked"
STUCK = 5.0  # seconds after which PostgreSQL ends a writer that has fallen silent
CONNECT = {"connect_timeout": "10", "tcp_user_timeout": "15000"}  # for PostgreSQL, unless given


class DatabaseDown(HutError):
    """The database does not answer, or was locked for too long; nothing was written."""


class Database:
    """A database and the two ways to use it: `reading` and `writing`."""

    def __init__(self, url: str) -> None:
        """Open a database by its SQLAlchemy URL; makes the directory of a SQLite file."""
        self.url = make_url(url)
        self._sqlite = self.url.get_backend_name() == "sqlite"
        if self._sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        given = {name: CONNECT[name] for name in CONNECT.keys() - self.url.query.keys()}
        args = {"timeout": BUSY} if self._sqlite else given
        self.engine = create_engine(self.url, connect_args=args, pool_pre_ping=not self._sqlite)
        self._writer = self.engine.execution_options(hut_writes=True)
        if self._sqlite:
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        else:
            event.listen(self._writer, "begin", _postgresql_begin)

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
        with (
            _says_when_down(),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def _says_when_down() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error, OperationalError) and not error.connection_invalidated:
            raise
        raise DatabaseDown(f"The database does not answer: {error.orig}") from error


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
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_begin(connection: Connection) -> None:
    """Let nobody hold a row for ever: a host that vanished, a leader that was put to sleep."""
    connection.exec_driver_sql(
        f"SET LOCAL idle_in_transaction_session_timeout = {int(STUCK * 1000)}; "
        f"SET LOCAL lock_timeout = {int(BUSY * 1000)}"
    )
