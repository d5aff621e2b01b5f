"""On the login node: directories of commits that nobody needs any more go, each all at once.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone.
"""

import os
import shutil
from contextlib import suppress
from functools import partial

from scripthut.backends.sent.apart import apart, time_in
from scripthut.backends.sent.place import Where, drop_mark, read_mark

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Callable
    from typing import Any

GONE = ".gone"  # ends the name of what is being deleted


def drops(request: "dict[str, Any]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Let directories go; says of each, by its place, whether it went, or why it stays."""
    hidden = set()
    for n, wish in enumerate(request.get("drops", [])):
        where = Where(dict(wish, archive=wish.get("archive", "")))
        try:
            why = drop(where, wish["idle"])
        except OSError as error:
            why = "%s: %s" % (error.filename, error.strerror)
        say({"dropped": n, "why": why})
        hidden.add(where.hidden)
    for place in hidden:
        apart(partial(delete, place))


def hold(wishes: "list[dict[str, Any]]") -> None:
    """Touch the marks of what something works in, so that no server lets it go."""
    for wish in wishes:
        with suppress(OSError):
            if "notes" in wish:
                os.utime(wish["notes"], follow_symlinks=False)
            else:
                os.utime(Where(dict(wish, archive=wish.get("archive", ""))).mark)


def drop(where: Where, idle: float) -> "str | None":
    """Take one directory away; why it stays, None when it went.

    Another server may use it: whoever asks for a directory, or works in it, touches its mark, and
    one whose mark was touched less than `idle` seconds ago stays.
    """
    if read_mark(where) != {"placed": "ready"}:
        return None  # it is not there, or another server makes it anew
    if time_in(where.hidden) - os.stat(where.mark).st_mtime < idle:
        return "another server uses it, or has lately"
    # First out of sight, then its mark: without it nobody takes the directory for whole.
    os.rename(where.final, "%s.%d%s" % (where.mark, os.getpid(), GONE))
    drop_mark(where)
    with suppress(OSError):
        os.unlink(where.log)
    return None


def delete(hidden: str) -> None:
    """Delete what is out of sight."""
    for name in os.listdir(hidden):
        if name.endswith((GONE, ".old")):
            shutil.rmtree(os.path.join(hidden, name), ignore_errors=True)
