"""Reading on the login node without following anything a task could have put in the way.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone.
"""

import base64
import errno
import os
import stat
import time

LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
TICK = 0.02  # seconds; longer than any file system's
KINDS = (
    (stat.S_ISLNK, "is a symbolic link: not followed"),
    (stat.S_ISFIFO, "is a named pipe: never opened"),
    (stat.S_ISSOCK, "is a socket: never opened"),
    (stat.S_ISCHR, "is a device: never opened"),
    (stat.S_ISBLK, "is a device: never opened"),
)


class Refusal(Exception):
    """Something that is not read; the text says why, as the end of a sentence."""


def descend(base: str, names: "list[str]") -> int:
    """Open a directory below a trusted one; Refusal for a link on the way."""
    here = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        above = here
        try:
            here = enter(above, name)
        finally:
            os.close(above)
    return here


def enter(above: int, name: "str | bytes") -> int:
    """Open one directory in another."""
    try:
        return os.open(name, LOOK | os.O_DIRECTORY, dir_fd=above)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            found = os.stat(name, dir_fd=above, follow_symlinks=False)
            raise Refusal(kind(found) or "is not a directory") from error
        raise


def kind(found: os.stat_result) -> "str | None":
    """Why something is never opened; None for files and directories."""
    for test, words in KINDS:
        if test(found.st_mode):
            return words
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1 and found.st_uid != os.geteuid():
        return "is a hard link to a file of another user: not read"
    return None


def open_file(above: "int | None", name: "str | bytes") -> int:
    """Open a regular file; what was looked at must be what was opened."""
    seen = os.stat(name, dir_fd=above, follow_symlinks=False)
    why = kind(seen) or (None if stat.S_ISREG(seen.st_mode) else "is not a file")
    if why:
        raise Refusal(why)
    opened = os.open(name, LOOK, dir_fd=above)
    found = os.fstat(opened)
    same = (found.st_dev, found.st_ino) == (seen.st_dev, seen.st_ino)
    if not same or not stat.S_ISREG(found.st_mode) or kind(found):
        os.close(opened)
        raise Refusal("was exchanged while it was opened")
    return opened


def read_whole(above: int, name: "str | bytes", most: int) -> "tuple[bytes, os.stat_result]":
    """A file's bytes and the state that belongs to them; Refusal when it changed meanwhile.

    A file that only grew is whole as it was when it was opened.
    """
    opened = open_file(above, name)
    try:
        before = settled(opened)
        if before.st_size > most:
            raise Refusal("is too large")
        data = take(opened, before.st_size)
        after = os.fstat(opened)
    finally:
        os.close(opened)
    grew = after.st_size > before.st_size
    same = after.st_size == before.st_size and after.st_mtime_ns == before.st_mtime_ns
    if len(data) != before.st_size or not (same or grew):
        raise Refusal("changed while it was read")
    return data, before


def settled(opened: int) -> os.stat_result:
    """A file's state, once a change would show in it: its time of change is counted in ticks."""
    for _ in range(3):
        found = os.fstat(opened)
        if not is_fresh(found):
            return found
        time.sleep(TICK)
    raise Refusal("is being written")


def is_fresh(found: os.stat_result) -> bool:
    """Whether a file was written so lately that another change would not show in its time."""
    return abs(time.time() - found.st_mtime) <= TICK


def take(opened: int, count: int) -> bytes:
    """Up to `count` bytes from where the file stands."""
    parts = []
    while count > 0:
        part = os.read(opened, min(count, 1024 * 1024))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def words_of(error: Exception) -> str:
    """An error as the end of a sentence."""
    return str(getattr(error, "strerror", None) or error)


def pack(data: bytes) -> str:
    """Bytes as text that no wire changes."""
    return base64.b64encode(data).decode("ascii")


def unpack(text: str) -> bytes:
    """What pack was given."""
    return base64.b64decode(text)
