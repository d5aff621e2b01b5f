"""A cancel is an order: pending tasks end at once, live ones when the evidence says so."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import event, select, update

from scripthut.core.states import Event, State
from scripthut.store import orders, tasks
from scripthut.store.making import retries
from scripthut.store.models import EventRow, Run, Task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def states(database) -> dict[str, State]:
    with database.reading() as session:
        return {t.key: t.state for t in session.scalars(select(Task))}


def start(database, key: str) -> None:
    with database.writing() as session:
        task = session.scalars(select(Task).where(Task.key == key)).one()
        tasks.move(session, task, Event.CLAIMED, NOW, {"token": f"abcdefgh.{task.n}.1"})
        tasks.move(session, task, Event.ACCEPTED, NOW, {"job_id": "17"})


def test_a_run_is_cancelled_pending_tasks_at_once_and_live_ones_by_order(
    database, make_run
) -> None:
    make_run("a", "b", ("c", ["b"]))
    start(database, "a")
    with database.writing() as session:
        assert orders.ask_cancel_run(session, session.get(Run, "abcdefgh"), NOW) == 3
    assert states(database) == {
        "a": State.SUBMITTED,
        "b": State.CANCELLED,
        "c": State.CANCELLED,
    }
    with database.reading() as session:
        (doomed,) = tasks.to_cancel(session, "hpc", NOW)
    assert doomed.key == "a"


def test_asking_twice_is_asking_once(database, make_run) -> None:
    make_run("a")
    start(database, "a")
    for later in (NOW, NOW + timedelta(minutes=1)):
        with database.writing() as session:
            task = session.scalars(select(Task)).one()
            assert orders.ask_cancel_task(session, task, later)
    with database.reading() as session:
        assert session.scalars(select(Task)).one().cancel_asked_at == NOW


def test_a_task_that_has_ended_cannot_be_cancelled(database, make_run) -> None:
    make_run("a")
    with database.writing() as session:
        assert orders.ask_cancel_task(session, session.scalars(select(Task)).one(), NOW)
    with database.writing() as session:
        assert not orders.ask_cancel_task(session, session.scalars(select(Task)).one(), NOW)


def test_an_order_without_effect_is_sent_again(database, make_run) -> None:
    make_run("a")
    start(database, "a")
    with database.writing() as session:
        orders.ask_cancel_run(session, session.get(Run, "abcdefgh"), NOW)
        tasks.mark_cancel_sent(session, [session.scalars(select(Task.id)).one()], NOW)
    with database.reading() as session:
        assert tasks.to_cancel(session, "hpc", NOW - timedelta(seconds=15)) == []
        assert tasks.to_cancel(session, "hpc", NOW + timedelta(seconds=1))


def test_a_lost_task_is_cancelled_by_the_person_who_decides_about_it(database, make_run) -> None:
    make_run("a")
    start(database, "a")
    with database.writing() as session:
        task = session.scalars(select(Task)).one()
        tasks.move(session, task, Event.VANISHED, NOW, {})
    with database.writing() as session:
        orders.ask_cancel_run(session, session.get(Run, "abcdefgh"), NOW)
    assert states(database) == {"a": State.CANCELLED}


def test_cancelling_many_tasks_takes_as_many_statements_as_cancelling_few(
    database, make_run
) -> None:
    """It holds the only writer: at 10,000 tasks one statement each took half a minute."""
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    counts = []
    for run_id, size in (("few00000", 3), ("many0000", 400)):
        make_run(*(f"t{i}" for i in range(size)), run_id=run_id)
        said.clear()
        with database.writing() as session:
            assert orders.ask_cancel_run(session, session.get(Run, run_id), NOW) == size
        counts.append(len(said))
    assert counts[0] == counts[1]
    with database.reading() as session:
        rows = session.scalars(select(EventRow).where(EventRow.what == "cancelled")).all()
        assert len(rows) == 403
        assert session.get(Run, "many0000").ended_at == NOW
        versions = {
            t.version for t in session.scalars(select(Task).where(Task.run_id == "many0000"))
        }
    assert versions == {2}


def test_what_is_asked_of_many_live_or_failed_tasks_takes_as_many_statements_as_of_few(
    database, make_run
) -> None:
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    counts = []
    for run_id, size in (("few00000", 3), ("many0000", 400)):
        make_run(*(f"t{i}" for i in range(size)), ("last", ["t0", "t1"]), run_id=run_id)
        with database.writing() as session:
            rows = session.scalars(select(Task).where(Task.run_id == run_id)).all()
            for task in rows[:-1]:
                tasks.move(session, task, Event.CLAIMED, NOW, {"token": f"{run_id}.{task.n}.1"})
        said.clear()
        with database.writing() as session:
            assert orders.ask_cancel_run(session, session.get(Run, run_id), NOW) == size + 1
        with database.reading() as session:
            asked = select(EventRow).where(EventRow.run_id == run_id)
            asked = asked.where(EventRow.what == "cancel_asked")
            assert len(session.scalars(asked).all()) == size
        cancels = len(said)
        with database.writing() as session:
            ended = {"state": State.FAILED, "finished_at": NOW, "exit_code": 1}
            session.execute(update(Task).where(Task.run_id == run_id).values(ended))
            last = Task.run_id == run_id, Task.key == "last"
            session.execute(update(Task).where(*last).values(state=State.DEP_FAILED))
        said.clear()
        with database.writing() as session:
            assert retries.retry_failed(session, session.get(Run, run_id), NOW) == size + 1
        counts.append((cancels, len(said)))
    assert counts[0] == counts[1]
    with database.reading() as session:
        again = select(Task).where(Task.run_id == "many0000").order_by(Task.n)
        again = session.scalars(again).all()
        assert {task.state for task in again} == {State.PENDING}
        assert [task.attempt for task in again] == [2] * 400 + [1]
        assert {task.cancel_asked_at for task in again} == {None}
