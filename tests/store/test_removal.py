"""A run that is forgotten leaves no row in any table, and takes no other run's."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from scripthut.core.errors import Conflict
from scripthut.core.jobs import Area
from scripthut.core.states import Event
from scripthut.core.workflow.document import parse
from scripthut.store.db import Database
from scripthut.store.keeping.removal import remove_run
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import Base, EventRow, Log, Output, Run, Task, WatchRow
from scripthut.store.runs import find_run
from scripthut.store.tasks import move_pending

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make(database: Database, run_id: str, origin: str | None = None) -> None:
    document = parse([{"id": "a", "command": "true"}, {"id": "b", "command": "true"}])
    with database.writing() as session:
        create_run(session, run_id, NewRun("x", "hpc", document, origin=origin), NOW)
        session.flush()
        task = session.scalars(select(Task).where(Task.run_id == run_id)).first()
        assert task is not None
        place = {"task_id": task.id, "area": Area.OUTPUT, "raw": b"f", "path": "f", "kind": "text"}
        session.add(Output(**place, size=1, mtime_ns=1))
        session.add(Log(task_id=task.id, stream="output", start=0, end=1, size=1, at=NOW))
        session.add(WatchRow(run_id=run_id, task_id=task.id, what="output", until=NOW))


def end(database: Database, run_id: str) -> None:
    with database.writing() as session:
        move_pending(session, run_id, Event.CANCELLED, NOW, "no longer wanted")


def rows(database: Database) -> dict[str, int]:
    with database.reading() as session:
        tables = (Run, Task, EventRow, Output, Log, WatchRow)
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
            for table in tables
        }


def test_an_ended_run_goes_with_all_that_belongs_to_it(database: Database) -> None:
    make(database, "aaaaaaaa")
    end(database, "aaaaaaaa")
    only_one = rows(database)
    make(database, "bbbbbbbb", origin="aaaaaaaa")
    make(database, "cccccccc")
    end(database, "cccccccc")
    with database.writing() as session:
        remove_run(session, find_run(session, "cccccccc"))
        remove_run(session, find_run(session, "aaaaaaaa"))
    left = rows(database)
    assert left["runs"] == 1
    assert {k: v for k, v in left.items() if k != "events"} == {
        k: v for k, v in only_one.items() if k != "events"
    }
    with database.reading() as session:
        assert find_run(session, "bbbbbbbb").origin is None


def test_a_run_that_has_not_ended_stays(database: Database) -> None:
    make(database, "aaaaaaaa")
    with database.writing() as session, pytest.raises(Conflict, match="cancel it first"):
        remove_run(session, find_run(session, "aaaaaaaa"))
    assert rows(database)["tasks"] == 2


def test_no_table_that_names_a_run_or_a_task_is_left_out() -> None:
    """Tables that are about runs say so by the names of their columns."""
    strange = [
        f"{table.name}.{key.parent.name}"
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in {"runs", "tasks"}
        and key.parent.name not in {"run_id", "task_id"}
    ]
    assert strange == []
