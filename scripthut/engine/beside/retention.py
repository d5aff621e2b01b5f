"""Old files go, if the settings say so: rows first, then bytes that nobody refers to any more."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from scripthut.core.errors import Conflict
from scripthut.core.files import heads
from scripthut.core.measures import figures
from scripthut.core.units import size
from scripthut.store.db import Session
from scripthut.store.files.kept import Kept
from scripthut.store.keeping import retention
from scripthut.store.lease import Fenced

YOUNG = timedelta(hours=1)  # bytes without a row that are no older may be getting one

Transaction = Callable[[], AbstractContextManager[Session]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """What is kept: for how long after a run's end, and how much of all runs; None: no limit."""

    days: int | None = None
    bytes: int | None = None


class Keeper:
    """Applies the rules; `writing` is fenced. What is on the cluster is never touched."""

    def __init__(self, reading: Transaction, writing: Transaction, kept: Kept) -> None:
        """Removes nothing yet."""
        self._reading, self._writing, self._kept = reading, writing, kept

    def run(self, rules: Rules, now: datetime) -> int:
        """Let go of what is too old or too much, and sweep; how many runs lost their files."""
        expired = 0
        with self._reading() as session:
            old = retention.expirable(session, now)
            held = retention.held(session).bytes if rules.bytes is not None else 0
        try:
            for one in old:
                why = _why(rules, one.ended_at, held, now)
                if why is None:
                    break  # all others are younger
                if rules.bytes is not None:
                    with self._reading() as session:
                        held -= retention.alone(session, one.run_id)
                expired += self._expire(one.run_id, why, now)
            self.sweep(now)
        except Fenced as error:
            log.warning("retention stops: %s", error)
        return expired

    def _expire(self, run_id: str, why: str, now: datetime) -> int:
        try:
            with self._writing() as session:
                retention.expire(session, run_id, why, now)
        except Conflict:
            return 0
        log.info("files removed run=%s: %s", run_id, why)
        return 1

    def sweep(self, now: datetime) -> None:
        """Remove bytes that no row refers to: what was let go, what changed, what a crash left."""
        self._forget_pictures()
        with self._reading() as session:
            wanted = set(_wanted(session))
        before = (now - YOUNG).timestamp()
        removed = self._kept.sweep(lambda name: _short(name) in wanted, before)
        removed += self._sweep_logs(before)
        if removed:
            log.info("kept files removed count=%d", removed)

    def _forget_pictures(self) -> None:
        """Looked for without the database's one writer, which cycles wait for."""
        with self._reading() as session:
            unseen = retention.unseen(session)
        for some in _parts(unseen):
            with self._writing() as session:
                retention.forget_pictures(session, some)

    def _sweep_logs(self, before: float) -> int:
        """Remove the logs that no row refers to; how many files."""
        logs = self._kept.logs()
        with self._reading() as session:
            there = retention.lent(session)
            for some in _parts(sorted({token.partition(".")[0] for token in logs})):
                there |= retention.logged(session, some)
        removed = 0
        for token in logs.keys() - there:
            for path in logs[token]:
                with suppress(FileNotFoundError):  # of a log that was written anew just now
                    if path.stat().st_mtime < before:
                        path.unlink()
                        removed += 1
        return removed


def _why(rules: Rules, ended_at: datetime, held: int, now: datetime) -> str | None:
    """Why the oldest run goes, as the end of a sentence; None: it stays."""
    if rules.days is not None and ended_at < now - timedelta(days=rules.days):
        return f"its run ended more than {rules.days} days ago (settings.outputs.keep_days)"
    if rules.bytes is None or held <= rules.bytes:
        return None
    return (
        f"all runs together held {size(held)}, more than the {size(rules.bytes)} of "
        "settings.outputs.keep_bytes, and its run was the oldest"
    )


def _wanted(session: Session) -> Iterator[int]:
    """All kept bytes that are referred to, and what was made of them."""
    for one in retention.live(session):
        yield _short(one.sha256)
        if one.html is not None:
            yield _short(one.html)
        if heads.has_head(one.path):
            yield _short(heads.key(one.sha256))
        if figures.is_source(one.path, one.is_fragment, one.is_summary):
            source = figures.Source(one.path, one.sha256, one.is_fragment)
            yield _short(figures.key(source.sha256, source.role))
    yield from map(_short, retention.others(session))


def _short(name: str) -> int:
    """Eight bytes of a name: if two names ever share them, a file stays that could go."""
    return int(name[:16], 16)


def _parts(names: Sequence[str], many: int = 500) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), many):
        yield names[at : at + many]
