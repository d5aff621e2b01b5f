"""What lies on backends' disks: looks that are asked for, what they found, and what is to go."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from scripthut.core.disk import (
    FRESH,
    Class,
    Kind,
    Scanned,
    Shown,
    Stage,
    Thing,
    Verdict,
    judge,
)
from scripthut.core.errors import Conflict, NotFound
from scripthut.store.machines import checkouts
from scripthut.store.machines.disk_users import users, within
from scripthut.store.models import DiskRemoval, DiskScan, DiskThing, Run

PAUSE = timedelta(seconds=2)  # between two questions about a look that goes on
WAIT = timedelta(seconds=5)  # while another server looks
PATIENCE = timedelta(hours=1)  # a look that has not ended by then is taken for dead
REMEMBER = timedelta(days=7)  # what came of deletions
ENDED_SHOWN = 50


@dataclass(frozen=True)
class State:
    """What is known of a backend's disk. `going`: the look that goes on, `last`: that is shown."""

    going: DiskScan | None
    last: DiskScan | None
    leaving: Sequence[DiskRemoval]
    ended: Sequence[DiskRemoval]  # the newest first


@dataclass(frozen=True)
class Chosen:
    """Things by their rows, of one look: an id alone may be another thing's after the next."""

    scan_id: str
    ids: Collection[int]


@dataclass(frozen=True)
class Ordered:
    """What came of an order to delete: those that will go, and why others stay."""

    going: Sequence[Shown]
    staying: Sequence[tuple[Shown, str]]

    @property
    def bytes(self) -> int:
        """How much goes, as far as it is known."""
        return sum(one.thing.size or 0 for one in self.going)


def ask_scan(session: Session, backend: str, scan_id: str, now: datetime) -> bool:
    """Ask for a look at a backend's disk; False: one goes on already."""
    if _going(session, backend) is not None:
        return False
    session.add(DiskScan(id=scan_id, backend=backend, asked_at=now, ask_at=now, offset=0))
    return True


def due(session: Session, now: datetime, resting: Collection[str] = ()) -> set[str]:
    """The backends of which something is to be asked, or to be deleted; `resting`: not these."""
    scans = select(DiskScan.backend).where(DiskScan.ended_at.is_(None), DiskScan.ask_at <= now)
    removals = select(DiskRemoval.backend).where(DiskRemoval.ended_at.is_(None))
    if resting:
        scans = scans.where(DiskScan.id.not_in(resting))
        removals = removals.where(DiskRemoval.id.not_in(resting))
    return {*session.scalars(scans.distinct()), *session.scalars(removals.distinct())}


def to_ask(session: Session, backend: str, now: datetime) -> DiskScan | None:
    """The look about which a backend is to be asked now."""
    scan = _going(session, backend)
    return scan if scan is not None and scan.ask_at <= now else None


def to_remove(session: Session, backend: str) -> Sequence[DiskRemoval]:
    """What is to be deleted on a backend, in its order."""
    statement = select(DiskRemoval).where(
        DiskRemoval.backend == backend, DiskRemoval.ended_at.is_(None)
    )
    return session.scalars(statement.order_by(DiskRemoval.asked_at, DiskRemoval.id)).all()


def _going(session: Session, backend: str) -> DiskScan | None:
    statement = select(DiskScan).where(DiskScan.backend == backend, DiskScan.ended_at.is_(None))
    return session.scalars(statement.limit(1)).one_or_none()


def scanned(session: Session, scan_id: str, offset: int, said: Scanned, now: datetime) -> None:
    """Write down what was said of a look since an offset; at its end it takes the former's place.

    What was written before, by whoever asked in the meantime, is not written twice.
    """
    scan = session.get(DiskScan, scan_id, with_for_update=True)
    if scan is None or scan.ended_at is not None or scan.offset != offset:
        return
    if said.stage is Stage.BUSY:
        scan.note = "Another server looks at this disk: this look waits for it."
        scan.ask_at = now + WAIT
        return
    scan.begun_at = scan.begun_at or now
    scan.home, scan.total = said.home or scan.home, said.total or scan.total
    scan.offset, scan.ask_at = max(scan.offset, said.offset), now + PAUSE
    scan.note = None
    session.add_all(_row(scan_id, thing) for thing in said.things)
    if said.stage is Stage.LOST or now - scan.begun_at > PATIENCE:
        _end(session, scan, f"It did not come to its end: {said.note or 'time was up'}.", now)
    elif said.stage is Stage.ENDED:
        _end(session, scan, said.note, now)


def _end(session: Session, scan: DiskScan, note: str | None, now: datetime) -> None:
    scan.ended_at, scan.note = now, note
    former = select(DiskScan.id).where(DiskScan.backend == scan.backend, DiskScan.id != scan.id)
    session.execute(delete(DiskThing).where(DiskThing.scan_id.in_(former)))
    session.execute(
        delete(DiskScan).where(DiskScan.backend == scan.backend, DiskScan.id != scan.id)
    )
    old = DiskRemoval.ended_at < now - REMEMBER
    session.execute(delete(DiskRemoval).where(DiskRemoval.backend == scan.backend, old))


def _row(scan_id: str, thing: Thing) -> DiskThing:
    return DiskThing(
        scan_id=scan_id,
        kind=thing.kind.value,
        root=thing.root,
        name=thing.name,
        run=thing.run_id,
        mark=thing.mark,
        size=thing.size,
        files=thing.files,
        is_whole=thing.is_whole,
        touched_at=thing.touched_at,
        is_busy=thing.is_busy,
        note=thing.note,
    )


def thing_of(row: DiskThing) -> Thing:
    """A row as what was found."""
    return Thing(
        Kind(row.kind),
        row.root,
        row.name,
        row.run,
        row.mark,
        row.size,
        row.files,
        row.is_whole,
        row.touched_at,
        row.is_busy,
        row.note,
    )


def state(session: Session, backend: str) -> State:
    """What is known of a backend's disk; of a first look what it has found so far."""
    statement = select(DiskScan).where(DiskScan.backend == backend)
    last = session.scalars(statement.where(DiskScan.ended_at.is_not(None)).limit(1)).one_or_none()
    going = _going(session, backend)
    over = (
        select(DiskRemoval)
        .where(DiskRemoval.backend == backend, DiskRemoval.ended_at.is_not(None))
        .order_by(DiskRemoval.ended_at.desc(), DiskRemoval.id)
        .limit(ENDED_SHOWN)
    )
    return State(going, last or going, to_remove(session, backend), session.scalars(over).all())


def shown(
    session: Session, backend: str, now: datetime, chosen: Chosen | None = None
) -> list[Shown]:
    """What was found on a backend's disk, as it is now judged; `chosen`: these alone.

    Conflict: they are another look's than the one that is shown.
    """
    known = state(session, backend)
    if chosen is not None and (known.last is None or known.last.id != chosen.scan_id):
        raise Conflict(f"The disk of {backend} was scanned again since: choose from what is there.")
    if known.last is None:
        return []
    statement = select(DiskThing).where(DiskThing.scan_id == known.last.id)
    rows = list(session.scalars(statement.order_by(DiskThing.id)))
    if chosen is not None:
        rows = [row for row in rows if row.id in chosen.ids]
    things = [thing_of(row) for row in rows]
    seen_at = known.last.begun_at or now
    by_thing = zip(things, users(session, things, now), strict=True)
    verdicts = [judge(thing, by, seen_at) for thing, by in by_thing]
    leaving = {_place(row) for row in known.leaving}
    return [
        Shown(row.id, thing, verdict, thing.place in leaving)
        for row, thing, verdict in zip(rows, things, verdicts, strict=True)
    ]


def is_old(scan: DiskScan, now: datetime) -> bool:
    """Whether what a look found may be used otherwise by now."""
    return scan.ended_at is not None and now - scan.ended_at > FRESH


def check_fresh(session: Session, backend: str, goes: Iterable[Shown], now: datetime) -> None:
    """Conflict when something is to go of which the last look says too little by now."""
    last = state(session, backend).last
    if last is not None and is_old(last, now) and any(one.is_fresh_alone for one in goes):
        raise Conflict(
            f"The disk of {backend} was scanned more than an hour ago, and what is no run of this "
            "server may be in use by now: scan again."
        )


def _place(row: DiskRemoval) -> tuple[str, str, bytes, str | None]:
    return row.kind, row.root, row.name, row.run


def ask_removal(
    session: Session,
    backend: str,
    chosen: Chosen,
    new_id: Callable[[], str],
    now: datetime,
) -> Ordered:
    """Order deletions, each judged anew in this transaction.

    Conflict: nothing was scanned yet, or too long ago, or again since they were chosen.
    """
    last = state(session, backend).last
    if last is None or last.home is None:
        raise Conflict(f"The disk of {backend} has not been scanned yet.")
    found = shown(session, backend, now, chosen)
    if not found:
        raise NotFound("What was chosen is not there any more: scan again.")
    check_fresh(session, backend, [one for one in found if one.may_go], now)
    going: list[Shown] = []
    staying: list[tuple[Shown, str]] = []
    for one in found:
        why = one.verdict.why or ("Its deletion is ordered." if one.is_leaving else None)
        why = why or _leave(session, backend, one.thing, now)
        if why is not None:
            staying.append((one, why))
            continue
        going.append(one)
        thing = one.thing
        session.add(
            DiskRemoval(
                id=new_id(),
                backend=backend,
                kind=thing.kind.value,
                root=thing.root,
                name=thing.name,
                run=thing.run_id,
                mark=thing.mark,
                size=thing.size,
                home=last.home,
                asked_at=now,
            )
        )
    return Ordered(going, staying)


def _leave(session: Session, backend: str, thing: Thing, now: datetime) -> str | None:
    """Let no run begin in a directory of a commit that is to go; why it stays.

    Nor one of another backend, which may be another way to the same file system.
    """
    if thing.kind is not Kind.COMMIT:
        return None
    name = thing.name.decode("utf-8", "replace")
    for row in checkouts.at(session, backend, name):
        if row.stage not in (checkouts.Stage.READY, checkouts.Stage.FAILED) or (
            row.stage == checkouts.Stage.READY and not checkouts.leave(session, row.id, now)
        ):
            return "A run uses it, or is about to."
    is_there = (Run.folder == f"{thing.root}/{name}") & Run.git_sha.is_not(None)
    session.execute(update(Run).where(is_there).values(folder=None, checkout_id=None))
    return None


def check_stays(session: Session, run_id: str) -> None:
    """Conflict while what a run left on its backend is on its way out: it cannot go on from it."""
    log_dir = session.scalar(select(Run.log_dir).where(Run.id == run_id))
    for row in session.scalars(select(DiskRemoval).where(DiskRemoval.ended_at.is_(None))):
        name = row.name.decode("utf-8", "replace")
        if row.run == run_id or (row.kind == Kind.COMMIT and within(log_dir, name)):
            raise Conflict(
                f"The files of the run {run_id} on {row.backend} are being deleted: wait until "
                "that is over."
            )


def rejudged(session: Session, removal: DiskRemoval, now: datetime) -> Verdict:
    """Whose what is to go is now: between an order and the act a run may have begun again."""
    thing = Thing(Kind(removal.kind), removal.root, removal.name, removal.run, removal.mark)
    (by,) = users(session, [thing], now)
    return judge(thing, by, now)


def may_begin(verdict: Verdict) -> bool:
    """Whether something may go that nobody has touched lately, which its backend knows best."""
    return verdict.whose in (Class.REFERENCED, Class.ORPHANED)


def things_at(removal: DiskRemoval, scan_ids: Collection[str]) -> ColumnElement[bool]:
    """The rows of what a deletion was ordered of."""
    own = DiskThing.run.is_(None) if removal.run is None else DiskThing.run == removal.run
    place = (DiskThing.kind == removal.kind) & (DiskThing.root == removal.root) & own
    return place & (DiskThing.name == removal.name) & DiskThing.scan_id.in_(scan_ids)


def scans_of(session: Session, backend: str) -> list[str]:
    """The looks at a backend's disk whose findings are here."""
    return list(session.scalars(select(DiskScan.id).where(DiskScan.backend == backend)))


def found(session: Session, scan_id: str) -> int:
    """How many things a look has found so far."""
    statement = select(func.count()).select_from(DiskThing).where(DiskThing.scan_id == scan_id)
    return session.scalar(statement) or 0
