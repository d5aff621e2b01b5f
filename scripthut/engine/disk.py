"""A backend's disk: a look that was asked for, and deletions that were ordered, a step of each.

Orders were committed before anything is done. Before a deletion begins, whose it is is judged anew;
the backend then checks what it is, and that nobody has used it lately.
"""

import logging
from collections.abc import Iterator
from datetime import datetime

from scripthut.config import Config, GitSource
from scripthut.core.disk import IDLE, Class, Kind, Removal, Scan, Thing, Wanted, Way
from scripthut.engine.base import Hands
from scripthut.store import checkouts, disk, disk_ends
from scripthut.store.disk_models import DiskRemoval, DiskScan

log = logging.getLogger(__name__)
AT_ONCE = 20  # deletions in one command


def tend(hands: Hands, config: Config, now: datetime) -> int:
    """Bring what is asked of a backend's disk one step further, in one command; how many things."""
    name = hands.backend.name
    with hands.reading() as session:
        scan, rows = disk.to_ask(session, name, now), disk.to_remove(session, name)[:AT_ONCE]
        roots = tuple(dict.fromkeys([*_roots(config, name), *checkouts.roots(session, name)]))
    if scan is None and not rows:
        return 0
    removals = [_removal(hands, row, now) for row in rows]
    told = hands.backend.disk(Wanted(_scan(scan, roots, now), tuple(removals)))
    if scan is not None and told.scan is not None:
        with hands.writing() as session:
            disk.scanned(session, scan.id, scan.offset, told.scan, now)
    for row in rows:
        if row.id in told.removals:
            done = told.removals[row.id]
            with hands.writing() as session:
                disk_ends.went(session, row.id, done, now)
            if done.way is not Way.GOING:
                what = done.why or done.way.value
                log.info("disk %s backend=%s kind=%s name=%r", what, name, row.kind, row.name)
    return len(rows) + (scan is not None)


def _roots(config: Config, backend: str) -> Iterator[str]:
    """Where directories of commits are, as it is configured."""
    yield from (one.clone_dir for one in config.backends if one.name == backend)
    yield from (
        one.clone_dir for one in config.sources if isinstance(one, GitSource) and one.clone_dir
    )


def _scan(row: DiskScan | None, roots: tuple[str, ...], now: datetime) -> Scan | None:
    return None if row is None else Scan(row.id, roots, row.begun_at or now, row.offset)


def _removal(hands: Hands, row: DiskRemoval, now: datetime) -> Removal:
    """A deletion as the backend is told: whether it may begin is decided now."""
    with hands.reading() as session:
        verdict = disk.rejudged(session, row, now)
    is_ours_alone = row.kind == Kind.RUN and verdict.whose is Class.REFERENCED
    thing = Thing(Kind(row.kind), row.root, row.name, row.run, row.mark, row.size)
    return Removal(
        id=row.id,
        thing=thing,
        idle=0.0 if is_ours_alone else IDLE.total_seconds(),
        may_begin=disk.may_begin(verdict),
        is_moved=row.is_moved,
    )
