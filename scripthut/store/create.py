"""Documents become tasks in one place."""

from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from scripthut.core.document import Document
from scripthut.core.states import State
from scripthut.store.models import EventRow, Run, Task


def create_run(  # noqa: PLR0913
    session: Session, run_id: str, name: str, backend: str, document: Document, now: datetime
) -> Run:
    """Insert a run and all its tasks; the engine takes it from there."""
    run = Run(id=run_id, name=name, backend=backend, created_at=now, version=1)
    session.add(run)
    session.flush()
    rows = [
        {
            "run_id": run_id,
            "n": n,
            "key": spec.id,
            "name": spec.name,
            "spec": spec.model_dump(mode="json"),
            "deps": list(deps),
            "state": State.PENDING,
            "version": 1,
        }
        for n, (spec, deps) in enumerate(zip(document.tasks, document.deps, strict=True))
    ]
    session.execute(insert(Task), rows)
    session.add(EventRow(run_id=run_id, at=now, what="created", note=f"{len(rows)} tasks"))
    return run
