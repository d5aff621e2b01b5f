"""On the login node: delete what was ordered, a bounded step at a time.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone. What goes
is first moved into a directory of its own beside it: then nobody finds half of it. That is
`.scripthut/<order>.part` until all is in it and `<order>.gone` from then on, so that a step that
was cut off is known by where it was: what was half moved is moved on, or back when it has to stay.
Nothing is opened by a link, and what took the place of what was scanned stays.
"""

import os
import stat
import time
from contextlib import suppress

from scripthut.backends.sent.apart import time_in
from scripthut.backends.sent.drop import GONE
from scripthut.backends.sent.files import Refusal, enter, words_of
from scripthut.backends.sent.free import free
from scripthut.backends.sent.place import Where, read_mark
from scripthut.backends.sent.things import (
    COMMIT,
    HIDDEN,
    LEFT,
    OUTPUTS,
    RUN,
    beside,
    entry_of,
    has_open_claims,
    logs_of,
    mark_of,
    name_of,
)

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]

SECONDS = 3.0  # spent on freeing bytes, in one command
HOLDS = 30.0  # seconds for which it is true that nothing here uses what is to go
LATE = (
    7 * 24 * 3600.0
)  # seconds that notes stay: a job that the scheduler takes late finds its claim
QUIET = 3600.0  # seconds; a job that said no end, of a task that a person gave up, is over by then
HALF = ".part"  # ends the name of what is not wholly moved yet
IT, ITS_OUTPUTS, ITS_NOTES = "it", "outputs", "notes"  # names there
CHANGED = "it is not what was scanned: scan again"


class Late(Exception):
    """A deletion that has not begun, and of which the server must say anew that it may."""


class Stays(Exception):
    """Something that is not deleted; the text says why, as the end of a sentence."""


def clear(wishes: "list[Row]", say: "Callable[[Row], None]") -> None:
    """Bring deletions a step further, and say of each how far it is.

    Of those that do not begin for want of time nothing is said: the server asks again.
    """
    until = time.monotonic() + SECONDS
    for wish in wishes:
        try:
            record = step(wish, until)
        except Late:
            continue
        except (Stays, Refusal) as why:
            record = {"way": "stays", "why": str(why)}
        except (OSError, ValueError) as error:  # a mark that cannot be read is the latter
            record = {"way": "stays", "why": words_of(error)}
        record["removal"] = wish["id"]
        say(record)


def step(wish: "Row", until: float) -> "Row":
    """Go on where a deletion is; begin it where it has not."""
    if wish["kind"] not in PARTS:
        raise Stays("it is not of scripthut's making")
    try:
        here = beside(wish["kind"], wish["root"], name_of(wish["name"]))
    except FileNotFoundError:
        return {"way": "gone", "why": None}
    trash = wish["id"] + GONE
    try:
        hidden = open_hidden(here, wish)
        try:
            if not has_moved(hidden, trash, wish["moved"]):
                if wish["moved"]:
                    return {"way": "gone", "why": None}
                in_time(until)
                if not move(wish, here, hidden, trash, until - SECONDS + HOLDS):
                    return {"way": "gone", "why": None}
            return free(hidden, trash, until)
        finally:
            os.close(hidden)
    finally:
        os.close(here)


def in_time(until: float) -> None:
    """Go on while there is time. Late."""
    if time.monotonic() > until:
        raise Late


def open_hidden(here: int, wish: "Row") -> int:
    """The directory that what goes is moved to, on the same file system."""
    if wish["kind"] == "leftover":
        return os.dup(here)
    with suppress(FileExistsError):
        os.mkdir(HIDDEN, 0o700, dir_fd=here)
    return enter(here, HIDDEN)


def is_there(above: int, name: str) -> bool:
    """Whether a directory holds a name."""
    try:
        os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def has_moved(hidden: int, trash: str, is_known: bool) -> bool:
    """Whether something is there that was moved; an empty directory says nothing of that."""
    if not is_known:
        with suppress(OSError):
            os.rmdir(trash, dir_fd=hidden)
    return is_there(hidden, trash)


def move(wish: "Row", here: int, hidden: int, trash: str, until: float) -> bool:
    """Take a thing out of its place, or what is left there; False when it is not there.

    Stays, OSError: all is where it was, as far as can be. Late.
    """
    half = wish["id"] + HALF
    parts = []  # type: list[tuple[int, str, str]]
    try:
        parts = PARTS[wish["kind"]](wish, here, hidden)
        if not parts and not is_there(hidden, half):
            return False
        if not wish["may"]:
            raise Stays("a run uses it now")
        in_time(until)
        take(wish, parts, hidden, half)
        os.rename(half, trash, src_dir_fd=hidden, dst_dir_fd=hidden)
    except (OSError, Refusal, Stays) as error:
        if not put_back(wish, here, hidden, half):
            why = "%s; what was moved is in %s/%s" % (words_of(error), HIDDEN, half)
            raise Stays(why) from error
        raise
    finally:
        for above in {above for above, _, _ in parts} - {here, hidden}:
            os.close(above)
    return True


def take(wish: "Row", parts: "list[tuple[int, str, str]]", hidden: int, half: str) -> None:
    """Move all parts of a thing that are in their places."""
    with suppress(FileExistsError):
        os.mkdir(half, 0o700, dir_fd=hidden)
    there = enter(hidden, half)
    try:
        for above, name, new in parts:
            with suppress(FileNotFoundError):
                os.rename(name, new, src_dir_fd=above, dst_dir_fd=there)
        if wish["kind"] == "commit":
            forget(wish, there)
    finally:
        os.close(there)


def put_back(wish: "Row", here: int, hidden: int, half: str) -> bool:
    """Bring what was moved back, where nothing has come since; False when some of it is left."""
    try:
        there = enter(hidden, half)
    except FileNotFoundError:
        return True
    try:
        for name in os.listdir(there):
            with suppress(OSError, Refusal):
                put_one_back(wish, name, there, (here, hidden))
    finally:
        os.close(there)
    with suppress(OSError):
        os.rmdir(half, dir_fd=hidden)
    return not is_there(hidden, half)


def put_one_back(wish: "Row", name: str, there: int, places: "tuple[int, int]") -> None:
    """Bring one part back to where it was."""
    here, hidden = places
    above, old = os.dup(here), name
    try:
        if name == IT and wish["kind"] != "run":
            old = entry_of(wish["kind"], name_of(wish["name"]))
        elif name == ITS_OUTPUTS:
            os.close(above)
            above, old = enter(here, OUTPUTS), wish["run"]
        elif name == ITS_NOTES:
            os.close(above)
            above, old = os.dup(hidden), wish["run"]
        if not is_there(above, old):
            os.rename(name, old, src_dir_fd=there, dst_dir_fd=above)
    finally:
        os.close(above)


def forget(wish: "Row", there: int) -> None:
    """Take the mark of a commit's directory away, unless it is made anew. Stays: it is another."""
    with suppress(FileNotFoundError):
        if mark_of(os.stat(IT, dir_fd=there, follow_symlinks=False)) != wish["mark"]:
            raise Stays(CHANGED)
    where = Where({"root": wish["root"], "name": name_of(wish["name"]), "archive": ""})
    if read_mark(where) is None:  # which drops one that counts no more
        with suppress(OSError):
            os.unlink(where.log)


def commit(wish: "Row", here: int, _hidden: int) -> "list[tuple[int, str, str]]":
    """A directory of a commit: what is marked by the age of its mark, as another server sees it."""
    name = name_of(wish["name"])
    if not COMMIT.match(name):
        raise Stays("its name is not that of a commit's directory")
    found = same(here, name, wish["mark"])
    if found is None:
        return []
    if not stat.S_ISDIR(found.st_mode):
        raise Stays(CHANGED)
    where = Where({"root": wish["root"], "name": name, "archive": ""})
    known = read_mark(where)
    if known is not None and known["placed"] != "ready":
        raise Stays("it is being made")
    newest = found.st_mtime
    if known is not None:
        newest = max(newest, os.stat(where.mark).st_mtime)
    untouched(time_in(where.hidden) - newest, wish["idle"])
    return [(here, name, IT)]


def leftover(wish: "Row", here: int, hidden: int) -> "list[tuple[int, str, str]]":
    """What an interruption left, or an archive, that nobody has touched lately."""
    name = entry_of("leftover", name_of(wish["name"]))
    if not LEFT.match(name):
        raise Stays("its name is not that of a leftover")
    found = same(here, name, wish["mark"])
    if found is None:
        return []
    untouched(now_in(hidden) - found.st_mtime, wish["idle"])
    return [(here, name, IT)]


def run(wish: "Row", here: int, hidden: int) -> "list[tuple[int, str, str]]":
    """A run's logs and outputs; its notes, too, when no job can come late and miss its claim."""
    run_id = wish["run"]
    if not RUN.match(run_id):
        raise Stays("its name is not that of a run")
    now = now_in(hidden)
    parts = [(here, name, name) for name in logs_of(here, run_id)]
    newest = [os.stat(name, dir_fd=here, follow_symlinks=False).st_mtime for _, name, _ in parts]
    with suppress(FileNotFoundError):
        outputs = enter(here, OUTPUTS)
        found = same(outputs, run_id, wish["mark"])
        if found is None:
            os.close(outputs)
        elif not stat.S_ISDIR(found.st_mode):
            os.close(outputs)
            raise Stays(CHANGED)
        else:
            parts.append((outputs, run_id, ITS_OUTPUTS))
            newest.append(found.st_mtime)
    with suppress(FileNotFoundError):
        notes = os.stat(run_id, dir_fd=hidden, follow_symlinks=False)
        newest.append(notes.st_mtime)
        quiet = wish["job"] if wish["idle"] else QUIET
        if now - max(newest) < quiet and has_open_claims(hidden, run_id):
            raise Stays("a job of it has begun and not said that it ended")
        if now - notes.st_mtime > LATE:
            parts.append((hidden, run_id, ITS_NOTES))
    untouched(now - max(newest, default=0.0), wish["idle"])
    return parts


PARTS = {"commit": commit, "leftover": leftover, "run": run}


def now_in(hidden: int) -> float:
    """The time by the clock of the file system, which may be another machine's."""
    clock = ".clock-%d" % os.getpid()
    made = os.open(clock, os.O_CREAT | os.O_NOFOLLOW | os.O_WRONLY, 0o600, dir_fd=hidden)
    try:
        os.utime(made)
        return os.fstat(made).st_mtime
    finally:
        os.close(made)
        os.unlink(clock, dir_fd=hidden)


def same(above: int, name: str, mark: str) -> "os.stat_result | None":
    """What stands there, if it is what was scanned; None: nothing. Stays."""
    try:
        found = os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if mark_of(found) != mark:
        raise Stays(CHANGED)
    return found


def untouched(age: float, idle: float) -> None:
    """Go on with what nobody has used lately. Stays."""
    if age < idle:
        raise Stays("it was used lately, perhaps by another server")
