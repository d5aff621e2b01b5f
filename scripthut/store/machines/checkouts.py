"""Directories on backends that hold a commit: what is to be done for them, and for whom."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session

from scripthut.core.folders import Held
from scripthut.core.states import OPEN
from scripthut.store.models import Checkout, Run, Task
from scripthut.store.tasks import uncollected
from scripthut.store.versions import next_version

LONGEST_REST = timedelta(minutes=5)  # between attempts to bring a commit


class Stage(StrEnum):
    """Who has to do something for a directory."""

    ASKED = "asked"  # the backend is to say what it has
    WANTED = "wanted"  # the commit is to be packed
    PACKED = "packed"  # the archive is to be sent
    WORKING = "working"  # the backend makes it
    READY = "ready"
    FAILED = "failed"
    LEAVING = "leaving"  # the backend is to delete it


UNSETTLED = (Stage.ASKED, Stage.PACKED, Stage.WORKING)  # the backend's own next step


def unplaced(session: Session, backend: str) -> Sequence[Run]:
    """A backend's unfinished runs of commits that have no directory and wait for none."""
    statement = select(Run).where(
        Run.backend == backend,
        Run.ended_at.is_(None),
        Run.git_sha.is_not(None),
        Run.folder.is_(None),
        Run.checkout_id.is_(None),
    )
    return session.scalars(statement).all()


def waiting(session: Session, backend: str) -> frozenset[str]:
    """The unfinished runs of a backend whose directory is not there yet."""
    statement = select(Run.id).where(
        Run.backend == backend,
        Run.ended_at.is_(None),
        Run.git_sha.is_not(None),
        Run.folder.is_(None),
    )
    return frozenset(session.scalars(statement))


def attach(session: Session, run_id: str, wanted: Checkout) -> Checkout:
    """Let a run wait for a directory; one that is there is asked about once more."""
    place = (wanted.backend, wanted.root, wanted.name)
    columns = (Checkout.backend, Checkout.root, Checkout.name)
    statement = select(Checkout).where(*(c == v for c, v in zip(columns, place, strict=True)))
    row = session.scalars(statement).one_or_none()
    if row is None:
        row = wanted
        row.stage = Stage.ASKED
        session.add(row)
        session.flush()
    elif row.stage in (Stage.READY, Stage.FAILED, Stage.LEAVING):
        row.stage, row.message, row.failures, row.retry_at = Stage.ASKED, None, 0, None
    session.execute(update(Run).where(Run.id == run_id).values(checkout_id=row.id))
    next_version(session, run_id)
    return row


def to_do(session: Session, backend: str, now: datetime) -> Sequence[Checkout]:
    """A backend's directories whose next step is its own, and due."""
    statement = select(Checkout).where(
        Checkout.backend == backend, Checkout.stage.in_(UNSETTLED), *_is_due(now)
    )
    return session.scalars(statement.order_by(Checkout.id)).all()


def to_pack(session: Session, now: datetime) -> Sequence[Checkout]:
    """The directories whose commit is to be packed, and due."""
    statement = select(Checkout).where(Checkout.stage == Stage.WANTED, *_is_due(now))
    return session.scalars(statement.order_by(Checkout.id)).all()


def failed(session: Session, backend: str) -> Sequence[Checkout]:
    """A backend's directories that could not be had."""
    statement = select(Checkout).where(Checkout.backend == backend, Checkout.stage == Stage.FAILED)
    return session.scalars(statement).all()


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Somebody waits for it, and the last try was long enough ago."""
    has_waiter = exists().where(
        Run.checkout_id == Checkout.id, Run.ended_at.is_(None), Run.folder.is_(None)
    )
    return has_waiter, Checkout.retry_at.is_(None) | (Checkout.retry_at <= now)


def change(session: Session, checkout_id: int, stage: Stage, **facts: object) -> None:
    """Write down how far a directory is; the pages of the runs that wait for it show it."""
    values = {"failures": 0, "retry_at": None, "message": None, **facts, "stage": stage}
    session.execute(update(Checkout).where(Checkout.id == checkout_id).values(values))
    for run in waiters(session, checkout_id):
        if stage is Stage.READY:
            run.folder = str(facts["path"])
        next_version(session, run.id)


def put_off(session: Session, row: Checkout, why: str, now: datetime) -> None:
    """Write down that somebody did not answer; it is tried again, ever more rarely."""
    pause = min(LONGEST_REST, timedelta(seconds=2.0 ** min(row.failures + 1, 9)))
    change(
        session,
        row.id,
        Stage(row.stage),
        message=why,
        failures=row.failures + 1,
        retry_at=now + pause,
    )


def waiters(session: Session, checkout_id: int) -> Sequence[Run]:
    """The unfinished runs that wait for a directory."""
    statement = select(Run).where(
        Run.checkout_id == checkout_id, Run.ended_at.is_(None), Run.folder.is_(None)
    )
    return session.scalars(statement.order_by(Run.id)).all()


def of_run(session: Session, run_id: str) -> Checkout | None:
    """The directory that an unfinished run waits for; None: it waits for none."""
    open_ = exists().where(Task.run_id == Run.id, Task.state.in_(OPEN))
    statement = (
        select(Checkout)
        .join(Run, Run.checkout_id == Checkout.id)
        .where(Run.id == run_id, Run.folder.is_(None), open_)
    )
    return session.scalars(statement).one_or_none()


def held(session: Session, backend: str, source: str, now: datetime) -> list[Held]:
    """The directories of a source's commits that a backend has."""
    used = func.max(func.coalesce(Run.ended_at, Run.created_at))
    statement = (
        select(Checkout, used)
        .outerjoin(Run, Run.checkout_id == Checkout.id)
        .where(Checkout.backend == backend, Checkout.source == source)
        .where(Checkout.stage == Stage.READY)
        .group_by(Checkout.id)
    )
    rows = session.execute(statement).all()
    return [Held(row.id, _aware(at), _is_busy(session, row, now)) for row, at in rows]


def _aware(at: datetime | str | None) -> datetime | None:
    """A time that came out of a function, which SQLite gives as it is stored."""
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _is_busy(session: Session, row: Checkout, now: datetime) -> bool:
    """Whether a run works in it, or a task, or something they wrote is still to be collected.

    Runs of all backends count: two of them may be two ways to one file system.
    """
    same = select(Checkout.id).where(Checkout.root == row.root, Checkout.name == row.name)
    is_here = or_(Run.checkout_id.in_(same), Run.folder == row.path)
    is_left = exists().where(Task.run_id == Run.id, uncollected(now))
    runs = select(Run.id).where(is_here, Run.ended_at.is_(None) | is_left)
    below = Task.base.startswith(f"{row.path}/", autoescape=True)
    tasks = select(Task.id).where(Task.state.in_(OPEN), or_(Task.base == row.path, below))
    return any(session.scalar(one.limit(1)) is not None for one in (runs, tasks))


def in_use(session: Session, backend: str, now: datetime) -> list[Checkout]:
    """A backend's directories that something works in, for other servers to leave them alone."""
    statement = select(Checkout).where(Checkout.backend == backend, Checkout.path.is_not(None))
    rows = session.scalars(statement.order_by(Checkout.id)).all()
    return [row for row in rows if row.stage != Stage.LEAVING and _is_busy(session, row, now)]


def leave(session: Session, checkout_id: int, now: datetime) -> bool:
    """Have a directory deleted, unless a run has come to work in it; whether it will be.

    Its runs work in a new one, should their tasks be tried again.
    """
    row = session.get(Checkout, checkout_id, with_for_update=True)
    if row is None or row.stage != Stage.READY or _is_busy(session, row, now):
        return False
    row.stage = Stage.LEAVING
    is_its = or_(Run.backend == row.backend, Run.git_sha.is_not(None))
    session.execute(
        update(Run).where(Run.folder == row.path, is_its).values(folder=None, checkout_id=None)
    )
    return True


def leaving(session: Session, backend: str) -> Sequence[Checkout]:
    """A backend's directories that it is to delete."""
    statement = select(Checkout).where(Checkout.backend == backend, Checkout.stage == Stage.LEAVING)
    return session.scalars(statement.order_by(Checkout.id)).all()


def left(session: Session, checkout_id: int, is_gone: bool) -> None:
    """Forget a directory that was deleted; one that had to stay is there as before."""
    row = session.get(Checkout, checkout_id, with_for_update=True)
    if row is None or row.stage != Stage.LEAVING:
        return
    if is_gone:
        session.execute(update(Run).where(Run.checkout_id == row.id).values(checkout_id=None))
        session.delete(row)
    else:
        row.stage = Stage.READY


def forget(session: Session, backend: str, root: str, name: str) -> None:
    """Forget a directory that is not there any more, and is not asked for anew."""
    statement = select(Checkout).where(
        Checkout.backend == backend, Checkout.root == root, Checkout.name == name
    )
    for row in session.scalars(statement.where(Checkout.stage.in_((Stage.READY, Stage.LEAVING)))):
        session.execute(update(Run).where(Run.checkout_id == row.id).values(checkout_id=None))
        session.delete(row)


def at(session: Session, backend: str, name: str) -> Sequence[Checkout]:
    """A backend's directories of that name, in whichever root."""
    statement = select(Checkout).where(Checkout.backend == backend, Checkout.name == name)
    return session.scalars(statement.order_by(Checkout.id)).all()


def roots(session: Session, backend: str) -> list[str]:
    """Where a backend has directories of commits, or had."""
    statement = select(Checkout.root).where(Checkout.backend == backend).distinct()
    return sorted(session.scalars(statement))
