"""What is still to come of tasks that have ended: their outputs and logs, until they are here."""

from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from scripthut.core.states import TERMINAL
from scripthut.store.models import Task


def is_done(task: Task) -> bool:
    """Whether a task has ended and all that it left was collected: nothing more will come."""
    return task.state in TERMINAL and (task.token is None or task.collected_at is not None)


def is_settled(session: Session, run_id: str, since: datetime | None = None) -> bool:
    """Whether nothing about a run will change by itself: all has ended and was collected.

    What ended before `since` counts as collected: nobody can fetch it any more.
    """
    is_left = (
        _is_uncollected() if since is None else _is_uncollected() & (Task.ended_seen_at > since)
    )
    restless = select(Task.id).where(Task.run_id == run_id, Task.state.not_in(TERMINAL) | is_left)
    return session.execute(restless.limit(1)).first() is None


def uncollected(session: Session, run_id: str) -> int:
    """Of how many ended tasks something they wrote is still to be collected."""
    ended = (Task.run_id == run_id, Task.state.in_(TERMINAL), _is_uncollected())
    return session.scalar(select(func.count()).select_from(Task).where(*ended)) or 0


def _is_uncollected() -> ColumnElement[bool]:
    return Task.job_id.is_not(None) & Task.collected_at.is_(None)
