"""Git sources: looked at from time to time and when somebody asks, each by one thread at a time."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from scripthut import clock, ids
from scripthut.config import GitSource, Live, PathSource
from scripthut.engine.lead import Lead
from scripthut.engine.repositories import look_after
from scripthut.engine.serving import Kitchen, refuse
from scripthut.engine.upkeep import Upkeep
from scripthut.store import checkouts, source_orders, sources
from scripthut.store.db import Database, DatabaseDown, Session
from scripthut.store.lease import Fenced
from scripthut.store.source_models import SourceOrder
from scripthut.store.source_orders import What

log = logging.getLogger(__name__)
FRESH = timedelta(minutes=10)  # how long a look at a repository counts
AT_ONCE = 4  # repositories that are looked at side by side


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
        self._running: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "hut-source")

    def tick(self, now: datetime) -> None:
        """Start whatever is due."""
        parts = self._live.config.sources
        if not parts:
            return
        with self._database.reading() as session:
            known, busy = sources.every(session), source_orders.busy(session)
            packing = {row.source for row in checkouts.to_pack(session, now)}
        for part in parts:
            row = known.get(part.name)
            if isinstance(part, PathSource):
                if row is None and part.name not in busy:
                    self._ask(part, now)
                continue
            tried_at = row.tried_at if row else None
            is_stale = tried_at is None or now - tried_at > FRESH
            if part.name in busy | packing or is_stale:
                self._start(part)
        if gone := busy - {part.name for part in parts}:
            self._refuse(sorted(gone), now)

    def asked(self, session: Session) -> frozenset[str]:
        """The backends whose directories somebody asks about."""
        busy = source_orders.busy(session) if self._live.config.sources else frozenset()
        paths = (part for part in self._live.config.sources if isinstance(part, PathSource))
        return frozenset(part.backend for part in paths if part.name in busy)

    def close(self) -> None:
        """Begin nothing more; what runs is given up with its process, or ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def wait(self, timeout: float = 60.0) -> None:
        """Until the looks that run now have ended."""
        for future in list(self._running.values()):
            future.exception(timeout)

    def _start(self, part: GitSource) -> None:
        running = self._running.get(part.name)
        if running is not None:
            if not running.done():
                return
            del self._running[part.name]
            if (error := running.exception()) is not None:
                log.error("source broke source=%s", part.name, exc_info=error)
        writing = partial(self._lead.writing, self._lead.epoch)
        kitchen = Kitchen(self._live.config, writing, self._upkeep.backend, self._upkeep.homes)
        self._running[part.name] = self._pool.submit(self._work, kitchen, part)

    def _work(self, kitchen: Kitchen, part: GitSource) -> None:
        try:
            look_after(kitchen, self._database.reading, part, clock.utcnow())
        except (Fenced, DatabaseDown) as error:
            log.warning("look given up source=%s: %s", part.name, error)

    def _ask(self, part: PathSource, now: datetime) -> None:
        """Ask for a first look at a directory: it is its backend's cycle that takes it."""
        with self._lead.writing() as session:
            new = SourceOrder(
                id=ids.new_run_id(), source=part.name, what=What.SYNC, params={}, asked_at=now
            )
            source_orders.order(session, new)

    def _refuse(self, names: Sequence[str], now: datetime) -> None:
        with self._database.reading() as session:
            orders = source_orders.to_do(session, names)
        for order in orders:
            why = f"The configuration has no source {order.source!r} any more."
            refuse(self._lead.writing, order, [why], now)
