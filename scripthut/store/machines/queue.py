"""The users' queues on all backends: which jobs are tasks of ours, and which are cancelled how."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session, contains_eager

from scripthut.core.errors import Conflict, NotFound
from scripthut.core.jobs import Phase, Token
from scripthut.core.queue import MOST, Listed
from scripthut.core.sights import LATELY
from scripthut.core.states import State
from scripthut.core.survey import Wish
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store import orders
from scripthut.store.machines import surveys
from scripthut.store.machines.surveys import Known
from scripthut.store.models import Run, Task

_TOKEN = re.compile(r"([a-z0-9]{8})\.([0-9a-z]{1,4})\.[0-9a-z]{1,3}")
_AT_ONCE = 200  # tasks in one question
_PHASES = {
    State.COMPLETED: Phase.DONE,
    State.FAILED: Phase.FAILED,
    State.CANCELLED: Phase.CANCELLED,
}


@dataclass(frozen=True)
class QueueRow:
    """A job in a queue. `task`: the task of ours whose job it is, with its run; None: another's.

    `is_own`: it is in the user's own queue, as last told, and may be cancelled.
    """

    job: Listed
    task: Task | None
    is_cancelling: bool
    is_own: bool = True


@dataclass(frozen=True)
class BackendQueue:
    """One backend's queue, as last told."""

    backend: str
    known: Known
    rows: Sequence[QueueRow]


class View(StrEnum):
    """Whose jobs are shown, and which."""

    MINE = "mine"
    ALL = "all"
    ENDED = "ended"

    @property
    def wish(self) -> Wish:
        """What a look must bring for it."""
        return Wish(queue=True, facts=True, crowd=self is View.ALL, ended=self is View.ENDED)


def queues(
    session: Session, backends: Collection[str], view: View = View.MINE
) -> list[BackendQueue]:
    """The queues of some backends, in their order."""
    known = surveys.every(session, backends, view.wish)
    show = _SHOWS[view]
    return [BackendQueue(name, known[name], show(session, name, known[name])) for name in backends]


def _mine(session: Session, backend: str, known: Known) -> list[QueueRow]:
    ordered = surveys.ordered(session, backend)
    ours = tasks_of(session, backend, [t for job in known.queue.jobs for t in job.tokens])
    rows = []
    for job in known.queue.jobs:
        task = next((ours[token] for token in job.tokens if token in ours), None)
        asked = task.cancel_asked_at is not None if task else job.key in ordered
        rows.append(QueueRow(job, task, asked))
    return rows


def _everybody(session: Session, backend: str, known: Known) -> list[QueueRow]:
    """All jobs in the order they were told; the user's own as his own queue tells of them.

    An array of ours is one row among everybody's and many in one's own: they take its place.
    """
    own: dict[str, list[QueueRow]] = {}
    for row in _mine(session, backend, known):
        own.setdefault(_number(row.job.job_id), []).append(row)
    left = set(own)
    rows: list[QueueRow] = []
    for job in known.crowd.jobs:
        number = _number(job.job_id)
        if job.owner != known.crowd.user or (number not in own and known.queue.more):
            rows.append(QueueRow(job, None, is_cancelling=False, is_own=False))
        elif number in left:
            left.discard(number)
            rows += own[number]
    return [*rows, *(row for number in own if number in left for row in own[number])]


def _number(job_id: str) -> str:
    """What the rows of one array have in common, even where a column cut it.

    >>> [_number(i) for i in ("3_[2-50%2]", "3_1", "4[].pbs1", "12+1", "123.very*")]
    ['3', '3', '4', '12', '123']
    """
    match = re.match(r"\d+", job_id)
    return match[0] if match else job_id


def _ended(session: Session, backend: str, known: Known) -> list[QueueRow]:
    """What the scheduler tells of; where it cannot tell of all, tasks of ours as they ended."""
    if known.ended_at is None:
        return []
    since = known.ended_at - LATELY
    told = [job for job in known.ended.jobs if job.ended_at and job.ended_at >= since]
    ours = tasks_of(session, backend, [token for job in told for token in job.tokens])
    rows = []
    for job in told:
        task = next((ours[token] for token in job.tokens if token in ours), None)
        rows.append(QueueRow(job, task, is_cancelling=False, is_own=False))
    if known.ended.is_told:
        return rows
    seen = {row.task.id for row in rows if row.task}
    tasks = [task for task in _ended_tasks(session, backend, since) if task.id not in seen]
    rows += [QueueRow(_as_job(task), task, is_cancelling=False, is_own=False) for task in tasks]
    rows.sort(key=lambda row: row.job.ended_at or since, reverse=True)
    return rows


_SHOWS = {View.MINE: _mine, View.ALL: _everybody, View.ENDED: _ended}


def _ended_tasks(session: Session, backend: str, since: datetime) -> Sequence[Task]:
    statement = (
        select(Task)
        .join(Task.run)
        .where(
            Run.backend == backend,
            or_(Run.ended_at.is_(None), Run.ended_at >= since),
            Task.ended_seen_at >= since,
            Task.state.in_(_PHASES),
            Task.job_id.is_not(None),
        )
        .order_by(Task.ended_seen_at.desc())
        .limit(MOST)
        .options(contains_eager(Task.run))
    )
    return session.scalars(statement).all()


def _as_job(task: Task) -> Listed:
    spec = TaskSpec.stored({**task.spec, **(task.asked or {})})
    return Listed(
        job_id=task.job_id or "",
        name=task.name,
        owner="",
        phase=_PHASES[task.state],
        word=task.state.value.upper(),
        reason=task.reason,
        partition=spec.partition or "",
        cpus=spec.cpus,
        memory=spec.memory,
        gres=spec.gres,
        time_limit=spec.time_limit,
        submitted_at=task.submitted_at,
        started_at=task.started_at,
        node=task.node,
        ended_at=task.finished_at or task.ended_seen_at,
        exit_code=task.exit_code,
    )


def tasks_of(session: Session, backend: str, tokens: Sequence[Token]) -> Mapping[Token, Task]:
    """The tasks that words in jobs' names stand for, on this backend, each with its run."""
    places = {
        token: (match[1], int(match[2], 36))
        for token in tokens
        if (match := _TOKEN.fullmatch(token))
    }
    found: dict[tuple[str, int], Task] = {}
    wanted = sorted(set(places.values()))
    for at in range(0, len(wanted), _AT_ONCE):
        statement = (
            select(Task)
            .join(Task.run)
            .where(tuple_(Task.run_id, Task.n).in_(wanted[at : at + _AT_ONCE]))
            .options(contains_eager(Task.run))
        )
        found |= {(task.run_id, task.n): task for task in session.scalars(statement)}
    named = {token: found[place] for token, place in places.items() if place in found}
    return {token: task for token, task in named.items() if task.run.backend == backend}


def find(session: Session, backend: str, job_id: str) -> QueueRow:
    """A job in a backend's queue, by its id or its key.

    NotFound when the queue, as last told, does not hold it.
    """
    (queue,) = queues(session, [backend])
    row = next((r for r in queue.rows if job_id in (r.job.job_id, r.job.key)), None)
    if row is None:
        raise NotFound(f"There is no job {job_id} in your queue on {backend}, as it was last told.")
    return row


def ask_cancel(session: Session, backend: str, job_id: str, now: datetime) -> QueueRow:
    """Order the cancellation of a job in a backend's queue, by its id or its key.

    A task of ours is cancelled as a task. NotFound as in `find`.
    """
    row = find(session, backend, job_id)
    if row.task is None:
        surveys.ask_cancel(session, backend, row.job.key, now)
    elif not orders.ask_cancel_task(session, row.task, now):
        raise Conflict(f"The task {row.task.key} of run {row.task.run_id} has ended already.")
    return QueueRow(row.job, row.task, is_cancelling=True)
