"""The engine: one leader, one thread a backend, a cycle whenever one is due.

Every process of the web may run a candidate; the lease elects one. Which backend is asked when is
decided in `pace.py`; what a cycle does is `cycle.py`.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import partial

from scripthut import clock, ids
from scripthut.backends.base import Backend
from scripthut.config import Config, Live
from scripthut.core.errors import HutError
from scripthut.engine.beside.errand import Errand
from scripthut.engine.beside.notify import notifier
from scripthut.engine.beside.retention import Keeper, Rules
from scripthut.engine.commits.sourcing import Sourcing
from scripthut.engine.cycle import Cycle
from scripthut.engine.fleet import Fleet
from scripthut.engine.lead import Lead
from scripthut.engine.outputs.thumbnails import Studio
from scripthut.engine.pace import Pace
from scripthut.engine.upkeep import Upkeep
from scripthut.store import messages, source_orders, tasks, watches
from scripthut.store.db import Database, DatabaseDown
from scripthut.store.files import fetches, frames, wishes
from scripthut.store.files.kept import Kept
from scripthut.store.machines import commands, disk, logins, surveys

log = logging.getLogger(__name__)
TICK = 0.5  # seconds between two looks at the database for something to do
TELL = 3.0  # seconds between two looks for something to tell people
HOUSEKEEPING = 600.0  # seconds
MOST_BACKENDS = 64  # asked at the same time
BREAK = 30.0  # seconds that a process whose engine broke still serves its pages
LET_END = 5.0  # seconds that cycles have to end by themselves when the engine stops


class Engine:
    """A candidate: leads when the lease is free, acts while it leads."""

    def __init__(
        self, config: Config | Live, backends: Mapping[str, Backend] | None = None
    ) -> None:
        """Build everything; connect to nothing yet."""
        self.live = Live.of(config)
        config = self.live.config
        self.database = Database(config.database_url)
        self.lead = Lead(self.database, ids.new_holder())
        self._kept = Kept(config.data_dir / "kept")
        self._upkeep = Upkeep(self.live, self._backend)
        self._fleet = Fleet(self.lead, self._kept, backends or {}, self._upkeep)
        self._sourcing = Sourcing(self.live, self.lead, self.database, self._upkeep)
        self._is_blind = False  # the database does not answer
        self._epoch: int | None = None  # the leadership that the cycles belong to
        self._running: dict[str, Future[bool]] = {}
        self._pool = ThreadPoolExecutor(MOST_BACKENDS, "hut-backend")
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._cleaned = time.monotonic()
        self._telling = Errand("telling people", TELL)
        self._drawing = Errand("making thumbnails", every=1.0)
        self._keeping = Errand("removing old files", every=HOUSEKEEPING)

    def start(self, broke: Callable[[], None]) -> None:
        """Run as a thread of this process, until `stop` or the process ends.

        `broke` is called, after a while, when an error that nobody foresaw has ended the thread.
        """
        self._thread = threading.Thread(
            target=self._last, args=(broke,), name="hut-engine", daemon=True
        )
        self._thread.start()

    def _last(self, broke: Callable[[], None]) -> None:
        try:
            self.run()
        finally:
            if not self._stopped.is_set():
                log.error("engine broke, its process ends in %g s", BREAK, exc_info=True)
                if not self._stopped.wait(BREAK):
                    broke()

    def stop(self) -> None:
        """Stop acting, let running cycles end, give the lease back."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def run(self) -> None:
        """Be a candidate until stopped."""
        log.info("engine candidate holder=%s", self.lead.holder)
        while not self._stopped.is_set():
            try:
                self.tick(clock.utcnow())
                self._database_answers()
            except DatabaseDown as error:
                self._database_answers(error)
            except HutError as error:
                log.warning("tick gave up: %s", error)
            except OSError:  # no more files, or a full disk: the next tick may find it better
                log.exception("tick gave up")
            self._stopped.wait(TICK)
        self._close()

    def tick(self, now: datetime) -> bool:
        """Renew the lease and start every cycle that is due; True while this engine leads."""
        self._look()
        if not self.lead.renew():
            return False
        for name in list(self._running):
            self._reap(name)
        if self._epoch != self.lead.epoch:
            self._fleet.begin(self.live.config, self._running)
            self._epoch = self.lead.epoch
        with self.database.reading() as session:
            news, ordered = tasks.news(session, now), tasks.ordered(session, now)
            surveyed = surveys.looked_at(session, now)
            looked_at = watches.backends(session, now) | surveyed.due
            looked_at |= fetches.backends(session, now)
            ordered |= surveys.with_orders(session, now) | self._sourcing.asked(session)
            ordered |= wishes.backends(session, now)
            ordered |= disk.due(session, now, self._upkeep.tries.resting(now))
            called = logins.wanted(session)
            alive = tasks.alive(session, now) if self._fleet.is_leaving else None
        for name in looked_at | ordered | called:
            news.setdefault(name, 0)  # with no task of ours, too
        self._fleet.follow(self.live.config, self._running, alive)
        for name, one in self._fleet.members.items():
            if name in self._running:
                continue
            asked = (name in ordered, name in looked_at, name in called)
            if one.pace.is_due(time.monotonic(), news.get(name), *asked):
                self._running[name] = self._pool.submit(self._cycle, one.cycle, one.pace, now)
        self._write_commands(surveyed.logs)
        self._run_errands(now)
        self._sourcing.tick(now)
        self._clean(now)
        return True

    def _write_commands(self, looked_at: Collection[str]) -> None:
        """Write down what went wrong on backends, and all the rest where somebody reads it."""
        for name, one in self._fleet.members.items():
            if news := one.backend.ring.news(name in looked_at):
                with self.lead.writing() as session:
                    commands.record(session, name, news)
                one.backend.ring.written(news)

    def _run_errands(self, now: datetime) -> None:
        if self._telling.is_due():  # a mail server may hang: in a thread of its own
            self._telling.start(
                self._pool, notifier(self.live.config, self.lead, self._kept).run, now
            )
        if self._drawing.is_due():
            studio = Studio(self.lead.reading, self.lead.fenced(), self._kept)
            self._drawing.start(self._pool, studio.turn, now)
        if self._keeping.is_due():
            keeper = Keeper(self.lead.reading, self.lead.fenced(), self._kept)
            self._keeping.start(self._pool, partial(keeper.run, self._rules()), now)

    def _database_answers(self, error: DatabaseDown | None = None) -> None:
        """Say when the database goes, and when it is back; not with every tick."""
        if error is not None and not self._is_blind:
            log.warning("waiting for the database: %s", error)
        elif error is None and self._is_blind:
            log.info("the database answers again")
        self._is_blind = error is not None

    def _look(self) -> None:
        found = self.live.look()
        if found is None:
            return
        if found.problem is not None:
            log.error("configuration not used, the one before goes on: %s", found.problem)
            return
        log.info(
            "configuration changed generation=%s what=%s once_begun_anew=%s",
            self.live.generation,
            "; ".join(found.changed) or "nothing that is used",
            ",".join(found.restart) or "none",
        )

    def wait(self, timeout: float = 60.0) -> None:
        """Until the cycles that run now have ended."""
        for future in list(self._running.values()):
            future.exception(timeout)
        self._sourcing.wait(timeout)

    def _backend(self, name: str) -> Backend | None:
        member = self._fleet.members.get(name)
        return member.backend if member else None

    def _cycle(self, cycle: Cycle, pace: Pace, now: datetime) -> bool:
        report = cycle.run(now)
        pace.took(time.monotonic(), report)
        return report.answered

    def _reap(self, name: str) -> None:
        """Forget a cycle that has ended; say what broke in one that broke."""
        future = self._running.get(name)
        if future is None or not future.done():
            return
        del self._running[name]
        error = future.exception()
        if error is not None:
            log.error("cycle broke backend=%s", name, exc_info=error)
            if name in self._fleet.members:
                self._fleet.members[name].pace.broke(time.monotonic())

    def _rules(self) -> Rules:
        settings = self.live.config.settings.outputs
        return Rules(settings.keep_days, settings.keep_bytes)

    def _clean(self, now: datetime) -> None:
        if time.monotonic() - self._cleaned > HOUSEKEEPING:
            self._cleaned = time.monotonic()
            with self.lead.writing() as session:
                watches.forget_old(session, now)
                commands.forget_old(session, now)
                wishes.forget_old(session, now)
                frames.forget_old(session, now)
                tasks.give_up_collecting(session, now)
                messages.forget_old(session, now)
                source_orders.forget_old(session, now)

    def _close(self) -> None:
        self._sourcing.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait(self._running.values(), LET_END)
        self._fleet.close()
        self._pool.shutdown(wait=True)
        self.lead.release()
        self.database.dispose()
