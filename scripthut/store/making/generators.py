"""A generator's document joins its run: all of it in one transaction, once, or nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session, contains_eager

from scripthut.core.errors import Conflict, Invalid
from scripthut.core.states import TERMINAL, Event, State
from scripthut.core.workflow.document import Document
from scripthut.core.workflow.graph import Beside
from scripthut.core.workflow.joining import Waiting, join
from scripthut.core.workflow.rules import Layer
from scripthut.store.index import on_backend
from scripthut.store.making import env
from scripthut.store.making.create import check, task_rows
from scripthut.store.models import EventRow, Run, Task
from scripthut.store.tasks import move, move_pending
from scripthut.store.versions import next_version

MOST = 100_000  # tasks of a run
DEEPEST = 10  # generators above a task


def generating(session: Session, backend: str) -> Sequence[Task]:
    """The generators of a backend whose documents are to be read, each with its run."""
    statement = (
        select(Task)
        .join(Task.run)
        .where(on_backend(backend), Task.state == State.GENERATING)
        .options(contains_eager(Task.run))
        .order_by(Task.id)
    )
    return session.scalars(statement).all()


def beside(session: Session, task: Task) -> Beside:
    """What a generator's run has already; the generator itself adds nothing more."""
    found = session.execute(
        select(Task.key, Task.state, Task.spec["generates_source"].as_string())
        .where(Task.run_id == task.run_id)
        .order_by(Task.n)
    ).all()
    makers = [
        key for key, state, path in found if path and state not in TERMINAL and key != task.key
    ]
    return Beside([key for key, _, _ in found], makers)


def join_run(session: Session, task: Task, document: Document, base: str, now: datetime) -> int:
    """Add a generator's tasks to its run and let it complete; says how many there are.

    `base`: the directory that their relative paths mean. Invalid, with nothing changed, when the
    run cannot take them. Conflict when the generator is not generating any more.
    """
    version = next_version(session, task.run_id)
    run = session.get_one(Run, task.run_id, populate_existing=True)
    is_there = select(Task.id).where(Task.maker == task.id, Task.run_id == task.run_id).limit(1)
    if session.scalar(is_there) is not None:
        added = 0  # an earlier attempt's joined already
    else:
        added = _add(session, run, task, document, base, version, now)
    said = {"reason": None}
    if not move(session, task, Event.EXITED_OK, now, said):
        raise Conflict(f"The task {task.key} is not generating any more.")
    return added


def _add(  # noqa: PLR0913
    session: Session,
    run: Run,
    task: Task,
    document: Document,
    base: str,
    version: int,
    now: datetime,
) -> int:
    count, last = session.execute(
        select(func.count(), func.max(Task.n)).where(Task.run_id == run.id)
    ).one()
    depth = (task.depth or 0) + 1
    if count + len(document.tasks) > MOST:
        raise Invalid("the document", [f"with it the run would have more than {MOST} tasks"])
    if depth > DEEPEST:
        raise Invalid("the document", [f"generators of generators end after {DEEPEST}"])
    own = Layer(f"{document.layer.source} of {task.key}", document.env, document.env_groups)
    notices = [*document.notices, *check([*env.layers(run), own], document)]
    rows = task_rows(run, document, last + 1)
    of = {"maker": task.id, "depth": depth, "base": base, "version": version}
    session.execute(insert(Task), [{**row, **of} for row in rows])
    if own.rules or own.groups:
        run.env = [*(run.env or []), own.kept()]
    run.notices = list(dict.fromkeys([*(run.notices or []), *notices]))
    session.flush()
    note = f"{len(rows)} tasks joined the run"
    session.add(EventRow(run_id=run.id, task_id=task.id, at=now, what="joined", note=note))
    _meet(session, run.id, task, [spec.id for spec in document.tasks], now)
    return len(rows)


def _meet(session: Session, run_id: str, task: Task, new: Sequence[str], now: datetime) -> None:
    """Let the wildcards of pending tasks meet their new matches."""
    columns = (Task.id, Task.key, Task.state, Task.deps, Task.open_deps, Task.n)
    found = session.execute(
        select(*columns, Task.spec["deps"], Task.spec["generates_source"].as_string())
        .where(Task.run_id == run_id)
        .order_by(Task.n)
    ).all()
    added = set(new)
    waiting = [
        Waiting(row_id, key, _list(wanted), deps, open_deps or ())
        for row_id, key, state, deps, open_deps, _, wanted, _ in found
        if state is State.PENDING and key not in added
    ]
    makers = [
        key
        for _, key, state, _, _, _, _, path in found
        if path and state not in TERMINAL and key != task.key
    ]
    joined = join(waiting, {row[1]: row[3] for row in found}, new, makers)
    for row_id, deps in joined.deps.items():
        change = update(Task).where(Task.id == row_id).values(deps=list(deps))
        session.execute(change.execution_options(synchronize_session=False))
    for row_id, pattern in joined.doomed.items():
        reason = f'No task\'s id matches its dependency "{pattern}", and none can be added any more'
        move_pending(session, run_id, Event.DEPENDENCY_FAILED, now, reason, [row_id])


def _list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
