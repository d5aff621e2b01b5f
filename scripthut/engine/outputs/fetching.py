"""Whole large files, fetched because somebody asked: a slice at a time, between other things."""

import logging
import time
from datetime import datetime, timedelta

from scripthut.core.jobs import Got
from scripthut.engine.base import Hands
from scripthut.engine.outputs.pieces import masked, piece
from scripthut.engine.outputs.rendering import rendered
from scripthut.store import tasks, watches
from scripthut.store.files import fetches, wishes
from scripthut.store.files.fetches import Fetching
from scripthut.store.files.kept import NoRoom
from scripthut.store.files.parts import Parts

log = logging.getLogger(__name__)
MIB = 1024 * 1024
FIRST, LARGEST = MIB, 8 * MIB  # bytes of a slice: it grows while one takes less than SLICE_SECONDS
SLICE_SECONDS = 0.7
SECONDS = 8.0  # spent on slices in one cycle
SECONDS_LOOKED_AT = 1.5  # the same while somebody waits for news of a run
BLOCKS = 64  # of 4 MiB, whose checksum is made in one cycle after a restart
BEGINS = 3  # a file that changes is begun anew so often
RENDERED = 16 * MIB  # bytes of a document that is still rendered
AGAIN = timedelta(seconds=5)  # doubles with each failure
LONGEST = timedelta(minutes=5)


class Fetcher:
    """Fetches from one backend, for one leadership."""

    def __init__(self, hands: Hands) -> None:
        """Nothing is asked of the backend yet."""
        self.hands = hands
        self._parts = Parts(hands.kept)

    def run(self, now: datetime) -> bool:
        """Bring slices for a bounded time, or until anything else waits; whether any came.

        Unreachable and Fenced go through.
        """
        self._sweep()
        going = self._going(now)
        if not going:
            return False
        news, until = self._news(now), time.monotonic() + self._seconds(now)
        length, has_come = FIRST, False
        home = self.hands.backend.home()
        while going:
            began = time.monotonic()
            asked = piece(going[0].file, going[0].task, home, going[0].fetch.done, length)
            got = self.hands.backend.read_pieces([asked]).get(0, Got())
            data = masked(self.hands, asked, going[0].file, got.data)
            has_come |= self._take(going[0], got, data, now)
            if time.monotonic() - began < SLICE_SECONDS:
                length = min(length * 2, LARGEST)
            if time.monotonic() > until or self._news(now) != news:
                break
            going = self._going(now)
        return has_come

    def _sweep(self) -> None:
        """Forget the parts of what nobody wants any more."""
        here = self._parts.listed()  # first: a row is there before its part is
        if here:
            with self.hands.reading() as session:
                wanted = fetches.parts(session)
            for part in here - wanted:
                self._parts.drop(part)

    def _going(self, now: datetime) -> list[Fetching]:
        with self.hands.reading() as session:
            return list(fetches.going(session, self.hands.backend.name, now))

    def _news(self, now: datetime) -> tuple[bool, int | None]:
        """Changes when an order or a run waits for the cycle to end."""
        name = self.hands.backend.name
        with self.hands.reading() as session:
            ordered = tasks.ordered(session, now) | wishes.backends(session, now)
            return name in ordered, tasks.news(session, now).get(name)

    def _seconds(self, now: datetime) -> float:
        with self.hands.reading() as session:
            is_looked_at = watches.looks(session, self.hands.backend.name, now)
        return SECONDS_LOOKED_AT if is_looked_at else SECONDS

    def _take(self, one: Fetching, got: Got, data: bytes, now: datetime) -> bool:
        """Keep a slice; whether it brought the fetch on."""
        fetch, part = one.fetch, one.file.id
        known = (fetch.size, fetch.mtime_ns)
        if got.why is not None or not got.is_still:
            return self._wait(one, f"The file {got.why or 'is being written'}", now)
        if fetch.size is not None and known != (got.size, got.mtime_ns):
            return self._begin_anew(one)
        here = self._parts.size(part)
        if here < fetch.done:  # the part was lost, say by a disk that was put back
            self._note(one, {"done": here})
            return True
        try:
            if fetch.done == 0:
                self._parts.reserve(part, got.size)
            if data or not got.size:
                self._parts.append(part, fetch.done, data)
        except NoRoom as error:
            return self._wait(one, str(error), now)
        done = fetch.done + len(data)
        facts = {"done": done, "size": got.size, "mtime_ns": got.mtime_ns}
        clear = {"failures": 0, "problem": None, "try_at": None}
        if not self._note(one, {**facts, **clear}):
            self._parts.drop(part)
            return False
        return done < got.size or self._finish(one, now)

    def _finish(self, one: Fetching, now: datetime) -> bool:
        part, file = one.file.id, one.file
        try:
            sha = self._parts.finish(part, BLOCKS)
        except NoRoom as error:
            return self._wait(one, str(error), now)
        if sha is None:
            return True
        size = self.hands.kept.path(sha).stat().st_size
        html = rendered(self.hands.kept, file.area, file.raw, sha) if size <= RENDERED else None
        with self.hands.writing() as session:
            fetches.finish(session, part, sha, html)
        log.info("file fetched run=%s task=%s bytes=%d", one.task.run_id, one.task.key, size)
        return True

    def _begin_anew(self, one: Fetching) -> bool:
        if one.fetch.begun >= BEGINS:
            why = "The file changes again and again while it is fetched: fetch it once it is done."
            self._note(one, {"problem": why, "is_stopped": True})
            return False
        again = {"done": 0, "size": None, "mtime_ns": None, "begun": one.fetch.begun + 1}
        self._note(one, {**again, "problem": "The file has changed: it is fetched anew."})
        return True

    def _wait(self, one: Fetching, why: str, now: datetime) -> bool:
        """Try again later, ever more rarely; the page says why."""
        failures = one.fetch.failures + 1
        pause = min(AGAIN * 2 ** min(failures - 1, 10), LONGEST)
        sentence = why if why.endswith(".") else f"{why}."
        self._note(one, {"failures": failures, "try_at": now + pause, "problem": sentence})
        return False

    def _note(self, one: Fetching, facts: dict[str, object]) -> bool:
        with self.hands.writing() as session:
            return fetches.note(session, one.file.id, facts)
