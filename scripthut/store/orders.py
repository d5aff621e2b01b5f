"""What people ask of the engine. An order is written down; only evidence ends a live task."""

from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from scripthut.core.states import OPEN, TERMINAL, Event, State
from scripthut.store.models import EventRow, Run, Task
from scripthut.store.tasks import move, move_pending
from scripthut.store.versions import next_version

UNSUBMITTED = "Cancelled before it was submitted"
# In these states nobody can be asked for evidence, so the order itself ends the task.
AT_ONCE = {
    State.PENDING: {"reason": UNSUBMITTED},
    State.GENERATING: {"reason": "Cancelled before its document had joined the run"},
    State.RETRYING: {"reason": "Cancelled before it was tried again"},
    State.LOST: {"reason": "Cancelled while it was lost: what became of its job is not known"},
}

NOT_ASKED = frozenset(AT_ONCE) - {State.PENDING}  # a pending one that is left was submitted once


def ask_cancel_task(session: Session, task: Task, now: datetime) -> bool:
    """Order a task's cancellation; one never submitted and a lost one are cancelled at once.

    False: it has ended.
    """
    session.refresh(task)
    if task.state in TERMINAL:
        return False
    # A pending one with a token was submitted once, and its job may still arrive.
    is_unsure = task.state is State.PENDING and task.token is not None
    at_once = None if is_unsure else AT_ONCE.get(task.state)
    if at_once is None or not move(session, task, Event.CANCELLED, now, at_once):
        _ask(session, task, now)
    return True


def ask_cancel_run(session: Session, run: Run, now: datetime) -> int:
    """Order the cancellation of all of a run's tasks that have not ended; says how many."""
    statement = select(Task.id).where(Task.run_id == run.id, Task.state.in_(OPEN)).limit(1)
    if session.scalar(statement) is None:
        return 0
    marked = update(Run).where(Run.id == run.id, Run.cancel_asked_at.is_(None))
    session.execute(marked.values(cancel_asked_at=now))
    dropped = move_pending(session, run.id, Event.CANCELLED, now, UNSUBMITTED)
    asked = _ask_all(session, run.id, now)
    left = (Task.run_id == run.id, Task.state.in_(NOT_ASKED))
    rest = session.scalars(select(Task).where(*left).order_by(Task.n)).all()
    return dropped + asked + sum(ask_cancel_task(session, task, now) for task in rest)


def _ask_all(session: Session, run_id: str, now: datetime) -> int:
    """Write the order down for all tasks of a run whose jobs are to be asked for evidence.

    In three statements however many they are; says of how many it holds now.
    """
    live = Task.run_id == run_id, Task.state.in_(OPEN - NOT_ASKED)
    statement = (
        update(Task)
        .where(*live, Task.cancel_asked_at.is_(None))
        .values(cancel_asked_at=now, version=next_version(session, run_id))
        .returning(Task.id)
        .execution_options(synchronize_session=False)
    )
    said = {"run_id": run_id, "at": now, "what": "cancel_asked"}
    new = session.execute(statement).scalars().all()
    if new:
        session.execute(insert(EventRow), [{**said, "task_id": task_id} for task_id in new])
    session.expire_all()
    return session.scalar(select(func.count()).select_from(Task).where(*live)) or 0


def _ask(session: Session, task: Task, now: datetime) -> None:
    """Write the order down; asking twice is asking once."""
    statement = (
        update(Task)
        .where(Task.id == task.id, Task.cancel_asked_at.is_(None))
        .values(cancel_asked_at=now, version=next_version(session, task.run_id))
    )
    if session.connection().execute(statement).rowcount:
        row = EventRow(run_id=task.run_id, task_id=task.id, at=now, what="cancel_asked")
        session.add(row)
        task.cancel_asked_at = now
