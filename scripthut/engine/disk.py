"""A backend's disk: a look that was asked for, and deletions that were ordered, a step of each.

Orders were committed before anything is done. Before a deletion begins, whose it is is judged anew;
the backend then checks what it is, and that nobody has used it lately.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime

from scripthut.config import Config, GitSource
from scripthut.core.disk import (
    Done,
    Kind,
    Removal,
    Scan,
    Scanned,
    Stage,
    Thing,
    Told,
    Wanted,
    Way,
    patience,
)
from scripthut.core.errors import Refused, Unreachable
from scripthut.engine.base import Hands
from scripthut.engine.tries import MOST, Tries
from scripthut.store.db import Session
from scripthut.store.machines import checkouts, disk, disk_ends
from scripthut.store.models import DiskRemoval, DiskScan

log = logging.getLogger(__name__)
AT_ONCE = 20  # deletions in one command
SILENT = f"no answer came {MOST} times"
STRANGE = "it was scanned in another account"


def tend(hands: Hands, config: Config, tries: Tries, now: datetime) -> int:
    """Bring what is asked of a backend's disk one step further, in one command; how many things.

    What hangs there is put off, and given up in the end: it holds up nothing else.
    """
    name = hands.backend.name
    with hands.reading() as session:
        scan, rows = disk.to_ask(session, name, now), disk.to_remove(session, name)
        roots = tuple(dict.fromkeys([*_roots(config, name), *checkouts.roots(session, name)]))
    asked = [one.id for one in (scan, *rows) if one is not None]
    picked = tries.pick(asked, now, AT_ONCE)
    scan = scan if scan is not None and scan.id in picked else None
    rows = [row for row in rows if row.id in picked]
    if not picked:
        return 0
    home = str(hands.backend.home())
    removals = _removals(hands, rows, home, now)
    if scan is None and not removals:
        return len(rows)
    try:
        told = hands.backend.disk(Wanted(_scan(scan, roots, now), removals))
    except (Unreachable, Refused) as error:
        log.warning("disk does not answer backend=%s: %s", name, error)
        told = Told()
    if scan is not None and told.scan is not None:
        with hands.writing() as session:
            disk.scanned(session, scan.id, scan.offset, told.scan, now)
        tries.over(scan.id)
    _write(hands, rows, told, tries, now)
    if told.scan is None and not told.removals:
        _put_off(hands, scan, [row for row in rows if row.home == home], tries, now)
    return len(rows) + (scan is not None)


def _write(
    hands: Hands, rows: Iterable[DiskRemoval], told: Told, tries: Tries, now: datetime
) -> None:
    """Write down how far deletions are."""
    for row in rows:
        if row.id in told.removals:
            done = told.removals[row.id]
            with hands.writing() as session:
                disk_ends.went(session, row.id, done, now)
            tries.over(row.id)
            if done.way is not Way.GOING:
                what = done.why or done.way.value
                log.info(
                    "disk %s backend=%s kind=%s name=%r", what, row.backend, row.kind, row.name
                )


def _put_off(
    hands: Hands, scan: DiskScan | None, rows: Iterable[DiskRemoval], tries: Tries, now: datetime
) -> None:
    """Ask later about what was not answered; give up what was not for the last time."""
    if scan is not None and tries.failed(scan.id, now):
        lost = Scanned(Stage.LOST, scan.offset, note=SILENT)
        with hands.writing() as session:
            disk.scanned(session, scan.id, scan.offset, lost, now)
        tries.over(scan.id)
    for row in rows:
        if tries.failed(row.id, now):
            with hands.writing() as session:
                _give_up(session, row, now)
            tries.over(row.id)


def _give_up(session: Session, row: DiskRemoval, now: datetime) -> None:
    """End a deletion of which nobody knows how far it is.

    Of a commit's directory nothing is taken for known: whoever needs it asks whether it is there.
    """
    if row.kind == Kind.COMMIT:
        for one in checkouts.at(session, row.backend, row.name.decode("utf-8", "replace")):
            checkouts.forget(session, row.backend, one.root, one.name)
    _end(session, row, f"{SILENT}; it may be half done: scan again", now)


def _roots(config: Config, backend: str) -> Iterator[str]:
    """Where directories of commits are, as it is configured."""
    yield from (one.clone_dir for one in config.backends if one.name == backend)
    yield from (
        one.clone_dir for one in config.sources if isinstance(one, GitSource) and one.clone_dir
    )


def _scan(row: DiskScan | None, roots: tuple[str, ...], now: datetime) -> Scan | None:
    return None if row is None else Scan(row.id, roots, row.begun_at or now, row.offset)


def _removals(
    hands: Hands, rows: Iterable[DiskRemoval], home: str, now: datetime
) -> tuple[Removal, ...]:
    """Deletions as the backend is told, judged now and by the leader alone.

    Those of what was scanned in another account end here: the same path there is another thing.
    """
    with hands.writing() as session:
        for row in rows:
            if row.home != home:
                _end(session, row, STRANGE, now)
        return tuple(_removal(session, row, now) for row in rows if row.home == home)


def _end(session: Session, row: DiskRemoval, why: str, now: datetime) -> None:
    """Give a deletion up; one that had begun is gone from its place all the same."""
    disk_ends.went(session, row.id, Done(Way.GONE if row.is_moved else Way.STAYS, 0, why), now)


def _removal(session: Session, row: DiskRemoval, now: datetime) -> Removal:
    """A deletion as the backend is told: whether it may begin is decided now."""
    verdict = disk.rejudged(session, row, now)
    thing = Thing(Kind(row.kind), row.root, row.name, row.run, row.mark, row.size)
    return Removal(
        id=row.id,
        thing=thing,
        idle=patience(Kind(row.kind), verdict.whose).total_seconds(),
        may_begin=disk.may_begin(verdict),
        is_moved=row.is_moved,
    )
