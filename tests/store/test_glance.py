"""What an open page asks: one question that says the same as those it stands for."""

from datetime import UTC, datetime, timedelta

import pytest

from scripthut.core.errors import NotFound
from scripthut.core.workflow.document import parse
from scripthut.store import lease, runs, watches
from scripthut.store.db import Database
from scripthut.store.glance import glance
from scripthut.store.machines import backends, health, pauses
from scripthut.store.machines.health import Answered
from scripthut.store.machines.pauses import Kind, Words
from scripthut.store.making.create import NewRun, create_run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "aaaaaaaa"


@pytest.fixture(autouse=True)
def run(database: Database) -> None:
    with database.writing() as session:
        create_run(session, ID, NewRun("x", "hpc", parse([{"id": "a", "command": "x"}])), NOW)


def health_of(database: Database) -> str:
    """The fingerprint in the glance, which must be that of the pages."""
    with database.reading() as session:
        seen, pulse = glance(session, ID), runs.pulse(session, ID)
        assert (seen.version, seen.backend, seen.ended_at) == (pulse.version, "hpc", None)
        assert seen.health == backends.health(session, "hpc").mark
    return seen.health


def test_it_tells_of_every_change_of_health(database: Database) -> None:
    marks = [health_of(database)]
    lease.acquire(database, "me")
    marks.append(health_of(database))
    with database.writing() as session:
        health.answered(session, "hpc", "slurm", Answered(1, 0, 0, "full"), NOW)
    marks.append(health_of(database))
    with database.writing() as session:
        health.failed(session, "hpc", "slurm", "no route", NOW)
    marks.append(health_of(database))
    lease.release(database, "me")
    marks.append(health_of(database))
    with database.writing() as session:
        pauses.pause(session, Kind.BACKEND, "hpc", Words("ada", "cables"), NOW)
    marks.append(health_of(database))
    assert len(set(marks)) == 6


def test_it_tells_how_long_somebody_looks(database: Database) -> None:
    with database.reading() as session:
        assert not watches.is_fresh(glance(session, ID).watched_until, NOW)
    watches.renew(database, ID, 0, "output", NOW)  # of a task, not of the run
    watches.renew(database, ID, 0, "run", NOW - timedelta(seconds=3))
    with database.reading() as session:
        until = glance(session, ID).watched_until
    assert until == NOW + timedelta(seconds=12)
    assert watches.is_fresh(until, NOW) and not watches.is_fresh(until, NOW + timedelta(seconds=3))


def test_a_run_that_is_not_there_is_said_so(database: Database) -> None:
    with database.reading() as session, pytest.raises(NotFound, match="no run nowhere1"):
        glance(session, "nowhere1")
