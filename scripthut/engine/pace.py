"""How often a backend is asked: often while things happen, rarely while nothing does."""

from dataclasses import dataclass

from scripthut.engine.cycle import Report

SHARE = 5.0  # pauses are at least so many times as long as the machine took to answer
CALM = 10.0  # the pause grows to a tenth of the time since anything happened
WATCHED = 2.0  # seconds: open pages ask no more often
BREAK = 30.0  # seconds after a cycle broke on a defect


@dataclass
class Pace:
    """When a backend's next cycle is due, on the monotonic clock, in seconds.

    `quick` is the shortest pause and `slow` the longest. News in the database (a new run, an
    order, a version that grew by another hand than the last cycle's) makes it due at once.
    """

    quick: float
    slow: float
    due: float = 0.0
    stirred: float = 0.0  # when something last happened
    earliest: float = 0.0  # not before, whatever happens: a slow machine is left alone
    ended: float = 0.0  # when the last cycle ended
    failures: int = 0
    known: int | None = None

    def is_due(
        self,
        now: float,
        news: int | None,
        is_ordered: bool = False,
        is_looked_at: bool = False,
        is_called: bool = False,
    ) -> bool:
        """Whether a cycle should start; `news` is None while the backend has nothing to do.

        `is_ordered`: somebody waits for an order to be sent, and it does not wait for the pace.
        `is_looked_at`: somebody has opened one of its runs; however calm, it is asked as often as
        their page asks from then on. `is_called`: somebody wants to log in, and it failed for want
        of them.
        """
        if news is None:
            self.known = None
            return False
        if self.failures:  # an outage is not shortened by wishing
            return now >= self.due or (is_called and now >= self.ended + self.quick)
        if news != self.known and now >= self.earliest:
            self.known, self.stirred = news, now
            return True
        pause = max(self.quick, min(WATCHED, (now - self.stirred) / CALM))
        is_awaited = is_looked_at and now >= max(self.ended + pause, self.earliest)
        return is_ordered or is_awaited or now >= self.due

    def took(self, now: float, report: Report) -> None:
        """Note how a cycle went, and from that when the next one is due."""
        self.ended = now
        if not report.answered:
            self.failures += 1
            self.due = now + min(60.0, self.quick * 2 ** min(self.failures, 6))
            return
        self.failures = 0
        if self.known is not None:
            self.known += report.written
        if report.is_stirring:
            self.stirred = now
        self.earliest = now + report.seconds * SHARE
        pause = min(max(self.quick, (now - self.stirred) / CALM), self.slow)
        self.due = max(now + pause, self.earliest)

    def broke(self, now: float) -> None:
        """A cycle ended on a defect: try again, but not in a storm, whatever is ordered or new."""
        self.failures += 1
        self.due = now + BREAK
