"""What an open page of a run asks every few seconds, in one question: what is new."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from scripthut.store import runs
from scripthut.store.lease import ENGINE, database_time
from scripthut.store.machines import backends
from scripthut.store.machines.pauses import Kind
from scripthut.store.models import BackendRow, Lease, PauseRow, Run, WatchRow


@dataclass(frozen=True)
class Glance:
    """The least that tells whether a run's page is out of date.

    `health`: the fingerprint of what is said of its backend. `watched_until`: how long the engine
    knows that somebody looks; None: it does not.
    """

    version: int
    backend: str
    ended_at: datetime | None
    health: str
    watched_until: datetime | None


# Made once: to build a question takes longer than to ask it.
_GLANCE = (
    select(
        *(Run.version, Run.backend, Run.ended_at, WatchRow.until),
        *(BackendRow.name, BackendRow.failing_since, BackendRow.message, BackendRow.notice),
        PauseRow.at,
        Lease.holder.is_not(None) & (Lease.until > database_time()),
    )
    .outerjoin(
        WatchRow,
        and_(WatchRow.run_id == Run.id, WatchRow.task_id == 0, WatchRow.what == "run"),
    )
    .outerjoin(BackendRow, BackendRow.name == Run.backend)
    .outerjoin(PauseRow, and_(PauseRow.kind == Kind.BACKEND, PauseRow.name == Run.backend))
    .outerjoin(Lease, Lease.name == ENGINE)
    .where(Run.id == bindparam("run_id"))
)


def glance(session: Session, run_id: str) -> Glance:
    """Look whether a run's page is out of date; NotFound."""
    row = session.connection().execute(_GLANCE, {"run_id": run_id}).one_or_none()
    if row is None:
        raise runs.no_run(run_id)
    version, backend, ended_at, until, name, *said, paused_at, leads = row
    mark = backends.mark(bool(leads), tuple(said) if name is not None else (), paused_at)
    return Glance(version, backend, ended_at, mark, until)
