"""Runs that are forgotten: every row of them, in whichever table it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from scripthut.core.errors import Conflict
from scripthut.core.states import OPEN
from scripthut.store import runs
from scripthut.store.keeping import retention
from scripthut.store.keeping.retention import Held
from scripthut.store.models import Base, Run, Task
from scripthut.store.runs import Which

MOST = 200  # runs at once


@dataclass(frozen=True)
class Removal:
    """Of some runs, those that can be forgotten together, and why the others stay, by their ids."""

    goes: Sequence[Run]
    stays: Sequence[tuple[str, str]]
    held: Held  # by those that can go


def removal(session: Session, run_ids: Sequence[str]) -> Removal:
    """What would come of forgetting these runs."""
    found = {run.id: run for run in session.scalars(select(Run).where(Run.id.in_(run_ids)))}
    why = {run_id: _why_not(found.get(run_id)) for run_id in dict.fromkeys(run_ids)}
    goes = [found[run_id] for run_id, said in why.items() if said is None]
    stays = [(run_id, said) for run_id, said in why.items() if said is not None]
    return Removal(goes, stays, retention.held(session, [run.id for run in goes]))


def ended(session: Session, which: Which) -> list[str]:
    """The ids of the newest of these runs that have ended and are not pinned, one above MOST."""
    can_go = (Run.ended_at.is_not(None), Run.pinned_at.is_(None))
    statement = select(Run.id).where(*runs.like(which), *can_go)
    statement = statement.order_by(Run.created_at.desc(), Run.id.desc()).limit(MOST + 1)
    return list(session.scalars(statement))


def remove_unless_kept(session: Session, run_id: str) -> str | None:
    """Forget a run that is one of several; says why it stays instead, if it does."""
    run = session.get(Run, run_id, with_for_update=True)
    why = _why_not(run)
    if run is not None and why is None:
        remove_run(session, run)
    return why


def _why_not(run: Run | None) -> str | None:
    if run is None:
        return "is not there"
    if run.ended_at is None:
        return "has not ended"
    return "is pinned" if run.pinned_at is not None else None


def remove_run(session: Session, run: Run) -> None:
    """Forget a run that has ended. What it wrote on its backend stays there. Conflict."""
    still = select(Task.id).where(Task.run_id == run.id, Task.state.in_(OPEN)).limit(1)
    if session.execute(still).first() is not None:
        raise Conflict(f"The run {run.id} has not ended: cancel it first.")
    tasks = select(Task.id).where(Task.run_id == run.id)
    for table in reversed(Base.metadata.sorted_tables):
        columns = table.columns
        owned = [columns["run_id"] == run.id] if "run_id" in columns else []
        if "task_id" in columns and columns["task_id"].foreign_keys:
            owned.append(columns["task_id"].in_(tasks))
        if owned:
            session.execute(delete(table).where(or_(*owned)))
    session.execute(update(Run).where(Run.origin == run.id).values(origin=None))
    session.execute(delete(Run).where(Run.id == run.id))
