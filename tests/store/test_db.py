"""Writers that fall silent hold nothing for ever, where the database can see to that."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from scripthut.store import db, lease
from scripthut.store.db import Database, DatabaseDown
from scripthut.store.models import Base, Lease

pytestmark = pytest.mark.postgres


@pytest.fixture
def databases(postgres_url: str) -> Iterator[tuple[Database, Database]]:
    """The same database as two servers have it."""
    one, two = Database(postgres_url), Database(postgres_url)
    Base.metadata.create_all(one.engine)
    yield one, two
    Base.metadata.drop_all(one.engine)
    one.dispose()
    two.dispose()


def test_a_leader_that_sleeps_in_a_write_is_followed_and_its_write_is_void(
    databases: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "STUCK", 0.3)
    sleeps, follows = databases
    assert lease.acquire(sleeps, "sleeps") == 1
    with pytest.raises(DatabaseDown, match="idle-in-transaction"), sleeps.writing() as session:
        lease.fence(session, "sleeps", 1)  # the row is locked from here on
        session.execute(update(Lease).values(until=0.0))
        with follows.writing() as other:  # it waits, and only until the silence is noticed
            other.execute(update(Lease).values(until=lease.database_time() - 1))
        assert lease.acquire(follows, "follows") == 2
        session.execute(update(Lease).values(holder="vandal"))
    with follows.reading() as session:
        assert lease.leader(session)[0] == "follows"


def test_who_waits_too_long_for_another_writer_is_told(
    databases: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY", 0.3)
    holds, waits = databases
    lease.acquire(holds, "me")
    began = time.monotonic()
    with holds.writing() as session:
        session.execute(update(Lease).values(until=1.0))
        with pytest.raises(DatabaseDown, match="lock timeout"), waits.writing() as other:
            other.execute(update(Lease).values(until=2.0))
    assert time.monotonic() - began < 5
