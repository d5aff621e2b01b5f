"""On the login node: delete what was ordered, a bounded step at a time.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone. What goes
is first moved, all at once, into a directory of its own beside it (`.scripthut/<order>.gone`): then
nobody finds half of it, and a step that was cut off goes on there. Nothing is opened by a link, and
what took the place of what was scanned stays.
"""

import os
import stat
import time
from contextlib import suppress

from scripthut.backends.node_drop import GONE
from scripthut.backends.node_files import Refusal, enter, words_of
from scripthut.backends.node_place import Where, drop_mark, now_there, read_mark
from scripthut.backends.node_things import (
    COMMIT,
    HIDDEN,
    LEFT,
    OUTPUTS,
    RUN,
    beside,
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
        except OSError as error:
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
            if not is_there(hidden, trash):
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


def move(wish: "Row", here: int, hidden: int, trash: str, until: float) -> bool:
    """Take a thing out of its place; False when it is not there. Stays, Late."""
    parts = PARTS[wish["kind"]](wish, here, hidden)
    if not parts:
        return False
    if not wish["may"]:
        raise Stays("a run uses it now")
    in_time(until)
    os.mkdir(trash, 0o700, dir_fd=hidden)
    there = enter(hidden, trash)
    try:
        for above, name, new in parts:
            with suppress(FileNotFoundError):
                os.rename(name, new, src_dir_fd=above, dst_dir_fd=there)
        if wish["kind"] == "commit":
            forget(wish, here, there)
    except Stays:
        os.rmdir(trash, dir_fd=hidden)
        raise
    finally:
        os.close(there)
        for above in {above for above, _, _ in parts} - {here, hidden}:
            os.close(above)
    return True


def forget(wish: "Row", here: int, there: int) -> None:
    """Take the mark of a commit's directory away; what was exchanged just now goes back."""
    name = name_of(wish["name"])
    found = os.stat("it", dir_fd=there, follow_symlinks=False)
    if mark_of(found) != wish["mark"]:
        os.rename("it", name, src_dir_fd=there, dst_dir_fd=here)
        raise Stays(CHANGED)
    where = Where({"root": wish["root"], "name": name, "archive": ""})
    drop_mark(where)
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
    untouched(now_there(where) - newest, wish["idle"])
    return [(here, name, "it")]


def leftover(wish: "Row", here: int, hidden: int) -> "list[tuple[int, str, str]]":
    """What an interruption left, or an archive, that nobody has touched lately."""
    name = name_of(wish["name"])
    if not LEFT.match(name) or "/" in name:
        raise Stays("its name is not that of a leftover")
    found = same(here, name, wish["mark"])
    if found is None:
        return []
    untouched(now_in(hidden) - found.st_mtime, wish["idle"])
    return [(here, name, "it")]


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
            parts.append((outputs, run_id, "outputs"))
            newest.append(found.st_mtime)
    with suppress(FileNotFoundError):
        notes = os.stat(run_id, dir_fd=hidden, follow_symlinks=False)
        newest.append(notes.st_mtime)
        if wish["idle"] and has_open_claims(hidden, run_id) and now - notes.st_mtime < wish["job"]:
            raise Stays("a job of it has begun and not said that it ended")
        if now - notes.st_mtime > LATE:
            parts.append((hidden, run_id, "notes"))
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


def free(hidden: int, trash: str, until: float) -> "Row":
    """Delete what is out of its place, until the time is up."""
    there = enter(hidden, trash)
    try:
        work = Freeing(there, until)
        work.run()
    finally:
        os.close(there)
    if not work.is_done:
        return {"way": "going", "freed": work.freed, "why": None}
    why = work.problem
    if why is None:
        os.rmdir(trash, dir_fd=hidden)
    else:
        why = "some of it cannot be deleted and is in %s: %s" % (trash, why)
    return {"way": "gone", "freed": work.freed, "why": why}


class Freeing:
    """Empties a directory, however deep: what is in it is brought to its top first."""

    def __init__(self, top: int, until: float) -> None:
        self.top, self.until = top, until
        self.freed = 0
        self.problem = None  # type: str | None
        self.is_done = True

    def run(self) -> None:
        """Delete until nothing is left, or the time is up."""
        todo = os.listdir(self.top)
        while todo and self.is_done:
            if time.monotonic() > self.until:
                self.is_done = False
                return
            self.one(todo.pop(), todo)

    def one(self, name: str, todo: "list[str]") -> None:
        """Delete an entry of the top; directories in it become entries of the top."""
        try:
            found = os.stat(name, dir_fd=self.top, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                self.unlink(self.top, name, found)
                return
            here = self.open(name)
            try:
                self.empty(here, todo)
            finally:
                os.close(here)
            if self.is_done:
                os.rmdir(name, dir_fd=self.top)
        except (OSError, Refusal) as error:
            self.problem = self.problem or words_of(error)

    def empty(self, here: int, todo: "list[str]") -> None:
        """Take everything out of a directory."""
        for name in os.listdir(here):
            if time.monotonic() > self.until:
                self.is_done = False
                return
            try:
                found = os.stat(name, dir_fd=here, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    new = "d%d-%d" % (found.st_dev, found.st_ino)
                    self.lift(here, name, new)
                    todo.append(new)
                else:
                    self.unlink(here, name, found)
            except OSError as error:
                self.problem = self.problem or words_of(error)

    def lift(self, here: int, name: str, new: str) -> None:
        """Bring a directory to the top; one that is closed to its owner is opened first."""
        try:
            os.rename(name, new, src_dir_fd=here, dst_dir_fd=self.top)
        except PermissionError:
            self.unlock(here, name)
            os.rename(name, new, src_dir_fd=here, dst_dir_fd=self.top)

    def unlink(self, here: int, name: str, found: os.stat_result) -> None:
        """Delete one name; bytes that another name holds are not freed."""
        os.unlink(name, dir_fd=here)
        if found.st_nlink <= 1:
            self.freed += found.st_blocks * 512

    def open(self, name: str) -> int:
        """Open a directory of the top so that everything can be taken out of it."""
        if os.stat(name, dir_fd=self.top, follow_symlinks=False).st_mode & 0o700 != 0o700:
            self.unlock(self.top, name)
        return enter(self.top, name)

    def unlock(self, above: int, name: str) -> None:
        """Let the owner into a directory, which is not reached by a link."""
        if not hasattr(os, "O_PATH"):
            return
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=above)
        try:
            os.chmod("/proc/self/fd/%d" % found, 0o700)
        finally:
            os.close(found)
