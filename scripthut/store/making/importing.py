"""Runs of older versions become rows. What is there already stays as it is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from scripthut.core.errors import Refused
from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.legacy import OldRun, OldTask
from scripthut.store import outputs, usage
from scripthut.store.models import EventRow, Run, Task
from scripthut.store.outputs import Found

AT_ONCE = 500  # ids in one statement
IMPORTED = "imported"  # the event that stands in a run's history when it was
FAR = "What it wrote lies where it ran, and is fetched from there while somebody looks"


@dataclass(frozen=True)
class Place:
    """Where a run's logs and outputs lie."""

    log_dir: str | None  # on its backend, absolute or below `~`; None: not known
    is_far: bool  # on a machine that only the engine reaches


def known(session: Session, ids: Collection[str]) -> set[str]:
    """Those of the ids that runs have already."""
    listed, found = sorted(ids), set[str]()
    for n in range(0, len(listed), AT_ONCE):
        part = listed[n : n + AT_ONCE]
        found |= set(session.scalars(select(Run.id).where(Run.id.in_(part))))
    return found


def check_begun_here(session: Session, run_id: str) -> None:
    """Raise Refused for a run that was imported: what its jobs were given is not known whole."""
    statement = select(EventRow.id).where(EventRow.run_id == run_id, EventRow.what == IMPORTED)
    if session.scalars(statement.limit(1)).first() is not None:
        raise Refused(
            f"The run {run_id} was made by an older version and imported; its environment rules "
            "and generators are not known here. Start its workflow again instead."
        )


def add_run(
    session: Session, old: OldRun, place: Place, tokens: Sequence[str], now: datetime
) -> list[int]:
    """Insert a run with all its tasks, and count its CPU time; the rows' ids in its order.

    `tokens`: of its tasks, in its order.
    """
    run = Run(
        id=old.id,
        name=old.name,
        backend=old.backend,
        created_at=old.created_at,
        ended_at=old.ended_at,
        log_dir=place.log_dir,
        version=1,
        source=old.source,
        git_repo=old.git_repo,
        git_branch=old.git_branch,
        git_sha=old.git_sha,
    )
    session.add(run)
    session.flush()
    rows = [_row(old, n, tokens[n], None if place.is_far else now) for n in range(len(old.tasks))]
    session.add_all(rows)
    session.flush()
    for row, task in zip(rows, old.tasks, strict=True):
        usage.spend(session, row)
        outputs.record(session, row, [Found(file) for file in _files(row, task)])
    note = f"{len(rows)} tasks, imported"
    session.add(EventRow(run_id=run.id, at=now, what=IMPORTED, note=note))
    return [row.id for row in rows]


def _row(old: OldRun, n: int, token: str, collected_at: datetime | None) -> Task:
    task = old.tasks[n]
    return Task(
        run_id=old.id,
        n=n,
        token=token if task.started_at or task.job_id else None,
        key=task.key,
        name=task.name,
        spec=task.spec,
        deps=list(task.deps),
        state=task.state,
        version=1,
        job_id=task.job_id,
        submitted_at=task.submitted_at,
        accepted_at=task.submitted_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        ended_seen_at=task.finished_at,
        exit_code=task.exit_code,
        memory_used=task.used.memory,
        cpu_used=task.used.cpu,
        reason=task.reason,
        collected_at=collected_at,
        outputs_problem=FAR if collected_at is None and task.job_id else None,
        has_outputs=bool(task.files),
        has_run_summary=task.has_summary,
    )


def _files(row: Task, task: OldTask) -> list[RemoteFile]:
    """What it wrote, as the older version had listed it."""
    token = row.token or ""
    listed = dict(task.files)
    return [
        RemoteFile(token, Area.OUTPUT, path.encode("utf-8", "surrogateescape"), size, 0)
        for path, size in listed.items()
    ]
