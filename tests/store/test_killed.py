"""A writer that is killed a hundred times: what it was told is written is there, and whole."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select, text

from scripthut.core.states import Event, State
from scripthut.core.workflow.document import parse
from scripthut.store.db import Database
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import Base, EventRow, Task
from scripthut.store.tasks import move
from tests.databases import address, is_postgres

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES = 100
RUN = "abcdefgh"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a database with a run of one task; no connection to it is open."""
    url = address(tmp_path)
    database = Database(url)
    Base.metadata.create_all(database.engine)
    with database.writing() as session:
        document = parse([{"id": "a", "command": "true"}])
        create_run(session, RUN, NewRun("x", "hpc", document), NOW)
    database.dispose()
    yield url


def moves(url: str, told: int) -> None:
    """Move a task round and round, and tell of each move after its commit."""
    database = Database(url)
    while True:
        with database.writing() as session:
            task = session.scalars(select(Task)).one()
            is_new = task.state is State.PENDING
            event = Event.CLAIMED if is_new else Event.NOT_FOUND
            assert move(session, task, event, NOW, {"reason": "x" * 2000})
        os.write(told, b".")


def test_a_writer_killed_a_hundred_times_loses_nothing_that_was_committed(url: str) -> None:
    chance = Random(20260301)
    pace = 0.01  # seconds that a write takes, as the writers before showed
    lived, heard_more = 0.0, 0
    for _ in range(TIMES):
        listen, told = os.pipe()
        writer = os.fork()
        if writer == 0:
            try:
                moves(url, told)
            finally:
                os._exit(1)
        os.close(told)
        os.read(listen, 1)  # it has begun
        began = time.monotonic()
        time.sleep(chance.uniform(0, 3 * pace))  # at which instant is the point
        os.kill(writer, signal.SIGKILL)
        lived += time.monotonic() - began
        os.waitpid(writer, 0)
        while heard := os.read(listen, 65536):
            heard_more += len(heard)
        os.close(listen)
        pace = lived / max(1, heard_more)
    acknowledged = TIMES + heard_more
    database = Database(url)
    with database.reading() as session:
        task = session.scalars(select(Task)).one()
        count = session.scalar(select(func.count()).select_from(EventRow)) or 0
        last = session.scalars(select(EventRow).order_by(EventRow.id.desc())).first()
        if not is_postgres():
            assert session.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    database.dispose()
    # Each kill may come between a commit and the word of it: then there is one more.
    assert acknowledged <= count <= acknowledged + TIMES
    assert acknowledged > 1.2 * TIMES  # many were killed later than at their first write
    assert last is not None
    assert last.new == task.state.value  # the move and its history are one
