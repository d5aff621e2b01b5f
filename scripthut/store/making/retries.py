"""Trying again: a task becomes a new attempt in the same run, and what waited for it waits anew."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scripthut.core.errors import Conflict
from scripthut.core.retrying import MOST
from scripthut.core.states import BROKEN, Event, State
from scripthut.store.index import on_backend
from scripthut.store.machines.disk import check_stays
from scripthut.store.making.importing import check_begun_here
from scripthut.store.models import Run, Task
from scripthut.store.tasks import move, move_again

AT_ONCE = 500  # tasks moved in one statement
READABLE = timedelta(minutes=2)  # that a former attempt's logs and outputs are waited for
AGAIN = frozenset({*BROKEN, State.LOST, State.RETRYING}) - {State.DEP_FAILED}
"""States in which a person can ask for another attempt."""

# A pending task knows nothing of a former attempt; its files and logs stay under that attempt.
CLEAN = MappingProxyType(
    {
        "token": None,
        "job_id": None,
        "submitted_at": None,
        "accepted_at": None,
        "started_at": None,
        "finished_at": None,
        "ended_seen_at": None,
        "exit_code": None,
        "signal": None,
        "node": None,
        "memory_used": None,
        "cpu_used": None,
        "reason": None,
        "missing_since": None,
        "requeues": 0,
        "void_note": None,
        "cancel_asked_at": None,
        "cancel_sent_at": None,
        "listing_mark": None,
        "collected_at": None,
        "outputs_more": 0,
        "outputs_problem": None,
        "collect_failures": 0,
        "collect_at": None,
        "has_outputs": False,
        "has_run_summary": False,
        "progress": None,
        "progress_text": None,
        "progress_mark": None,
        "env": None,
        "cause": None,
        "retry_at": None,
    }
)

BEGUN_ANEW = MappingProxyType(  # of a run: what its new attempts write is no removed one's
    {"ended_at": None, "cancel_asked_at": None, "removed_at": None, "removed_why": None}
)


def retry_task(session: Session, task: Task, now: datetime) -> int:
    """Try one task again, and let those wait anew that its end had broken; says how many move.

    Conflict when it has not ended badly; Refused in a run that was imported.
    """
    session.refresh(task)
    return _retry(session, task.run_id, broken(session, task.run_id, task), now)


def retry_failed(session: Session, run: Run, now: datetime) -> int:
    """Try all tasks of a run again that ended badly or are lost; says how many tasks move."""
    return _retry(session, run.id, broken(session, run.id), now)


def broken(session: Session, run_id: str, task: Task | None = None) -> Sequence[Task]:
    """The task (None: all of the run's) as one that can be tried again.

    Conflict or Refused says why not.
    """
    check_begun_here(session, run_id)
    check_stays(session, run_id)
    if task is not None and task.state not in AGAIN:
        raise Conflict(
            f"The task {task.key} is {task.state}: only one that failed, was cancelled or is lost "
            "can be tried again."
        )
    statement = select(Task).where(Task.run_id == run_id, Task.state.in_(AGAIN))
    found = [task] if task else session.scalars(statement.order_by(Task.n)).all()
    if not found:
        raise Conflict(f"The run {run_id} has no task that could be tried again.")
    worn_out = [one.key for one in found if one.attempt >= MOST]
    if worn_out:
        raise Conflict(
            f"The task {worn_out[0]} has been tried {MOST} times, the most there can be: "
            "start a new run."
        )
    return found


def due(session: Session, backend: str, now: datetime) -> Sequence[Task]:
    """The tasks of a backend whose time to be tried again has come.

    Not before what the former attempt wrote is kept, or has been waited for.
    """
    is_kept = Task.collected_at.is_not(None) | (Task.ended_seen_at < now - READABLE)
    statement = (
        select(Task)
        .join(Run, Run.id == Task.run_id)
        .where(on_backend(backend), Task.state == State.RETRYING, Task.retry_at <= now, is_kept)
        .order_by(Task.id)
    )
    return session.scalars(statement).all()


def try_again(session: Session, task: Task, now: datetime) -> bool:
    """Let a task whose time has come be its next attempt."""
    facts = {**CLEAN, "attempt": task.attempt + 1, "reason": f"Attempt {task.attempt + 1}"}
    return move(session, task, Event.DUE, now, facts)


def _retry(session: Session, run_id: str, tasks: Sequence[Task], now: datetime) -> int:
    next_one = {**CLEAN, "attempt": Task.attempt + 1, "reason": "Tried again"}
    stopped = waiting_for(session, run_id, {task.key for task in tasks})
    moved = _move(session, run_id, tasks, now, next_one)
    # They never were jobs: the same attempt will be their first.
    moved += _move(session, run_id, stopped, now, CLEAN)
    again = update(Run).where(Run.id == run_id)
    session.connection().execute(again.values(**BEGUN_ANEW))
    return moved


def _move(
    session: Session,
    run_id: str,
    tasks: Sequence[Task],
    now: datetime,
    facts: Mapping[str, object],
) -> int:
    """Move tasks, whatever state each is in; those that another writer moved first stay."""
    by_state: dict[State, list[int]] = {}
    for task in tasks:
        by_state.setdefault(task.state, []).append(task.id)
    moved = 0
    for state, ids in by_state.items():
        for at in range(0, len(ids), AT_ONCE):
            part = ids[at : at + AT_ONCE]
            moved += move_again(session, run_id, state, part, now, facts)
    session.expire_all()
    return moved


def waiting_for(session: Session, run_id: str, keys: Collection[str]) -> list[Task]:
    """The tasks that these ones' ends had broken, through whole chains.

    One that something else has broken too is broken again by the engine's next cascade.
    """
    statement = select(Task).where(Task.run_id == run_id, Task.state == State.DEP_FAILED)
    stopped = session.scalars(statement.order_by(Task.n)).all()
    followers: dict[str, list[Task]] = {}
    for task in stopped:
        for dep in task.deps:
            followers.setdefault(dep, []).append(task)
    found: dict[str, Task] = {}
    reached = list(keys)
    while reached:
        new = [task for task in followers.get(reached.pop(), ()) if task.key not in found]
        found |= {task.key: task for task in new}
        reached += [task.key for task in new]
    return sorted(found.values(), key=lambda task: task.n)
