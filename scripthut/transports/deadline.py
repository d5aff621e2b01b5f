"""How much time a call has left."""

import time
from collections.abc import Callable

Monotonic = Callable[[], float]
"""Seconds on a clock that nobody sets."""


class Deadline:
    """A point in time, `seconds` from now."""

    def __init__(self, seconds: float, now: Monotonic = time.monotonic) -> None:
        self.seconds = seconds
        self._now = now
        self._end = now() + seconds

    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - self._now())

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.left() <= 0

    def sooner(self, seconds: float) -> "Deadline":
        """Answer this deadline, or the one `seconds` from now when that comes first."""
        return Deadline(min(seconds, self.left()), self._now)
