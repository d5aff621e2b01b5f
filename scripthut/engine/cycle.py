"""One backend's cycle: orders, a look, what was written, and what may start next."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from scripthut.core.errors import Unreachable
from scripthut.engine.advance import advance
from scripthut.engine.base import Hands
from scripthut.engine.generate import generate
from scripthut.engine.graphs import Graphs
from scripthut.engine.jobs import job_of, singly
from scripthut.engine.observe import Seen, observe
from scripthut.engine.outputs.collect import collect
from scripthut.engine.outputs.fetching import Fetcher
from scripthut.engine.outputs.refresh import Refresher
from scripthut.engine.submit import submit
from scripthut.engine.survey import survey
from scripthut.engine.upkeep import Upkeep
from scripthut.store import tasks, versions
from scripthut.store.db import DatabaseDown, Session
from scripthut.store.lease import Fenced
from scripthut.store.machines import health, pauses
from scripthut.store.machines.pauses import Kind

Writing: TypeAlias = Callable[[], AbstractContextManager[Session]]

log = logging.getLogger(__name__)
AGAIN = timedelta(seconds=15)  # an order that has had no effect is sent again
JUMP = timedelta(seconds=10)  # by which the time of day and the seconds that passed differ
NOT_NOW = timedelta(seconds=30)  # after "too many jobs", claims pause


@dataclass(frozen=True)
class Report:
    """How a cycle went.

    `is_stirring`: something moved, or somebody looks; `seconds`: how long the look itself took.
    """

    answered: bool
    is_stirring: bool = False
    seconds: float = 0.0
    written: int = 0  # by how much the cycle itself made the versions of runs grow


class Cycle:
    """One backend's cycles, run one after the other by one thread."""

    def __init__(
        self,
        hands: Hands,
        kind: str,
        cap: int,
        upkeep: Upkeep | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: seconds that only ever grow."""
        self._clock = clock
        self.hands = replace(hands, writing=partial(self._counting, hands.writing))
        self._written = 0
        self._upkeep = upkeep
        self._kind = kind
        self._cap = cap
        self._fetcher = Fetcher(self.hands)
        self._graphs = Graphs()
        self._answering_since: datetime | None = None
        self._said: str | None = None  # why it did not answer, as it was logged
        self._hold_until: datetime | None = None
        self._before: tuple[datetime, float] | None = None  # the last cycle's, by both clocks
        self._refresher = Refresher(self.hands)

    def run(self, now: datetime) -> Report:
        """Do everything that this backend needs now. An unreachable one moves nothing.

        What a database that went away has not heard of is asked for again.
        """
        self._written = 0
        self._mind_jumps(now)
        try:
            report = self._safely(now)
        except (Fenced, DatabaseDown) as error:
            log.warning("cycle void backend=%s: %s", self.hands.backend.name, error)
            report = Report(answered=False)
        return replace(report, written=self._written)

    def _mind_jumps(self, now: datetime) -> None:
        """Count no silence over a jump of this machine's clock, nor over a sleep of the machine.

        What was to pause until a time of day would pause for hours after one that was set back.
        """
        seconds = self._clock()
        if self._before is not None:
            passed = timedelta(seconds=seconds - self._before[1])
            if abs(now - self._before[0] - passed) > JUMP:
                log.warning("the clock has jumped backend=%s", self.hands.backend.name)
                self._answering_since = self._hold_until = None
        self._before = (now, seconds)

    @contextmanager
    def _counting(self, writing: Writing) -> Iterator[Session]:
        """A transaction whose changes of versions are the cycle's own, and no news to it."""
        with writing() as session:
            yield session
        self._written += versions.grown(session)

    def _safely(self, now: datetime) -> Report:
        name = self.hands.backend.name
        try:
            report = self._run(now, self._answering_since or now)
        except Unreachable as error:
            if self._answering_since is not None or str(error) != self._said:
                log.warning("cluster does not answer backend=%s: %s", name, error)
            self._said = str(error)
            self._answering_since = None
            with self.hands.writing() as session:
                health.failed(session, name, self._kind, str(error), now)
            return Report(answered=False)
        if self._answering_since is None:
            log.info("cluster answers backend=%s", name)
            self._said = None
            self._answering_since = now
        return report

    def _run(self, now: datetime, answering_since: datetime) -> Report:
        backend = self.hands.backend
        before = backend.commands
        self._cancel(now)
        did = self._upkeep.run(self.hands, now) if self._upkeep else 0
        began = self._clock()
        seen = observe(self.hands, now, answering_since)
        seconds = self._clock() - began
        # What may end while a look is taken must not seem to end after what follows from it began.
        then = now + timedelta(seconds=seconds)
        survey(self.hands, seen.surveyed, now)
        if seen.unclaimed:
            backend.cancel(seen.unclaimed)
        asked = backend.commands
        try:
            decided = generate(self.hands, then)  # what joins may start at once
            started = self._start(then)  # first: keeping what 500 tasks wrote takes many seconds
        finally:
            submitted = backend.commands - asked
            paused = collect(self.hands, seen.watched, seen.observation, now)
        notices = [notice for notice in (seen.observation.notice, paused) if notice]
        spent = (backend.commands - before - submitted, submitted)
        self._record(seen, spent, " ".join(notices) or None, now)
        self._refresher.run()
        has_come = self._fetcher.run(now)
        did += self._upkeep.tend(self.hands, now) if self._upkeep else 0  # last: a disk may hang
        looked_at = any(w.is_looked_at for w in seen.watched.values())
        stirs = seen.moved or decided or started or looked_at or did or has_come
        return Report(True, bool(stirs), seconds)

    def _cancel(self, now: datetime) -> None:
        """Send the orders to cancel, all in one command."""
        with self.hands.reading() as session:
            doomed = tasks.to_cancel(session, self.hands.backend.name, now - AGAIN)
        if not doomed:
            return
        home = self.hands.backend.home()
        jobs = singly(doomed, lambda task: job_of(task, home))
        self.hands.backend.cancel(list(jobs.values()))
        with self.hands.writing() as session:
            tasks.mark_cancel_sent(session, [task.id for task in doomed], now)
        log.info("cancel sent backend=%s jobs=%s", self.hands.backend.name, len(doomed))

    def _start(self, now: datetime) -> int:
        """Claim and submit what may start."""
        cap = 0 if self._is_held(now) else self._cap
        of_sources = self._upkeep.caps if self._upkeep else None
        claimed = advance(self.hands, self._graphs, cap, now, of_sources)
        if claimed and submit(self.hands, claimed, now):
            self._hold_until = now + NOT_NOW
        return len(claimed)

    def _is_held(self, now: datetime) -> bool:
        """Whether nothing may be submitted: somebody paused it, or the scheduler has too much."""
        if self._hold_until and now < self._hold_until:
            return True
        with self.hands.reading() as session:
            return pauses.of(session, Kind.BACKEND, self.hands.backend.name) is not None

    def _record(
        self, seen: Seen, spent: tuple[int, int], notice: str | None, now: datetime
    ) -> None:
        """Note what the cycle cost (commands to look, to submit), when there is something to."""
        name = self.hands.backend.name
        with self.hands.reading() as session:
            is_news = health.is_news(session, name, notice, now)
        if is_news or spent[1] or seen.moved:
            answer = health.Answered(*spent, live=seen.live, notice=notice)
            with self.hands.writing() as session:
                health.answered(session, name, self._kind, answer, now)
