"""Fixtures that every package's tests may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripthut.store.db import Database
from scripthut.store.models import Base
from tests.databases import address, is_postgres

# Programs that a test starts, with what they need in their environment: no modules of ours.
collect_ignore = ["cluster/pbs"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database with all tables."""
    database = Database(address(tmp_path / "data"))
    if not is_postgres():
        Base.metadata.create_all(database.engine)
    yield database
    database.dispose()
