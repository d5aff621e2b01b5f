"""A run with tasks in the database."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from scripthut.core.workflow.document import parse
from scripthut.store.db import Database
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import Run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(database: Database) -> MakeRun:
    """Make a run of tasks given as `id` or `(id, [deps])`."""

    def make(*tasks: str | tuple[str, list[str]], run_id: str = "abcdefgh") -> Run:
        rows = [(task, []) if isinstance(task, str) else task for task in tasks]
        document = parse([{"id": key, "command": "true", "deps": deps} for key, deps in rows])
        with database.writing() as session:
            return create_run(session, run_id, NewRun("study", "hpc", document), NOW)

    return make
