"""The users' queues on all backends: which jobs are tasks of ours, and which are cancelled how."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session, contains_eager

from scripthut.core.errors import Conflict, NotFound
from scripthut.core.jobs import Token
from scripthut.core.queue import Listed
from scripthut.store import orders
from scripthut.store.machines import surveys
from scripthut.store.machines.surveys import Known
from scripthut.store.models import Task

_TOKEN = re.compile(r"([a-z0-9]{8})\.([0-9a-z]{1,4})\.[0-9a-z]{1,3}")
_AT_ONCE = 200  # tasks in one question


@dataclass(frozen=True)
class QueueRow:
    """A job in a queue. `task`: the task of ours whose job it is, with its run; None: another's."""

    job: Listed
    task: Task | None
    is_cancelling: bool


@dataclass(frozen=True)
class BackendQueue:
    """One backend's queue, as last told."""

    backend: str
    known: Known
    rows: Sequence[QueueRow]


def queues(session: Session, backends: Collection[str]) -> list[BackendQueue]:
    """The queues of some backends, in their order."""
    known = surveys.every(session, backends)
    return [_queue(session, name, known[name]) for name in backends]


def _queue(session: Session, backend: str, known: Known) -> BackendQueue:
    ordered = surveys.ordered(session, backend)
    ours = tasks_of(session, backend, [t for job in known.queue.jobs for t in job.tokens])
    rows = []
    for job in known.queue.jobs:
        task = next((ours[token] for token in job.tokens if token in ours), None)
        asked = task.cancel_asked_at is not None if task else job.key in ordered
        rows.append(QueueRow(job, task, asked))
    return BackendQueue(backend, known, rows)


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
