"""Fixtures that every package's tests may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripthut.store.db import Database
from scripthut.store.models import Base
from tests.cluster.fixtures import login_node, mended, slurm

__all__ = ["database", "login_node", "mended", "slurm"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database with all tables."""
    database = Database(f"sqlite:///{tmp_path / 'hut.db'}")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()
