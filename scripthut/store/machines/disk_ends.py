"""What came of deletions on backends: what is not there any more is not said to be."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from scripthut.core.disk import Done, Kind, Way
from scripthut.core.states import OPEN
from scripthut.store.machines import checkouts
from scripthut.store.machines.disk import scans_of, things_at
from scripthut.store.machines.disk_users import within
from scripthut.store.models import DiskRemoval, DiskThing, Fetch, Output, PieceWish, Run, Task
from scripthut.store.outputs import DELETED
from scripthut.store.versions import next_version, summary_changed


def went(session: Session, removal_id: str, done: Done, now: datetime) -> None:
    """Write down how far a deletion is, and what follows from it."""
    row = session.get(DiskRemoval, removal_id, with_for_update=True)
    if row is None or row.ended_at is not None:
        return
    row.freed += done.freed
    if done.way is Way.STAYS:
        row.ended_at, row.problem = now, done.why
        _stays(session, row)
        return
    if not row.is_moved:
        row.is_moved = True
        _gone(session, row, now)
    if done.way is Way.GONE:
        row.ended_at, row.is_gone, row.problem = now, True, done.why


def _name(row: DiskRemoval) -> str:
    return row.name.decode("utf-8", "replace")


def _stays(session: Session, row: DiskRemoval) -> None:
    if row.kind == Kind.COMMIT:
        for one in checkouts.at(session, row.backend, _name(row)):
            checkouts.left(session, one.id, is_gone=False)


def _gone(session: Session, row: DiskRemoval, now: datetime) -> None:
    session.execute(delete(DiskThing).where(things_at(row, scans_of(session, row.backend))))
    if row.kind == Kind.RUN and row.run is not None:
        clear(session, row.run, now)
    elif row.kind == Kind.COMMIT:
        for one in checkouts.at(session, row.backend, _name(row)):
            checkouts.forget(session, row.backend, one.root, one.name)
        inside = select(Run.id, Run.log_dir).where(
            Run.backend == row.backend, Run.log_dir.contains(_name(row), autoescape=True)
        )
        for run_id, log_dir in session.execute(inside).all():
            if within(log_dir, _name(row)):
                clear(session, run_id, now)


def clear(session: Session, run_id: str, now: datetime) -> None:
    """Say of a run that what it left on its backend was deleted; what the server keeps stays.

    Where a task has not ended, the run has begun again since: what that attempt writes is there.
    """
    run = session.get(Run, run_id, with_for_update=True)
    if run is None:
        return
    open_ = select(Task.id).where(Task.run_id == run_id, Task.state.in_(OPEN))
    if session.scalar(open_.limit(1)) is None:
        run.cleared_at = now
    version = next_version(session, run_id)
    tasks = select(Task.id).where(Task.run_id == run_id)
    is_anew = open_.where(Task.id == Output.task_id, Task.attempt == Output.attempt).exists()
    gone = select(Output.id).where(Output.task_id.in_(tasks), Output.sha256.is_(None), ~is_anew)
    plain = {"synchronize_session": False}
    for table in (Fetch, PieceWish):
        session.execute(delete(table).where(table.output_id.in_(gone)).execution_options(**plain))
    note = f"{DELETED} {run.backend}"
    lost = update(Output).where(Output.id.in_(gone)).values(note=note)
    session.execute(lost.execution_options(**plain))
    why = f"What it left on {run.backend} was deleted there before it was fetched."
    left = update(Task).where(
        Task.run_id == run_id,
        Task.state.not_in(OPEN),
        Task.job_id.is_not(None),
        Task.collected_at.is_(None),
    )
    session.execute(left.values(collected_at=now, outputs_problem=why).execution_options(**plain))
    changed = update(Task).where(Task.run_id == run_id).values(version=version)
    session.execute(changed.execution_options(**plain))
    summary_changed(session, run_id)
