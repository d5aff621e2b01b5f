"""One engine acts, and one that slept cannot write."""

import pytest
from sqlalchemy import update

from scripthut.store import lease
from scripthut.store.db import Database
from scripthut.store.models import Lease


def run_out(database: Database) -> None:
    """As if the holder had slept for longer than the lease lasts."""
    with database.writing() as session:
        session.execute(update(Lease).values(until=lease.database_time() - 1))


def test_the_first_candidate_leads_and_the_second_waits(database) -> None:
    assert lease.acquire(database, "one") == 1
    assert lease.acquire(database, "two") is None
    assert lease.acquire(database, "one") == 1


def test_a_lease_that_ran_out_goes_to_whoever_asks(database) -> None:
    lease.acquire(database, "one")
    run_out(database)
    assert lease.acquire(database, "two") == 2
    assert lease.acquire(database, "one") is None


def test_a_clock_that_was_set_back_keeps_nobody_out(database) -> None:
    lease.acquire(database, "one")
    with database.writing() as session:
        session.execute(update(Lease).values(until=lease.database_time() + 3600))
    assert lease.acquire(database, "two") == 2
    assert lease.acquire(database, "one") is None


def test_a_leader_that_slept_finds_its_epoch_void_even_if_it_leads_again(database) -> None:
    lease.acquire(database, "one")
    run_out(database)
    assert lease.acquire(database, "one") == 2
    with pytest.raises(lease.Fenced), database.writing() as session:
        lease.fence(session, "one", 1)


def test_a_stale_leader_writes_nothing(database) -> None:
    lease.acquire(database, "one")
    run_out(database)
    lease.acquire(database, "two")
    with pytest.raises(lease.Fenced), database.writing() as session:
        lease.fence(session, "one", 1)
        session.execute(update(Lease).values(holder="vandal"))
    with database.reading() as session:
        assert lease.leader(session)[0] == "two"


def test_a_released_lease_is_free_at_once(database) -> None:
    lease.acquire(database, "one")
    lease.release(database, "one")
    assert lease.acquire(database, "two") == 2


def test_a_lease_lasts_ten_seconds(database) -> None:
    lease.acquire(database, "one")
    with database.reading() as session:
        _, left = lease.leader(session)
    assert 8 < left <= 10
