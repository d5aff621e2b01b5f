"""The run's version: what makes a page's question "anything new?" one indexed read."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from scripthut.store.models import Run


def next_version(session: Session, run_id: str) -> int:
    """The version that everything changed in this transaction carries; taken once, under a lock.

    The row lock of the UPDATE makes commit order version order, on PostgreSQL too.
    """
    taken: dict[str, int] = session.info.setdefault("versions", {})
    if run_id not in taken:
        statement = (
            update(Run)
            .where(Run.id == run_id)
            .values(version=Run.version + 1)
            .returning(Run.version)
            .execution_options(synchronize_session=False)
        )
        taken[run_id] = session.execute(statement).scalar_one()
    return taken[run_id]


def grown(session: Session) -> int:
    """By how much a transaction made the versions of runs grow, all together."""
    taken: dict[str, int] = session.info.get("versions", {})
    return len(taken)


def summary_changed(session: Session, run_id: str) -> None:
    """Note that a run's summary changed in this transaction."""
    version = next_version(session, run_id)
    statement = update(Run).where(Run.id == run_id).values(summary_version=version)
    session.execute(statement.execution_options(synchronize_session=False))
