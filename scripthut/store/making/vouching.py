"""Vouching: a person says what became of a task whose job nobody knows anything of."""

from datetime import datetime

from sqlalchemy.orm import Session

from scripthut.core.errors import Conflict
from scripthut.core.states import Event, State
from scripthut.store.models import Task
from scripthut.store.tasks import move

LONGEST = 500  # characters of a note


def vouch(session: Session, task: Task, completed: bool, note: str, now: datetime) -> State:
    """Let a lost task have completed, or failed, as a person says; the state that it has then.

    A generator that completed has its document read first. It counts as ended when the last trace
    of its job was seen. Conflict when it is not lost.
    """
    session.refresh(task)
    words = " ".join(note.split())[:LONGEST]
    if task.state is not State.LOST:
        raise Conflict(
            f"The task {task.key} is {task.state}: only one that is lost is vouched for."
        )
    reason = f"A person says that it {'completed' if completed else 'failed'}"
    facts = {
        "reason": f"{reason}: {words}" if words else reason,
        "finished_at": task.missing_since or now,
    }
    if not move(session, task, _event(task, completed), now, facts):
        raise Conflict(f"The task {task.key} is no longer lost: something was heard of its job.")
    return task.state


def _event(task: Task, completed: bool) -> Event:
    if not completed:
        return Event.DENIED
    return Event.PRODUCED if task.spec.get("generates_source") else Event.VOUCHED
