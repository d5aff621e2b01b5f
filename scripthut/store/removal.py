"""Runs that are forgotten: every row of them, in whichever table it is."""

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from scripthut.core.errors import Conflict
from scripthut.core.states import OPEN
from scripthut.store.models import Base, Run, Task


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
