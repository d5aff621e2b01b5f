"""What a machine asks at a login goes to the backend's page, and a person's answer comes back."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from scripthut.core.errors import Conflict
from scripthut.core.jobs import Question
from scripthut.engine.lead import Lead
from scripthut.store.db import DatabaseDown
from scripthut.store.machines import logins
from scripthut.store.machines.sealing import Box

log = logging.getLogger(__name__)
LOOK = 0.3  # seconds between two looks for an answer


class Asker:
    """The person at the browser, for one backend. Only the engine that leads asks."""

    def __init__(self, lead: Lead, backend: str) -> None:
        self._lead = lead
        self._backend = backend

    def is_there(self) -> bool:
        """Whether somebody pressed Log in a moment ago."""
        return logins.need(self._lead.database, self._backend)

    def begin(self) -> bool:
        """Whether somebody pressed Log in, and nothing was begun since."""
        if not self.is_there():
            return False
        with self._lead.fenced()() as session:
            return logins.take(session, self._backend)

    def end(self, is_in: bool) -> None:
        """Say that the login which was begun is over."""
        # Where that cannot be written down, its time runs out (store/logins.UNDER_WAY).
        with suppress(Conflict, DatabaseDown), self._lead.fenced()() as session:
            logins.end(session, self._backend, is_in)

    def answer(
        self, question: Question, seconds: float, is_over: Callable[[], bool]
    ) -> Sequence[str] | None:
        """Put the question on the page and wait. What is answered is in memory alone."""
        box, writing = Box(), self._lead.fenced()
        with writing() as session:
            logins.put(session, self._backend, question, box.key, seconds)
        log.info("login asks backend=%s questions=%s", self._backend, len(question.prompts))
        try:
            sealed = self._await(box.key, seconds, is_over)
        finally:
            with suppress(Conflict, DatabaseDown), writing() as session:
                logins.close(session, self._backend)
        log.info("login %s backend=%s", "answered" if sealed else "not answered", self._backend)
        return None if sealed is None else [str(a) for a in json.loads(box.open(sealed))]

    def _await(self, key: str, seconds: float, is_over: Callable[[], bool]) -> bytes | None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not is_over():
            try:
                with self._lead.reading() as session:
                    sealed = logins.find(session, self._backend, key)
            except Conflict:
                return None  # somebody else asks now
            if sealed is not None:
                return sealed
            time.sleep(LOOK)
        return None
