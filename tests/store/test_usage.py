"""CPU time is counted when a task ends: once, and in the hours in which it was spent."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from scripthut.core.costs import Hours
from scripthut.core.states import Event
from scripthut.store import runs, tasks, usage
from scripthut.store.models import Task
from scripthut.store.usage import Efficiency

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEGUN = NOW - timedelta(minutes=90)


@pytest.fixture
def running(database, make_run):
    """A task of one CPU that began an hour and a half ago."""
    make_run("a", "b")
    with database.reading() as session:
        task = session.scalars(select(Task).where(Task.key == "a")).one()
    with database.writing() as session:
        tasks.move(session, task, Event.CLAIMED, NOW, {"token": "abcdefgh.0.1"})
        tasks.move(session, task, Event.ACCEPTED, NOW, {"job_id": "7"})
        tasks.move(session, task, Event.SEEN_RUNNING, NOW, {"started_at": BEGUN})
    return task


def spent(database, since=NOW - timedelta(days=1)):
    with database.reading() as session:
        return usage.by_hour(session, since, NOW)


@pytest.mark.parametrize("event", [Event.EXITED_OK, Event.EXITED_BAD, Event.CANCELLED])
def test_what_a_task_spent_is_counted_however_it_ended(database, running, event):
    with database.writing() as session:
        assert tasks.move(session, running, event, NOW, {"finished_at": NOW})
    hours = {NOW - timedelta(hours=1): 3600.0, NOW - timedelta(hours=2): 1800.0}
    assert spent(database) == {(hour, "study"): seconds for hour, seconds in hours.items()}
    with database.reading() as session:
        assert runs.one(session, "abcdefgh").cpu_seconds == 5400.0


def test_a_task_that_runs_counts_up_to_now_and_not_twice_at_its_end(database, running):
    before = spent(database)
    with database.reading() as session:
        assert usage.running(session, "abcdefgh", NOW) == Hours(1.5)
    with database.writing() as session:
        tasks.move(session, running, Event.EXITED_OK, NOW, {"finished_at": NOW})
    assert spent(database) == before
    assert usage.by_day(before) == {NOW.date(): 5400.0}


def test_gpu_hours_are_counted_and_summed_by_backend(database, running):
    with database.writing() as session:
        spec = {**running.spec, "cpus": 4, "gres": "gpu:a100:2"}
        session.execute(update(Task).where(Task.id == running.id).values(spec=spec))
    with database.writing() as session:
        task = session.get(Task, running.id)
        tasks.move(session, task, Event.EXITED_OK, NOW, {"finished_at": NOW})
    with database.reading() as session:
        run = runs.one(session, "abcdefgh")
        assert usage.ended(run) == Hours(cpu=6.0, gpu=3.0)
        assert usage.by_backend(session, run.created_at) == {run.backend: Hours(6.0, 3.0)}
        assert usage.by_backend(session, NOW + timedelta(days=1)) == {}


def test_efficiency_is_of_what_is_known(database, running):
    with database.writing() as session:
        facts = {"finished_at": NOW, "cpu_used": 2700.0, "memory_used": 2**30}
        assert usage.efficiency(session, "abcdefgh") == Efficiency(None, None)
        tasks.move(session, running, Event.EXITED_OK, NOW, facts)
    with database.reading() as session:
        assert usage.efficiency(session, "abcdefgh") == Efficiency(0.5, 0.25)
    with database.writing() as session:
        spec = {**running.spec, "memory": None}
        session.execute(update(Task).where(Task.id == running.id).values(spec=spec))
        assert usage.efficiency(session, "abcdefgh") == Efficiency(0.5, None)


def test_who_loses_the_race_to_end_a_task_counts_nothing(database, running):
    with database.reading() as session:
        stale = session.get(Task, running.id)
    with database.writing() as session:
        tasks.move(session, running, Event.EXITED_OK, NOW, {"finished_at": NOW})
    with database.writing() as session:
        assert not tasks.move(session, stale, Event.CANCELLED, NOW, {"finished_at": NOW})
    with database.reading() as session:
        assert runs.one(session, "abcdefgh").cpu_seconds == 5400.0


def test_a_task_that_never_ran_spent_nothing(database, make_run):
    make_run("a")
    with database.writing() as session:
        task = session.scalars(select(Task)).one()
        tasks.move(session, task, Event.CANCELLED, NOW, {})
    assert spent(database) == {}


def test_a_year_of_two_sources_adds_up_hour_by_hour(database, make_run):
    make_run("a", "b")
    with database.writing() as session:
        for task in session.scalars(select(Task)):
            task.started_at, task.finished_at = NOW - timedelta(minutes=30), NOW
            usage.spend(session, task)
    assert spent(database) == {(NOW - timedelta(hours=1), "study"): 3600.0}
    assert spent(database, NOW) == {}
    assert usage.source_of(None, "climate/daily") == "climate"
    assert usage.source_of("git", "climate/daily") == "git"
