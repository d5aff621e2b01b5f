"""What is at stake when a person orders something: how many tasks, and how much computing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from scripthut.core.costs import Hours, used
from scripthut.core.states import OPEN, State
from scripthut.store import reruns, retries
from scripthut.store.models import Run, Task
from scripthut.store.reruns import Mode

WAITING = (State.PENDING, State.SUBMITTING, State.SUBMITTED, State.QUEUED, State.RETRYING)


@dataclass(frozen=True)
class Spending:
    """Tasks that would run. `most`: what they may use, by their time limits."""

    tasks: int
    following: int  # of them: those that only wait for the others
    taken_over: int  # besides them: those that completed, and are not run again
    most: Hours
    unlimited: int  # of the tasks: those without a time limit, which `most` leaves out


@dataclass(frozen=True)
class Loss:
    """Tasks that would be cancelled. `spent`: what those that run have used so far."""

    tasks: int
    running: int
    waiting: int  # those that no job runs for yet
    lost: int
    spent: Hours


def of_retry(session: Session, run_id: str, task: Task | None = None) -> Spending:
    """What it may cost to try a task (None: all of a run's that ended badly) again; Conflict."""
    first = retries.broken(session, run_id, task)
    rest = retries.waiting_for(session, run_id, {one.key for one in first})
    return _spending([*first, *rest], following=len(rest))


def of_rerun(session: Session, origin: Run, mode: Mode) -> Spending:
    """What it may cost to run a run again; Conflict. What generators will add is not known."""
    tasks, kept = reruns.chosen(session, origin, mode)
    return _spending([task for task in tasks if task.id not in kept], taken_over=len(kept))


def of_cancel(session: Session, run_id: str, now: datetime, task: Task | None = None) -> Loss:
    """What would be lost if a task (None: all of a run's) were cancelled now."""
    statement = select(Task.state, Task.spec, Task.started_at)
    if task is None:
        statement = statement.where(Task.run_id == run_id, Task.state.in_(OPEN))
    else:
        statement = statement.where(Task.id == task.id, Task.state.in_(OPEN))
    states: Counter[State] = Counter()
    spent = Hours()
    for state, spec, started in session.execute(statement):
        states[state] += 1
        if state is State.RUNNING:
            spent += used(spec, max(0.0, (now - (started or now)).total_seconds()))
    waiting = sum(states[state] for state in WAITING)
    return Loss(states.total(), states[State.RUNNING], waiting, states[State.LOST], spent)


def _spending(tasks: Sequence[Task], following: int = 0, taken_over: int = 0) -> Spending:
    limited = [task for task in tasks if task.spec.get("time_limit")]
    most = _sum(used(task.spec, float(task.spec["time_limit"])) for task in limited)
    return Spending(len(tasks), following, taken_over, most, len(tasks) - len(limited))


def _sum(parts: Iterable[Hours]) -> Hours:
    return sum(parts, Hours())
