"""On the login node: free the bytes of what is out of its place, a bounded step at a time.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone.
"""

import os
import stat
import time

from scripthut.backends.sent.files import Refusal, enter, words_of

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from typing import Any

    Row = dict[str, Any]

LEAST = 1000  # entries in one step: to list a directory of millions may take longer than the time


def free(hidden: int, trash: str, until: float) -> "Row":
    """Delete what is out of its place, until the time is up."""
    try:
        there = enter(hidden, trash)
    except FileNotFoundError:
        return {"way": "gone", "why": None}
    try:
        work = Freeing(there, until)
        work.is_done = time.monotonic() <= until  # else it is not begun in this step
        work.run()
    finally:
        os.close(there)
    if not work.is_done:
        return {"way": "going", "freed": work.freed, "why": None}
    why = work.problem
    try:
        os.rmdir(trash, dir_fd=hidden)
    except FileNotFoundError:
        why = None
    except OSError as error:
        why = why or words_of(error)
        why = "some of it cannot be deleted and is in %s: %s" % (trash, why)
    return {"way": "gone", "freed": work.freed, "why": why}


class Freeing:
    """Empties a directory, however deep: what is in it is brought to its top first."""

    def __init__(self, top: int, until: float) -> None:
        self.top, self.until = top, until
        self.freed = self.entries = 0
        self.problem = None  # type: str | None
        self.is_done = True

    def run(self) -> None:
        """Delete until nothing is left, or the time is up."""
        todo = os.listdir(self.top) if self.is_done else []
        while todo and self.is_done:
            if self.is_late():
                self.is_done = False
                return
            self.one(todo.pop(), todo)

    def is_late(self) -> bool:
        """Whether the time is up, and something was deleted in it."""
        self.entries += 1
        return self.entries > LEAST and time.monotonic() > self.until

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
            if self.is_late():
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
