"""How Alembic reaches the database: over the caller's connection, or one of its own."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from scripthut.store.db import Database
from scripthut.store.models import Base, UTCDateTime


def render(kind: str, thing: object, _context: AutogenContext) -> str | Literal[False]:
    """Write our own column type as the plain one that it is in the database."""
    if kind == "type" and isinstance(thing, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False  # the usual way


def migrate(connection: Connection) -> None:
    """Run the migrations that were asked for inside the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,  # store/db.py begins every transaction itself, on SQLite too
        render_as_batch=True,  # SQLite cannot alter a column in place
        render_item=render,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:  # the `alembic` command of a developer: `alembic -x url=sqlite:///new.db upgrade head`
    database = Database(context.get_x_argument(as_dictionary=True).get("url", "sqlite://"))
    with database.writing() as session:
        migrate(session.connection())
