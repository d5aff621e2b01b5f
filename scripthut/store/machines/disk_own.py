"""What the server itself holds: its database, and what it keeps of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from scripthut.store.models import Log, Output, Run, Task


@dataclass(frozen=True)
class Held:
    """What the server keeps of one run, in bytes; files of equal content once."""

    run_id: str
    name: str
    ended_at: datetime | None
    pinned_at: datetime | None
    bytes: int


def database_bytes(session: Session) -> int:
    """How large the database is."""
    if session.get_bind().dialect.name == "sqlite":
        pages = session.execute(text("PRAGMA page_count")).scalar_one()
        return int(pages) * int(session.execute(text("PRAGMA page_size")).scalar_one())
    size = session.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    return int(size)


def by_run(session: Session, most: int) -> Sequence[Held]:
    """The runs of which most is kept, the largest first."""
    each = (
        select(Task.run_id, Output.sha256, func.max(Output.size).label("size"))
        .join(Task, Task.id == Output.task_id)
        .where(Output.sha256.is_not(None))
        .group_by(Task.run_id, Output.sha256)
        .subquery()
    )
    files = select(each.c.run_id, func.sum(each.c.size)).group_by(each.c.run_id)
    logs = (
        select(Task.run_id, func.sum(Log.end - Log.start))
        .join(Task, Task.id == Log.task_id)
        .group_by(Task.run_id)
    )
    sums: dict[str, int] = {}
    for statement in (files, logs):
        for run_id, count in session.execute(statement):
            sums[run_id] = sums.get(run_id, 0) + int(count or 0)
    largest = sorted(filter(sums.get, sums), key=lambda one: (-sums[one], one))[:most]
    columns = (Run.id, Run.name, Run.ended_at, Run.pinned_at)
    known = {row.id: row for row in session.execute(select(*columns).where(Run.id.in_(largest)))}
    return [
        Held(run_id, row.name, row.ended_at, row.pinned_at, sums[run_id])
        for run_id in largest
        if (row := known.get(run_id))
    ]
