"""What the engine asks in every cycle costs no more after a year of runs than on the first day."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from scripthut.core.states import State
from scripthut.store import tasks, watches
from scripthut.store.db import Database, Session
from scripthut.store.files import fetches, wishes
from scripthut.store.keeping.migrate import upgrade
from scripthut.store.making import generators, retries
from scripthut.store.models import Output, Run, Task

pytestmark = pytest.mark.own_database("SQLite's speed is what is tested")

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
QUESTIONS: dict[str, Callable[[Session], object]] = {
    "what to watch": lambda session: tasks.to_watch(session, "hpc", NOW),
    "what somebody looks at": lambda session: tasks.recalled(session, "hpc", NOW),
    "what to cancel": lambda session: tasks.to_cancel(session, "hpc", NOW),
    "what waits unwanted": lambda session: tasks.unwanted(session, "hpc"),
    "how many live": lambda session: tasks.live_counts(session, "hpc"),
    "what is new": lambda session: tasks.news(session, NOW),
    "what is ordered": lambda session: tasks.ordered(session, NOW),
    "who is alive": lambda session: tasks.alive(session, NOW),
    "what to fetch": lambda session: fetches.going(session, "hpc", NOW),
    "where to fetch": lambda session: fetches.backends(session, NOW),
    "pieces": lambda session: wishes.wished(session, "hpc", NOW),
    "where pieces are": lambda session: wishes.backends(session, NOW),
    "looks": lambda session: watches.looks(session, "hpc", NOW),
    "generators": lambda session: generators.generating(session, "hpc"),
    "what to try again": lambda session: retries.due(session, "hpc", NOW),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A hundred runs that ended on a hundred days, and one that goes on."""
    path: Path = tmp_path_factory.mktemp("year") / "hut.db"
    upgrade(f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}")
    with database.writing() as session:
        for day in range(100):
            _run(session, f"r{day:07}", State.COMPLETED, NOW - (2 + day) * DAY)
        _run(session, "goeson01", State.PENDING, None)
    return database


def _run(session: Session, run_id: str, state: State, ended: datetime | None) -> None:
    session.add(Run(id=run_id, name="x", backend="hpc", created_at=NOW, ended_at=ended, version=1))
    session.flush()
    row = {"run_id": run_id, "spec": {}, "deps": [], "state": state, "version": 1}
    row |= {"finished_at": ended, "collected_at": ended, "job_id": "7" if ended else None}
    session.execute(insert(Task), [{**row, "n": n, "key": f"t{n}", "name": "t"} for n in range(50)])
    file = {"area": "output", "raw": b"f", "path": "f", "size": 1, "mtime_ns": 1, "kind": "text"}
    ids = session.query(Task.id).filter_by(run_id=run_id)
    session.execute(insert(Output), [{**file, "task_id": one} for (one,) in ids])


@pytest.mark.parametrize("what", QUESTIONS)
def test_a_question_does_not_go_through_all_that_ever_was(database: Database, what: str) -> None:
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with database.reading() as session:
        raw = session.connection().connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(step, 1)  # SQLite counts what it does
        try:
            QUESTIONS[what](session)
        finally:
            raw.set_progress_handler(None, 0)
    assert 0 < count < 5000  # of 5,000 tasks that ended, each takes several steps
