"""Texts that no database takes are kept all the same, with a sign where that is."""

from datetime import UTC, datetime

import pytest

from scripthut.store.db import Database
from scripthut.store.machines import health
from scripthut.store.models import BackendRow


@pytest.mark.parametrize("said", ["a\0b", "a\ud800b"])
def test_what_a_machine_said_is_kept_whatever_is_in_it(database: Database, said: str) -> None:
    with database.writing() as session:
        health.failed(session, "hpc", "slurm", f"It said: {said}", datetime(2026, 1, 1, tzinfo=UTC))
    with database.reading() as session:
        assert session.get_one(BackendRow, "hpc").message == "It said: a\ufffdb"
