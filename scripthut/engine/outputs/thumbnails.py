"""Thumbnails of what was collected: made once for each content, by a thread of the leader's."""

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from scripthut.engine.children.workshop import Workshop
from scripthut.store.db import Session
from scripthut.store.files import pictures
from scripthut.store.files.kept import Kept, NoRoom
from scripthut.store.files.pictures import Made
from scripthut.store.lease import Fenced

SECONDS = 2.0  # of one turn
AT_ONCE = 20  # thumbnails that are written in one transaction
MOST = 64 * 1024 * 1024  # bytes of a picture
TOO_HARD = "could not be made smaller within the server’s limits"

Transaction = Callable[[], AbstractContextManager[Session]]
log = logging.getLogger(__name__)
WORKSHOP = Workshop("scripthut.engine.children.pictures")


class Studio:
    """Makes the thumbnails that are waited for; `writing` is fenced."""

    def __init__(self, reading: Transaction, writing: Transaction, kept: Kept) -> None:
        """Starts nothing yet."""
        self._reading, self._writing, self._kept = reading, writing, kept

    def turn(self, _now: datetime) -> int:
        """Work for some seconds at most; how many pictures are done. What is left waits."""
        until, done = time.monotonic() + SECONDS, 0
        while time.monotonic() < until:
            with self._reading() as session:
                waiting = pictures.waiting(session, AT_ONCE)
            if not waiting:
                break
            try:
                made = [self._made(sha) for sha in waiting]
                with self._writing() as session:
                    pictures.record(session, made)
            except (NoRoom, OSError, Fenced) as error:  # no disk, no process, no lead: later
                log.warning("no thumbnails for now: %s", error)
                break
            done += len(made)
        return done

    def _made(self, sha: str) -> Made:
        try:
            data = self._kept.read(sha, limit=MOST + 1)
        except FileNotFoundError:
            return Made(sha, note="is not on the server any more")
        answer = WORKSHOP.do("thumbnail", "", data) if len(data) <= MOST else None
        if answer is None:
            return Made(sha, note=TOO_HARD)
        head, _, small = answer.partition(b"\n")
        said = json.loads(head)
        size = (said["width"], said["height"])
        if said["why"] is not None:
            return Made(sha, *size, note=said["why"])
        return Made(sha, *size, thumb=self._kept.put(small) if small else sha)
