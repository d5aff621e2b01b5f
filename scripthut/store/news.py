"""What has just happened that a person may want to hear of: tasks that failed, runs that ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scripthut.core.states import TERMINAL, State
from scripthut.store import runs
from scripthut.store.models import EventRow, Task
from scripthut.store.runs import RunRow

MOST = 2000  # events that are looked at; what is further behind is told no more
_LAST = select(func.max(EventRow.id))  # made once: open pages ask it all day
LOUD = (State.FAILED, State.LOST)


@dataclass(frozen=True)
class News:
    """What happened to one run since an event: tasks of it that failed, and whether it ended."""

    run: RunRow
    failed: Sequence[str]  # the keys of the first few
    count: int
    has_ended: bool


def last(session: Session) -> int:
    """The number of the last event; 0: there is none."""
    return session.connection().execute(_LAST).scalar() or 0


def since(session: Session, event: int, until: int) -> list[News]:
    """What happened after an event, by run."""
    statement = (
        select(EventRow.run_id, EventRow.new, Task.key)
        .join(Task, Task.id == EventRow.task_id)
        .where(EventRow.id > max(event, until - MOST), EventRow.id <= until)
        .where(EventRow.new.in_([*TERMINAL, State.LOST]), EventRow.old != EventRow.new)
        .order_by(EventRow.id)
    )
    failed: dict[str, list[str]] = {}
    for run_id, new, key in session.execute(statement):
        failed.setdefault(run_id, []).extend([key] if new in LOUD else [])
    told = [(runs.one(session, run_id), keys) for run_id, keys in failed.items()]
    return [
        News(run, keys[:3], len(keys), run.is_over) for run, keys in told if keys or run.is_over
    ]
