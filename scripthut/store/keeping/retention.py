"""How much runs hold on the server, which of them are pinned, and what goes when they are old."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from scripthut.core.errors import Conflict
from scripthut.core.jobs import Area
from scripthut.core.tokens import token
from scripthut.store.models import Log, Output, Picture, PieceWish, Run, Task
from scripthut.store.outputs import DELETED, SUMMARY
from scripthut.store.tasks import COLLECT_FOR
from scripthut.store.versions import next_version, summary_changed

REMOVED = "was removed from the server"


@dataclass(frozen=True)
class Old:
    """A run that has ended, is not pinned, and holds files or logs."""

    run_id: str
    ended_at: datetime


@dataclass(frozen=True)
class Live:
    """A kept file, as the sweep has to know it."""

    sha256: str
    html: str | None
    path: str
    is_fragment: bool
    is_summary: bool


@dataclass(frozen=True)
class Held:
    """What is kept on the server: files, and bytes of them and of logs, equal content once."""

    files: int
    bytes: int


def held(session: Session, run_ids: Collection[str] | None = None) -> Held:
    """What runs hold on the server; None: all runs."""
    files = select(Output.sha256, func.max(Output.size).label("size"), func.count().label("n"))
    theirs = [] if run_ids is None else [Task.run_id.in_(run_ids)]
    files = files.join(Task).where(Output.sha256.is_not(None), *theirs)
    each = files.group_by(Output.sha256).subquery()
    count, size = session.execute(select(func.sum(each.c.n), func.sum(each.c.size))).one()
    logs = select(func.sum(Log.end - Log.start)).join(Task).where(*theirs)
    return Held(int(count or 0), int(size or 0) + int(session.scalar(logs) or 0))


def alone(session: Session, run_id: str) -> int:
    """How many bytes only this run holds: so many fewer are held without it."""
    size = func.max(Output.size).label("size")
    files = select(Output.sha256, size).join(Task).where(Task.run_id == run_id)
    each = files.where(Output.sha256.is_not(None)).group_by(Output.sha256).subquery()
    theirs = (
        select(Output.id).join(Task).where(Output.sha256 == each.c.sha256, Task.run_id != run_id)
    )
    mine = session.scalar(select(func.sum(each.c.size)).where(~theirs.exists()))
    logs = select(func.sum(Log.end - Log.start)).join(Task).where(Task.run_id == run_id)
    return int(mine or 0) + int(session.scalar(logs) or 0)


@dataclass(frozen=True)
class Holding:
    """What a run that has ended holds on the server. `bytes` None: it has not ended."""

    bytes: int | None
    pinned_at: datetime | None
    removed_at: datetime | None
    removed_why: str | None
    cleared_at: datetime | None  # what it left on its backend was deleted there


def of_run(session: Session, run: Run) -> Holding:
    """How much a run holds, whether it is pinned, and what became of its files."""
    count = held(session, [run.id]).bytes if run.ended_at is not None else None
    return Holding(count, run.pinned_at, run.removed_at, run.removed_why, run.cleared_at)


def pin(session: Session, run: Run, now: datetime | None) -> None:
    """Keep what a run holds whatever its age; `now` None: no longer."""
    run.pinned_at = now
    next_version(session, run.id)


def expirable(session: Session, now: datetime) -> list[Old]:
    """The runs whose files may go, the oldest first."""
    files = select(Output.id).join(Task).where(Task.run_id == Run.id, Output.sha256.is_not(None))
    logs = select(Log.id).join(Task).where(Task.run_id == Run.id)
    open_ = select(Task.id).where(
        Task.run_id == Run.id,
        Task.job_id.is_not(None),
        Task.collected_at.is_(None),
        Task.ended_seen_at > now - COLLECT_FOR,
    )
    # Of those whose files were removed, only what was fetched since is looked for.
    again = (
        select(Task.run_id)
        .join(Output)
        .where(Output.was_sha256.is_not(None), Output.sha256.is_not(None))
    )
    statement = (
        select(Run.id, Run.ended_at)
        .where(Run.ended_at.is_not(None), Run.pinned_at.is_(None))
        .where(or_(Run.removed_at.is_(None), Run.id.in_(again)))
        .where(or_(files.exists(), logs.exists()), ~open_.exists())
        .order_by(Run.ended_at, Run.id)
    )
    return [Old(run_id, at) for run_id, at in session.execute(statement) if at is not None]


def expire(session: Session, run_id: str, why: str, now: datetime) -> None:
    """Let a run's files and logs go; what they were stays said. Their bytes go with a sweep.

    Conflict when the run was pinned, or began anew, in this moment.
    """
    run = session.get(Run, run_id, with_for_update=True)
    if run is None or run.pinned_at is not None or run.ended_at is None:
        raise Conflict(f"The files of the run {run_id} are kept.")
    tasks = select(Task.id).where(Task.run_id == run_id)
    version = next_version(session, run_id)
    note = f"{REMOVED}: {why}"
    if run.cleared_at is not None:
        note = f"{DELETED} {run.backend}, and {note}"
    session.execute(
        update(Output)
        .where(Output.task_id.in_(tasks), Output.sha256.is_not(None))
        .values(was_sha256=Output.sha256, sha256=None, html=None, note=note)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(Log).where(Log.task_id.in_(tasks)))
    changed = update(Task).where(Task.run_id == run_id).values(version=version)
    session.execute(changed.execution_options(synchronize_session=False))
    summary_changed(session, run_id)
    run.removed_at, run.removed_why = now, why


def live(session: Session) -> Iterator[Live]:
    """All kept files of all runs."""
    columns = (Output.sha256, Output.html, Output.path, Output.area, Output.raw)
    statement = select(*columns).where(Output.sha256.is_not(None))
    for sha, html, path, area, raw in session.execute(statement.execution_options(yield_per=1000)):
        if sha is not None:
            yield Live(sha, html, path, area is Area.FRAGMENT, raw == SUMMARY)


def others(session: Session) -> Iterator[str]:
    """Other kept bytes that somebody refers to: pieces, and thumbnails of what is there."""
    yield from (name for name in session.scalars(select(PieceWish.sha256)) if name)
    thumbs = select(Picture.thumb).where(_is_there())
    yield from (name for name in session.scalars(thumbs.distinct()) if name)


def unseen(session: Session) -> Sequence[str]:
    """The pictures that nobody has any more."""
    return session.scalars(select(Picture.sha256).where(~_is_there())).all()


def forget_pictures(session: Session, shas: Collection[str]) -> None:
    """Drop those of these pictures that nobody has any more."""
    session.execute(delete(Picture).where(Picture.sha256.in_(shas), ~_is_there()))


def _is_there() -> ColumnElement[bool]:
    return select(Output.id).where(Output.sha256 == Picture.sha256).exists()


def logged(session: Session, run_ids: Collection[str]) -> set[str]:
    """The tokens of the logs that these runs refer to, of all attempts."""
    statement = (
        select(Task.run_id, Task.n, Log.attempt, Task.token)
        .join(Log, Log.task_id == Task.id)
        .where(Task.run_id.in_(run_ids))
    )
    found = set[str]()
    for run_id, n, attempt, own in session.execute(statement):
        found |= {token(run_id, n, attempt), own or ""}
    return found


def lent(session: Session) -> set[str]:
    """The tokens of logs that runs refer to which repeat another, as the other has them."""
    is_own = Task.token.like(Task.run_id.concat(".%"))
    logs = select(Log.id).where(Log.task_id == Task.id).exists()
    statement = select(Task.token).where(Task.token.is_not(None), ~is_own, logs)
    return {one for one in session.scalars(statement) if one}
