"""`move` is the only writer of a state, and it compares before it sets."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from scripthut.core.states import Event, IllegalTransition, State
from scripthut.store import tasks, watches
from scripthut.store.db import Database
from scripthut.store.models import EventRow, Run, Task
from tests.store.plans import steps

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLAIM = {"token": "abcdefgh.0.1", "submitted_at": NOW}


def one(database: Database, key: str = "a") -> Task:
    with database.reading() as session:
        return session.scalars(select(Task).where(Task.key == key)).one()


def do(database: Database, task: Task, event: Event, now: datetime = NOW, **facts: object) -> bool:
    with database.writing() as session:
        return tasks.move(session, task, event, now, facts)


def test_a_move_changes_state_version_and_history_together(database, make_run) -> None:
    make_run("a", "b")
    task = one(database)
    assert do(database, task, Event.CLAIMED, **CLAIM)
    again = one(database)
    with database.reading() as session:
        run = session.get(Run, "abcdefgh")
        row = session.scalars(select(EventRow).where(EventRow.task_id == task.id)).one()
    assert (again.state, again.token) == (State.SUBMITTING, "abcdefgh.0.1")
    assert again.version == run.version == 2
    assert (row.what, row.old, row.new) == ("claimed", "pending", "submitting")


def test_of_two_writers_one_wins_and_the_other_writes_nothing(database, make_run) -> None:
    make_run("a")
    mine, theirs = one(database), one(database)
    assert do(database, mine, Event.CLAIMED, **CLAIM)
    assert not do(database, theirs, Event.CANCELLED, reason="too late")
    assert one(database).state is State.SUBMITTING
    with database.reading() as session:
        assert len(session.scalars(select(EventRow).where(EventRow.task_id == mine.id)).all()) == 1


def test_an_illegal_move_is_an_error_and_writes_nothing(database, make_run) -> None:
    make_run("a")
    with pytest.raises(IllegalTransition):
        do(database, one(database), Event.EXITED_OK)
    assert one(database).state is State.PENDING


def test_all_changes_of_one_transaction_carry_one_version(database, make_run) -> None:
    make_run("a", "b")
    with database.writing() as session:
        for key in ("a", "b"):
            task = session.scalars(select(Task).where(Task.key == key)).one()
            tasks.move(session, task, Event.CANCELLED, NOW, {})
    assert one(database, "a").version == one(database, "b").version == 2


def test_a_run_ends_with_its_last_task(database, make_run) -> None:
    make_run("a", "b")
    do(database, one(database, "a"), Event.CANCELLED)
    with database.reading() as session:
        assert session.get(Run, "abcdefgh").ended_at is None
    do(database, one(database, "b"), Event.CANCELLED)
    with database.reading() as session:
        assert session.get(Run, "abcdefgh").ended_at == NOW


def test_facts_alone_bring_a_version_but_no_event(database, make_run) -> None:
    make_run("a")
    task = one(database)
    with database.writing() as session:
        assert tasks.learn(session, task, {"reason": "Waits for resources"})
    assert one(database).version == 2
    with database.writing() as session:
        assert not tasks.learn(session, one(database), {"reason": "Waits for resources"})


def test_only_what_matters_is_watched(database, make_run) -> None:
    make_run("pending", "live", "done", "old")
    for key in ("live", "done", "old"):
        do(database, one(database, key), Event.CLAIMED, token=f"abcdefgh.{key[0]}.1")
        do(database, one(database, key), Event.ACCEPTED, job_id="1")
    behind = NOW - timedelta(days=400)  # the clock of where it ran
    do(database, one(database, "done"), Event.EXITED_OK, finished_at=behind)
    assert one(database, "done").finished_at == behind
    do(database, one(database, "old"), Event.EXITED_OK, now=NOW - timedelta(days=2))
    with database.reading() as session:
        assert [t.key for t in tasks.to_watch(session, "hpc", NOW)] == ["live", "done"]
        assert tasks.to_watch(session, "elsewhere", NOW) == []


def test_of_many_that_ended_those_are_asked_about_whose_turn_it_is(
    database, make_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "ENDED", 2)
    make_run("last", "first", "second", "live")
    ages = {"last": 1, "first": 3, "second": 2}
    for key in (*ages, "live"):
        do(database, one(database, key), Event.CLAIMED, token=f"abcdefgh.{key[0]}.1")
        do(database, one(database, key), Event.ACCEPTED, job_id="1")
    for key, age in ages.items():
        do(database, one(database, key), Event.EXITED_OK, now=NOW - timedelta(minutes=age))

    def asked() -> set[str]:
        with database.reading() as session:
            return {task.key for task in tasks.to_watch(session, "hpc", NOW)}

    assert asked() == {"live", "first", "second"}
    with database.writing() as session:
        session.merge(one(database, "first")).collect_at = NOW + timedelta(minutes=1)
    assert asked() == {"live", "second", "last"}


def test_what_is_asked_all_the_time_begins_with_what_is_not_over(tmp_path: Path) -> None:
    for ask in (tasks.news, tasks.alive, lambda s, now: tasks.to_watch(s, "hpc", now)):
        found = steps(tmp_path, lambda session, ask=ask: ask(session, NOW))
        assert not [step for step in found if step.startswith(("SCAN tasks", "SCAN runs"))
                    and "ix_runs_open" not in step], found  # fmt: skip
        assert not [step for step in found if "runs_backend" in step]


def test_what_a_cluster_does_not_give_for_a_day_is_asked_for_only_while_somebody_looks(
    database, make_run
) -> None:
    run_id = make_run("a").id
    do(database, one(database), Event.CLAIMED, **CLAIM)
    do(database, one(database), Event.ACCEPTED, job_id="1")
    do(database, one(database), Event.EXITED_OK)
    for age, given_up in [(timedelta(hours=23), False), (timedelta(hours=25), True)]:
        now = NOW + age
        with database.writing() as session:
            tasks.give_up_collecting(session, now)
        assert (one(database).outputs_problem is not None) == given_up
        with database.reading() as session:
            assert bool(tasks.to_watch(session, "hpc", now)) != given_up
            assert not tasks.recalled(session, "hpc", now)
    watches.renew(database, run_id, 0, "run", now)
    with database.reading() as session:
        assert [task.key for task in tasks.recalled(session, "hpc", now)] == ["a"]
        assert not tasks.recalled(session, "hpc", now + timedelta(minutes=1))
