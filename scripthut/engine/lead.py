"""Leading: the lease this engine holds, and the fenced transactions that it allows."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from scripthut.backends.base import Backend
from scripthut.core.jobs import OutputLimits
from scripthut.engine.base import Hands
from scripthut.store import lease
from scripthut.store.db import Database, DatabaseDown, Session
from scripthut.store.files.kept import Kept

log = logging.getLogger(__name__)
RENEW = 1.0  # seconds


class Lead:
    """The lease as one engine sees it. `epoch` is None while another one leads."""

    def __init__(self, database: Database, holder: str) -> None:
        self.holder = holder
        self._database = database
        self._epoch: int | None = None
        self._renewed = float("-inf")

    def renew(self) -> bool:
        """Renew or take the lease, at most once a second; whether this engine leads."""
        now = time.monotonic()
        if self._epoch is not None and now - self._renewed < RENEW:
            return True
        epoch = lease.acquire(self._database, self.holder)
        if epoch is not None and epoch != self._epoch:
            log.info("this engine leads holder=%s epoch=%s", self.holder, epoch)
        elif epoch is None and self._epoch is not None:
            log.warning("another engine leads; this one waits holder=%s", self.holder)
        self._epoch, self._renewed = epoch, now
        return epoch is not None

    @property
    def epoch(self) -> int | None:
        """Which leadership this is: a new number whenever the lease was lost in between."""
        return self._epoch

    @contextmanager
    def writing(self, epoch: int | None = None) -> Iterator[Session]:
        """A transaction that only the leader can begin; Fenced for anybody else.

        `epoch`: the leadership in which the work began, None for the present one.
        """
        epoch = self._epoch if epoch is None else epoch
        with self._database.writing() as session:
            if epoch is None:
                raise lease.Fenced("this engine does not lead")
            lease.fence(session, self.holder, epoch)
            yield session

    def hands(
        self,
        backend: Backend,
        kept: Kept,
        limits: OutputLimits,
        secret_names: frozenset[str] = frozenset(),
        kind: str | None = None,
    ) -> Hands:
        """What one backend's cycle acts through, in the present leadership and no later one.

        An engine that slept may lead again when it wakes, with another one's acts in between:
        what it had in its hands is void all the same.
        """
        return Hands(backend, self.reading, self.fenced(), kept, limits, secret_names, kind)

    @property
    def reading(self) -> Callable[[], AbstractContextManager[Session]]:
        """What begins a reading transaction; anybody may."""
        return self._database.reading

    @property
    def database(self) -> Database:
        """The database, for what anybody may write."""
        return self._database

    def fenced(self) -> Callable[[], AbstractContextManager[Session]]:
        """What begins a writing transaction in the present leadership, and in no later one."""
        return partial(self.writing, self._epoch)

    def release(self) -> None:
        """Give the lease back, if it can be done."""
        if self._epoch is None:
            return
        try:
            lease.release(self._database, self.holder)
        except DatabaseDown as error:
            log.warning("lease not given back, it will run out: %s", error)
