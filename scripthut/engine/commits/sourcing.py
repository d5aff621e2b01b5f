"""Git sources: looked at from time to time and when somebody asks, each by one thread at a time."""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial

from scripthut import clock, ids
from scripthut.config import AnySource, GitSource, Live, PathSource
from scripthut.engine.commits.repositories import look_after
from scripthut.engine.commits.serving import Kitchen, refuse
from scripthut.engine.lead import Lead
from scripthut.engine.upkeep import Upkeep
from scripthut.store import source_orders, sources
from scripthut.store.db import Database, DatabaseDown, Session
from scripthut.store.lease import Fenced
from scripthut.store.machines import checkouts, pauses
from scripthut.store.machines.pauses import Kind
from scripthut.store.models import SourceOrder
from scripthut.store.source_orders import What

log = logging.getLogger(__name__)
FRESH = timedelta(minutes=10)  # how long a look at a repository counts
AT_ONCE = 4  # repositories that are looked at side by side
BREAK = 30.0  # seconds after a look that broke


class Sourcing:
    """Sees to the sources of a configuration while its engine leads."""

    def __init__(
        self,
        live: Live,
        lead: Lead,
        database: Database,
        upkeep: Upkeep,
    ) -> None:
        """`upkeep` are those of the backends' cycles."""
        self._live = live
        self._lead = lead
        self._database = database
        self._upkeep = upkeep
        self._running: dict[str, Future[bool]] = {}
        self._not_before: dict[str, float] = {}
        self._seen: dict[str, AnySource] = {}  # as each was configured when last looked at
        self._is_closed = False

    def tick(self, now: datetime) -> None:
        """Start whatever is due."""
        parts = self._live.config.sources
        if not parts or self._is_closed:
            return
        with self._database.reading() as session:
            known, busy = sources.every(session), source_orders.busy(session)
            packing = {row.source for row in checkouts.to_pack(session, now)}
            paused = pauses.every(session, Kind.SOURCE)
        for part in parts:
            if part.name in paused and part.name not in busy | packing:
                continue
            row = known.get(part.name)
            is_new = self._seen.get(part.name) != part
            if isinstance(part, PathSource):
                if why := self._live.config.unusable(part.backend):
                    if is_new or part.name in busy:
                        self._cannot(part, f"The backend {why}.", now)
                elif is_new and part.name not in busy:
                    self._ask(part, now)
                continue
            tried_at = row.tried_at if row else None
            is_stale = tried_at is None or now - tried_at > FRESH
            if part.name in busy | packing or is_stale or is_new:
                self._start(part)
        if gone := busy - {part.name for part in parts}:
            what = "The configuration has no source {!r} any more."
            self._refuse({name: what.format(name) for name in sorted(gone)}, now)

    def asked(self, session: Session) -> frozenset[str]:
        """The backends whose directories somebody asks about."""
        busy = source_orders.busy(session) if self._live.config.sources else frozenset()
        paths = (part for part in self._live.config.sources if isinstance(part, PathSource))
        return frozenset(part.backend for part in paths if part.name in busy)

    def close(self) -> None:
        """Begin nothing more. What runs is not waited for: a remote may hang for minutes."""
        self._is_closed = True

    def wait(self, timeout: float = 60.0) -> None:
        """Until the looks that run now have ended."""
        for future in list(self._running.values()):
            future.exception(timeout)

    def _start(self, part: GitSource) -> None:
        """Look after a source, unless that goes on already, or broke a moment ago."""
        for name in [name for name, look in self._running.items() if look.done()]:
            if not self._running.pop(name).result():
                self._not_before[name] = time.monotonic() + BREAK
        is_held = time.monotonic() < self._not_before.get(part.name, 0.0)
        if part.name in self._running or len(self._running) >= AT_ONCE or is_held:
            return
        writing = partial(self._lead.writing, self._lead.epoch)
        kitchen = Kitchen(self._live.config, writing, self._upkeep.backend, self._upkeep.homes)
        done: Future[bool] = Future()
        words = (done, kitchen, part, self._seen.get(part.name) != part)
        threading.Thread(target=self._work, args=words, name="hut-source", daemon=True).start()
        self._running[part.name], self._seen[part.name] = done, part

    def _work(self, done: Future[bool], kitchen: Kitchen, part: GitSource, is_new: bool) -> None:
        """Look after one source, in a thread that ends with the process at the latest."""
        is_well = False
        try:
            look_after(kitchen, self._database.reading, part, is_new, clock.utcnow())
            is_well = True
        except (Fenced, DatabaseDown) as error:
            log.warning("look given up source=%s: %s", part.name, error)
        finally:
            done.set_result(is_well)

    def _ask(self, part: PathSource, now: datetime) -> None:
        """Ask for a first look at a directory: it is its backend's cycle that takes it."""
        self._seen[part.name] = part
        with self._lead.writing() as session:
            new = SourceOrder(
                id=ids.new_run_id(), source=part.name, what=What.SYNC, params={}, asked_at=now
            )
            source_orders.order(session, new)

    def _cannot(self, part: PathSource, why: str, now: datetime) -> None:
        """Say of a directory that no cycle will ever look at it."""
        self._seen[part.name] = part
        with self._lead.writing() as session:
            sources.failed(session, part.name, part.type, why, now)
        self._refuse({part.name: why}, now)

    def _refuse(self, why: Mapping[str, str], now: datetime) -> None:
        """Refuse all that is asked of some sources. `why`: a sentence for each."""
        with self._database.reading() as session:
            orders = source_orders.to_do(session, list(why))
        for order in orders:
            refuse(self._lead.writing, order, [why[order.source]], now)
