"""On the login node: look what lies on the disk, in a process of its own that others can ask.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone. The
looking process writes what it found, a line of JSON each, into a file of its own; whoever asks is
given what came since. Its lock is a file that it touches while it lives, so that one account looks
once at a time, whichever servers and login nodes it has.
"""

import json
import os
import time
from contextlib import suppress

from scripthut.backends.sent.apart import DEAD, apart, live, says, sign, time_in
from scripthut.backends.sent.files import pack
from scripthut.backends.sent.things import OWN, everything, measured

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]
    Emit = Callable[[dict[str, Any]], None]

PIECE = 256 * 1024  # bytes of what was found, in one answer
OLD = 24 * 3600.0  # seconds


def scan(wish: "Row | None", say: "Emit") -> None:
    """Begin to look, or tell what was found since."""
    if wish is None:
        return
    try:
        say(step(Desk(wish["home"], wish["id"]), wish))
    except OSError as error:
        say({"scan": "lost", "why": "%s: %s" % (error.filename, error.strerror)})


class Desk:
    """The files by which a looking process is asked."""

    def __init__(self, home: str, scan_id: str) -> None:
        self.home, self.id = home, scan_id
        self.cache = os.path.join(home, ".cache", "scripthut")
        self.place = os.path.join(self.cache, OWN)
        self.lock = os.path.join(self.place, "scan")
        self.found = os.path.join(self.place, scan_id + ".found")


def step(desk: Desk, wish: "Row") -> "Row":
    """Tell what came since the offset; begin where nothing has."""
    if os.path.exists(desk.found):
        return told(desk, wish["offset"])
    if wish["offset"]:
        return {"scan": "lost", "why": "what it had found is not there any more"}
    os.makedirs(desk.cache, exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(desk.place, 0o700)
    if not lock(desk):
        return {"scan": "busy"}
    forget_old(desk)
    with open(desk.found, "w"):
        pass
    apart(lambda: work(desk, wish))
    return {"scan": "going", "offset": 0, "data": ""}


def lock(desk: Desk) -> bool:
    """Become the one that looks; False while another one does."""
    with suppress(FileNotFoundError):
        if time_in(desk.place) - os.stat(desk.lock).st_mtime < DEAD:
            return False
        away = "%s.%d" % (desk.lock, os.getpid())
        os.rename(desk.lock, away)  # of two that find it dead, one does
        os.unlink(away)
    return sign(desk.lock, desk.id)


def is_alive(desk: Desk) -> bool:
    """Whether the process that looks shows signs of life."""
    try:
        return says(desk.lock, desk.id) and time_in(desk.place) - os.stat(desk.lock).st_mtime < DEAD
    except FileNotFoundError:
        return False


def forget_old(desk: Desk) -> None:
    """Delete what earlier looks have found, which nobody asks about any more."""
    limit = time_in(desk.place) - OLD
    for name in os.listdir(desk.place):
        path = os.path.join(desk.place, name)
        with suppress(OSError):
            if name.endswith(".found") and os.stat(path).st_mtime < limit:
                os.unlink(path)


def told(desk: Desk, offset: int) -> "Row":
    """Whole lines from the offset on; whether more will come."""
    lives = is_alive(desk)  # before the file is read: what it writes last is then seen
    with open(desk.found, "rb") as file:
        file.seek(offset)
        data = file.read(PIECE)
    data = data[: data.rfind(b"\n") + 1]
    state = "going" if lives or data else "lost"
    why = None if lives or data else "its process has ended on the login node"
    return {"scan": state, "offset": offset + len(data), "data": pack(data), "why": why}


def work(desk: Desk, wish: "Row") -> None:
    """Look, and leave the machine to others meanwhile."""
    try:
        with suppress(OSError):
            os.nice(10)
        live(desk.lock, desk.id)
        look(desk, wish)
    finally:
        with suppress(OSError):
            if says(desk.lock, desk.id):
                os.unlink(desk.lock)


def look(desk: Desk, wish: "Row") -> None:
    """Write down everything that there is, measured one after the other, and how it ended."""
    now = time_in(desk.place)
    until = time.monotonic() + wish["seconds"]
    with open(desk.found, "a") as file:

        def emit(row: "Row") -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        try:
            things = everything(desk.home, desk.cache, wish["roots"])
            emit({"home": desk.home, "total": len(things)})
            left = 0
            for row in things:
                if time.monotonic() > until:
                    left += 1
                    continue
                emit(measured(row, now, min(until, time.monotonic() + wish["each"])))
            note = "Time was up before %d of %d could be measured." % (left, len(things))
            emit({"end": True, "note": note if left else None})
        except (OSError, RuntimeError) as error:
            emit({"end": True, "note": "It broke off: %s." % error})
