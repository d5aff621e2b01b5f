"""What is at stake when a person orders something: how many tasks, and how much computing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from scripthut.core.costs import Hours, used
from scripthut.core.retrying import costliest
from scripthut.core.states import OPEN, State
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store.making import reruns, retries
from scripthut.store.making.reruns import Mode
from scripthut.store.models import Run, Task

WAITING = (State.PENDING, State.SUBMITTING, State.SUBMITTED, State.QUEUED, State.RETRYING)


@dataclass(frozen=True)
class Spending:
    """Tasks that would run. `most`: what they may use once, by their time limits."""

    tasks: int
    following: int  # of them: those that only wait for the others
    taken_over: int  # besides them: those that completed, and are not run again
    most: Hours
    unlimited: int  # of the tasks: those without a time limit, which `most` leaves out
    raised: int = 0  # of the tasks: those that ask for more than their document says
    memory: int | None = None  # bytes, the most that one of these asks for
    time_limit: int | None = None  # seconds, likewise
    in_all: Hours = field(
        default_factory=Hours
    )  # as `most`, with every attempt that their policies may add


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
    tries = [_Try(one.spec, one.attempt + 1, one.asked) for one in first]
    tries += [_Try(one.spec, one.attempt, one.asked) for one in rest]
    return _spending(tries, following=len(rest))


def of_rerun(session: Session, origin: Run, mode: Mode) -> Spending:
    """What it may cost to run a run again; Conflict. What generators will add is not known."""
    tasks, kept = reruns.chosen(session, origin, mode)
    tries = [_Try(task.spec) for task in tasks if task.id not in kept]
    return _spending(tries, taken_over=len(kept))


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


@dataclass(frozen=True)
class _Try:
    """A task's next attempt; `asked`: what it asks for in the place of its specification."""

    spec: Mapping[str, object]
    attempt: int = 1
    asked: Mapping[str, int] | None = None

    @property
    def wanted(self) -> Mapping[str, object]:
        return {**self.spec, **(self.asked or {})}

    @property
    def most(self) -> Hours:
        return _most(self.wanted)

    @property
    def in_all(self) -> Hours:
        """With every attempt that the task's policy may add."""
        if not self.spec.get("retry"):
            return self.most
        every = costliest(TaskSpec.stored(self.spec), self.attempt, self.asked)
        return _sum(_most({**self.spec, **asked}) for asked in every)


def _spending(tries: Sequence[_Try], following: int = 0, taken_over: int = 0) -> Spending:
    limited = [one for one in tries if one.wanted.get("time_limit")]
    raised = [one for one in tries if one.asked]
    return Spending(
        len(tries),
        following,
        taken_over,
        _sum(one.most for one in limited),
        len(tries) - len(limited),
        len(raised),
        _largest(raised, "memory"),
        _largest(raised, "time_limit"),
        _sum(one.in_all for one in limited),
    )


def _most(wanted: Mapping[str, object]) -> Hours:
    limit = wanted.get("time_limit")
    return used(wanted, float(limit)) if isinstance(limit, int) else Hours()


def _largest(tries: Sequence[_Try], what: str) -> int | None:
    return max((one.asked[what] for one in tries if one.asked and what in one.asked), default=None)


def _sum(parts: Iterable[Hours]) -> Hours:
    return sum(parts, Hours())
