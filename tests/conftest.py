"""Fixtures that every package's tests may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripthut.store.db import Database
from scripthut.store.models import Base

# Programs that a test starts, with what they need in their environment: no modules of ours.
collect_ignore = ["cluster/pbs"]


@pytest.fixture
def database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    """An empty database with all tables."""
    database = Database(database_url or f"sqlite:///{tmp_path / 'hut.db'}")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()
