"""How the database goes about what it is asked."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from scripthut.store.db import Database, Session


def steps(database: Database, ask: Callable[[Session], object]) -> list[str]:
    """The steps of all that is asked, as SQLite says them: SEARCH or SCAN, a table, an index."""
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by what is in the tables")
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_words: Any) -> None:
        said.append((statement, given))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.reading() as session:
            ask(session)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    with database.engine.connect() as connection:
        return [
            str(row[3])
            for statement, given in said
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        ]
