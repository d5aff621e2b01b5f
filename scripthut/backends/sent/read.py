"""On the login node: whole files by their paths, as their owner would read them."""

# For older Pythons:
# ruff: noqa: UP031

import os
import stat

from scripthut.backends.sent.files import Refusal, pack, settled, take, words_of

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Callable
    from typing import Any

TOGETHER = 40 * 1024 * 1024  # bytes; what is beyond comes with the next request


def read(wanted: "list[list[Any]]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Say what files hold, or why one cannot be read. Links are followed: it is the user's own."""
    left = TOGETHER
    for key, path, most in wanted:
        try:
            # A pipe without a writer must not be waited for.
            opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            say({"unreadable": key, "why": words_of(error), "missing": missing})
            continue
        try:
            data = whole(opened, most)
        except (OSError, Refusal) as error:
            say({"unreadable": key, "why": words_of(error), "missing": False})
            continue
        finally:
            os.close(opened)
        left -= len(data)
        if left < 0 and left + len(data) < TOGETHER:
            return
        say({"document": key, "data": pack(data)})


def whole(opened: int, most: int) -> bytes:
    """All of a file; Refusal for what is not taken."""
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        raise Refusal("it is not a file")
    found = settled(opened)
    if found.st_size > most:
        raise Refusal("it is larger than %d MiB" % (most // 1024**2))
    data = take(opened, found.st_size)
    if len(data) != found.st_size or os.fstat(opened).st_mtime_ns != found.st_mtime_ns:
        raise Refusal("it changed while it was read")
    return data
