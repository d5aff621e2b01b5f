"""Bring a database's tables to the form that this version of the program knows."""

import logging
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from scripthut.core.errors import Conflict, Invalid, Unreachable
from scripthut.places import MIGRATIONS
from scripthut.store.db import Database, DatabaseDown

log = logging.getLogger(__name__)

BROKEN = "PRAGMA foreign_key_check"  # a row for each that refers to none
LOCK = 0x48_55_54  # any number, as long as every server asks for the same one


def upgrade(url: str, to: str = "head") -> None:
    """Run the migrations that a database still lacks up to one, all of them or none.

    Several servers may start at once: one migrates, the others wait and find nothing to do.
    Raises Invalid for an address that is none, Unreachable when the database cannot be opened,
    Conflict when a newer version of the program has been at it.
    """
    database = _open(url)
    shown = database.url.render_as_string(hide_password=True)
    try:
        with database.writing() as session:
            _upgrade(session.connection(), to)
        database.dispose()
    except DatabaseDown as error:
        raise Unreachable(f"the database {shown} cannot be upgraded. {error}") from error
    except (DBAPIError, sqlite3.DatabaseError) as error:
        why = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        raise Unreachable(
            f"the database {shown} cannot be upgraded: {why}. Is it one of scripthut's, and may "
            "its user create tables there?"
        ) from error
    except CommandError as error:
        raise Conflict(
            f"the database {shown} was made by a newer scripthut than this one ({error}): "
            "install that version, or name another database in settings.database_url"
        ) from error
    log.info("database ready url=%s", shown)


def head() -> str:
    """The newest revision there is."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise Conflict(f"there are no migrations in {MIGRATIONS}: install scripthut again")
    return found


def current(connection: Connection) -> str | None:
    """The revision of a database's tables; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def revision(path: Path) -> str:
    """The revision of a SQLite file's tables. Conflict when there are none of ours."""
    database = Database(f"sqlite:///{path}")
    with database.engine.connect() as connection:
        found = current(connection)
    database.dispose()
    if found is None:
        raise Conflict(f"{path} is no database of scripthut's")
    return found


def _upgrade(connection: Connection, to: str) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's BEGIN IMMEDIATE locks already
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    if connection.dialect.name == "sqlite" and connection.execute(text(BROKEN)).first():
        raise Conflict("the rows of the database do not fit together: restore a backup of it")


def _let_tables_go(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """SQLite changes a table by making it anew, which rows that refer to it would not allow."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")  # of no effect inside of a transaction
    cursor.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _open(url: str) -> Database:
    try:
        database = Database(url)
        if database.url.get_backend_name() == "sqlite":
            event.listen(database.engine, "connect", _let_tables_go)
        return database
    except ArgumentError as error:
        why = "is not an address like sqlite:////srv/hut.db or postgresql+psycopg://user@host/hut"
        raise Invalid("settings.database_url", [why]) from error
    except ModuleNotFoundError as error:
        why = f"needs {error.name}, which is not installed: pip install 'scripthut[postgres]'"
        raise Invalid("settings.database_url", [why]) from error
    except OSError as error:
        raise Unreachable(f"the database's directory cannot be made: {error}") from error
