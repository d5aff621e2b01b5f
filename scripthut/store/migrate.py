"""Bring a database's tables to the form that this version of the program knows."""

import logging

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import ArgumentError

from scripthut.core.errors import Conflict, Invalid, Unreachable
from scripthut.places import MIGRATIONS
from scripthut.store.db import Database, DatabaseDown

log = logging.getLogger(__name__)

LOCK = 0x48_55_54  # any number, as long as every server asks for the same one


def upgrade(url: str) -> None:
    """Run the migrations that a database still lacks, all of them or none.

    Several servers may start at once: one migrates, the others wait and find nothing to do.
    Raises Invalid for an address that is none, Unreachable when the database cannot be opened,
    Conflict when a newer version of the program has been at it.
    """
    database = _open(url)
    shown = database.url.render_as_string(hide_password=True)
    try:
        with database.writing() as session:
            _upgrade(session.connection())
        database.dispose()
    except DatabaseDown as error:
        raise Unreachable(f"the database {shown} cannot be upgraded. {error}") from error
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


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's BEGIN IMMEDIATE locks already
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _open(url: str) -> Database:
    try:
        return Database(url)
    except ArgumentError as error:
        why = "is not an address like sqlite:////srv/hut.db or postgresql+psycopg://user@host/hut"
        raise Invalid("settings.database_url", [why]) from error
    except ModuleNotFoundError as error:
        why = f"needs {error.name}, which is not installed: pip install 'scripthut[postgres]'"
        raise Invalid("settings.database_url", [why]) from error
    except OSError as error:
        raise Unreachable(f"the database's directory cannot be made: {error}") from error
