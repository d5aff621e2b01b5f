"""Work beside the cycles, in a thread of its own: every so often, and one at a time."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import datetime

from scripthut.core.errors import HutError

log = logging.getLogger(__name__)


class Errand:
    """One kind of work. What breaks in it is said, and it is done again the next time."""

    def __init__(self, name: str, every: float) -> None:
        """`name` says what is done, for the log; `every`: seconds."""
        self._name = name
        self._every = every
        self._began = float("-inf")
        self._future: Future[object] | None = None

    def is_due(self) -> bool:
        """Whether it may be started now."""
        if self._future is not None and not self._future.done():
            return False
        return time.monotonic() - self._began >= self._every

    def start(self, pool: Executor, work: Callable[[datetime], object], now: datetime) -> None:
        """Start the work; what broke the last time is said now."""
        error = self._future.exception() if self._future is not None else None
        if isinstance(error, HutError):
            log.warning("%s given up: %s", self._name, error)
        elif error is not None:
            log.error("%s broke", self._name, exc_info=error)
        self._began = time.monotonic()
        self._future = pool.submit(work, now)

    def wait(self, timeout: float) -> None:
        """Until the work that goes on now has ended."""
        if self._future is not None:
            self._future.exception(timeout)
