"""A run again: a new run that names its origin, of all its tasks or of those that did not complete.

It begins with what the origin began with: its first document's tasks, its rules, its parameters.
Where completed tasks are taken over, so is what their generators had added; nothing is added twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, aliased

from scripthut.core.errors import Conflict, Refused
from scripthut.core.states import Event, State
from scripthut.core.workflow import graph
from scripthut.core.workflow.document import LABEL, parse
from scripthut.core.workflow.params import Param, declared
from scripthut.core.workflow.rules import Layer
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store.machines.disk import check_stays
from scripthut.store.making.create import NewRun, Source, Workspace, create_run, insert_run
from scripthut.store.making.importing import check_begun_here
from scripthut.store.models import EventRow, Log, MetricsRow, Output, Run, Task
from scripthut.store.tasks import move_pending

AT_ONCE = 500  # ids in one statement


class Mode(StrEnum):
    """What a rerun does again."""

    ALL = "all"
    FAILED = "failed"  # what did not complete; the rest is taken over


def rerun(  # noqa: PLR0913
    session: Session,
    origin: Run,
    run_id: str,
    mode: Mode,
    now: datetime,
    request_key: str | None = None,
) -> Run:
    """Make a new run of an old one's tasks; the engine takes it from there.

    When its request has made a run before, that one is the answer. Conflict while the origin is
    not over, or, for its failed tasks, when it has none. Refused when it was imported.
    """
    tasks, kept = chosen(session, origin, mode)
    run = _again(origin, run_id, request_key, {task.key for task in kept.values()}, now)
    earlier = insert_run(session, run)
    if earlier is not None:
        return earlier
    session.execute(insert(Task), _rows(run, tasks, kept))
    _adopt(session, run_id, tasks)
    _restore(session, origin.id, run_id, [task.key for task in kept.values()], now)
    what = f"{len(tasks)} tasks, {len(kept)} of them taken over from the run {origin.id}"
    session.add(EventRow(run_id=run_id, at=now, what="created", note=what))
    return run


def rerun_with(  # noqa: PLR0913
    session: Session,
    origin: Run,
    run_id: str,
    given: Mapping[str, object],
    now: datetime,
    request_key: str | None = None,
    beyond: Callable[[str, Sequence[TaskSpec]], Sequence[str]] = lambda _backend, _tasks: (),
) -> Run:
    """Make a new run of an old one's document, with other parameters; the rest as they were.

    `beyond`: sentences for what tasks ask for, and their backend does not have.
    Conflict and Refused as in `rerun`; Refused, too, when the document has no parameters, or is
    not known; Invalid when they are wrong.
    """
    _check(session, origin)
    if origin.document is None:
        raise Refused(
            f"The document of the run {origin.id} has no parameters, or was not kept: run it again "
            "without any, or start its workflow."
        )
    given = {**(origin.params or {}), **given}
    document = parse(origin.document, "The document", given)
    said = beyond(origin.backend, document.tasks)
    document = replace(document, notices=(*document.notices, *said))
    source = Source(
        origin.source, origin.workflow, origin.git_repo, origin.git_branch, origin.git_sha
    )
    layers = [Layer.of(layer) for layer in origin.env or () if not _is_documents(layer["source"])]
    new = NewRun(
        name=origin.name,
        backend=origin.backend,
        document=document,
        title=origin.title,
        source=source,
        folder=origin.folder if origin.git_sha is None else None,
        layers=layers,
        request_key=request_key,
        origin=origin.id,
        workspace=Workspace(origin.workspace or Workspace.SHARED),
    )
    return create_run(session, run_id, new, now)


def params_of(origin: Run) -> Mapping[str, Param]:
    """The parameters that a run may be begun again with, what it had as their defaults."""
    if origin.document is None:
        return {}
    had = origin.params or {}
    found = declared(origin.document.get("params"), "The document")
    return {name: p.model_copy(update={"default": had.get(name)}) for name, p in found.items()}


def chosen(session: Session, origin: Run, mode: Mode) -> tuple[list[Task], dict[int, Task]]:
    """The tasks that a rerun would have, and those of them that it takes over, by row id.

    Conflict and Refused as in `rerun`.
    """
    _check(session, origin)
    every = session.scalars(select(Task).where(Task.run_id == origin.id).order_by(Task.n)).all()
    kept = _completed(every) if mode is Mode.FAILED else {}
    if kept:
        check_stays(session, origin.id)
    tasks = [task for task in every if task.maker is None or task.maker in kept]
    if mode is Mode.FAILED and len(kept) == len(tasks):
        raise Conflict(f"All tasks of the run {origin.id} completed: run it again as a whole.")
    return tasks, kept


def reruns_of(session: Session, run_id: str) -> Sequence[str]:
    """The runs that repeat a run, the newest first."""
    statement = select(Run.id).where(Run.origin == run_id)
    return session.scalars(statement.order_by(Run.created_at.desc(), Run.id)).all()


def _completed(tasks: Sequence[Task]) -> dict[int, Task]:
    """The tasks that are taken over, by row id: completed, and their generators too."""
    kept: dict[int, Task] = {}
    for task in tasks:  # a generator stands before what it added
        if task.state is State.COMPLETED and (task.maker is None or task.maker in kept):
            kept[task.id] = task
    return kept


def _again(origin: Run, run_id: str, request_key: str | None, kept: set[str], now: datetime) -> Run:
    """The new run's row. Its directory is asked for anew, unless work goes on in the old one."""
    is_own = origin.workspace == Workspace.RUN
    goes_on = origin.git_sha is None or (is_own and bool(kept))
    return Run(
        id=run_id,
        name=origin.name,
        backend=origin.backend,
        created_at=now,
        version=1,
        title=origin.title,
        source=origin.source,
        workflow=origin.workflow,
        git_repo=origin.git_repo,
        git_branch=origin.git_branch,
        git_sha=origin.git_sha,
        folder=origin.folder if goes_on else None,
        workspace=origin.workspace,
        document=origin.document,
        env=[layer for layer in origin.env or () if _is_still(layer["source"], kept)],
        params=origin.params,
        notices=origin.notices,
        request_key=request_key,
        origin=origin.id,
    )


def _check(session: Session, origin: Run) -> None:
    check_begun_here(session, origin.id)
    if origin.ended_at is None:
        raise Conflict(f"The run {origin.id} is not over: cancel it first, or wait for its end.")


def _is_documents(source: str) -> bool:
    """Whether rules are the document's own, or were added by one of its generators."""
    return source == LABEL or source.startswith(f"{LABEL} of ")


def _is_still(source: str, kept: set[str]) -> bool:
    """Whether rules hold from the beginning: those that a generator added, only with it."""
    made = source.removeprefix(f"{LABEL} of ")
    return made == source or made in kept


def _rows(run: Run, tasks: Sequence[Task], kept: dict[int, Task]) -> list[dict[str, Any]]:
    """The new tasks. Wildcards are resolved as at the first start, where all begins anew."""
    found = graph.resolve(
        [task.key for task in tasks],
        [list(task.spec.get("deps") or ()) for task in tasks],
        [task.key for task in tasks if task.spec.get("generates_source")],
    )
    return [
        {
            "run_id": run.id,
            "n": n,
            "key": task.key,
            "name": task.name,
            "spec": task.spec,
            "deps": list(task.deps if kept else found.deps[n]),
            "open_deps": list((task.open_deps or ()) if kept else found.open[n]),
            "base": task.base,
            "depth": task.depth,
            "state": State.PENDING,
            "version": run.version,
            "attempt": task.attempt if task.id in kept else 1,
        }
        for n, task in enumerate(tasks)
    ]


def _adopt(session: Session, run_id: str, tasks: Sequence[Task]) -> None:
    """Let the tasks that a generator had added name its new row."""
    keys = {task.id: task.key for task in tasks}
    mine = select(Task.key, Task.id).where(Task.run_id == run_id)
    ids: dict[str, int] = {row[0]: row[1] for row in session.execute(mine)}
    changes = [
        {"id": ids[task.key], "maker": ids[keys[task.maker]]}
        for task in tasks
        if task.maker is not None
    ]
    if changes:
        session.execute(update(Task), changes)


def _restore(
    session: Session, origin: str, run_id: str, keys: Sequence[str], now: datetime
) -> None:
    """Take completed tasks over, with what they wrote."""
    reason = f"Taken over from the run {origin}"
    for at in range(0, len(keys), AT_ONCE):
        statement = select(Task.id).where(
            Task.run_id == run_id, Task.key.in_(keys[at : at + AT_ONCE])
        )
        ids = session.scalars(statement).all()
        move_pending(session, run_id, Event.RESTORED, now, reason, ids)
    if keys:
        _copy_facts(session, origin, run_id, now)
        _copy_files(session, origin, run_id)


def _copy_facts(session: Session, origin: str, run_id: str, now: datetime) -> None:
    """What the pages show of a task that ended. Its job is the origin's: none is named here."""
    names = ("token", "exit_code", "env", "outputs_more", "has_outputs", "has_run_summary")
    old, new = aliased(Task), aliased(Task)
    columns = [getattr(old, name) for name in names]
    found = session.execute(
        select(new.id, old.collected_at, old.outputs_problem, *columns)
        .join(new, (new.key == old.key) & (new.run_id == run_id))
        .where(old.run_id == origin, new.state == State.COMPLETED)
    ).all()
    late = f"not everything had been collected when the run {origin} was run again"
    changes = [
        {
            "id": row[0],
            "collected_at": now,
            "outputs_problem": row[2] if row[1] is not None else late,
            **dict(zip(names, row[3:], strict=True)),
        }
        for row in found
    ]
    session.execute(update(Task), changes)


def _copy_files(session: Session, origin: str, run_id: str) -> None:
    """The rows of files, logs and metrics; the bytes are kept by what they hold, once."""
    for table in (Output, Log, MetricsRow):
        old, new = aliased(Task), aliased(Task)
        names = [c.key for c in table.__table__.columns if c.key not in ("id", "task_id")]
        rows = (
            select(new.id, *[getattr(table, name) for name in names])
            .join(old, (table.task_id == old.id) & (table.attempt == old.attempt))
            .join(new, (new.key == old.key) & (new.run_id == run_id))
            .where(old.run_id == origin, new.state == State.COMPLETED)
        )
        session.execute(insert(table).from_select(["task_id", *names], rows))
