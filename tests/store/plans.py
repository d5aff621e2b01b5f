"""How SQLite goes about what it is asked: it does not look at what is in the tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from scripthut.store.db import Database, Session
from scripthut.store.models import Base


def steps(directory: Path, ask: Callable[[Session], object]) -> list[str]:
    """The steps of all that is asked: SEARCH or SCAN, a table, an index."""
    database = Database(f"sqlite:///{directory}/plans.db")
    Base.metadata.create_all(database.engine)
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_words: Any) -> None:
        said.append((statement, given))

    event.listen(database.engine, "before_cursor_execute", note)
    with database.reading() as session:
        ask(session)
    event.remove(database.engine, "before_cursor_execute", note)
    with database.engine.connect() as connection:
        found = [
            str(row[3])
            for statement, given in said
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        ]
    database.dispose()
    return found
