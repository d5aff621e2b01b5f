"""On the login node: make a directory that holds a commit, whole or not at all.

The archive comes in pieces. Then a process of its own unpacks it beside its place, renames it, and
runs what the configuration wants run there; a mark is written last. Without the mark a directory
is never used. The mark's file is also the lock: it is made exclusively, and touched while its
maker lives, so that of two that come at once, or after a crash, one makes it.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time
from contextlib import suppress

from scripthut.backends.sent.apart import DEAD, apart, live, says, sign, time_in

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Callable
    from typing import Any

POSTCLONE_SECONDS = 3600.0
KEEP = 14 * 24 * 3600.0  # seconds that an unused archive stays
TELLS = 800  # bytes of a log in a message
PIECE = 1024 * 1024


def place(wish: "dict[str, Any] | None", say: "Callable[[dict[str, Any]], None]") -> None:
    """Bring a directory one step further, and say how far it is."""
    if wish is None:
        return
    where = Where(wish)
    try:
        record = step(where, wish)
    except OSError as error:
        record = {"placed": "failed", "why": "%s: %s" % (error.filename, error.strerror)}
    record["path"] = where.final
    say(record)


class Where:
    """The paths that belong to one directory."""

    def __init__(self, wish: "dict[str, Any]") -> None:
        self.root = os.path.expanduser(wish["root"])
        self.final = os.path.join(self.root, wish["name"])
        self.hidden = os.path.join(self.root, ".scripthut")
        base = os.path.join(self.hidden, wish["name"])
        self.mark, self.log, self.script = base + ".state", base + ".log", base + ".sh"
        self.archive = os.path.join(self.hidden, "%s.tar.gz" % wish["archive"])
        self.part = os.path.join(self.hidden, "%s.part" % wish["archive"])
        self.own = "%s %d %r" % (os.uname()[1], os.getpid(), time.monotonic())  # says who makes it


def step(where: Where, wish: "dict[str, Any]") -> "dict[str, Any]":
    """Look what is there; take a piece; start the maker when all pieces are there."""
    os.makedirs(where.root, exist_ok=True)
    if not os.path.isdir(where.hidden):
        with suppress(FileExistsError):
            os.mkdir(where.hidden, 0o700)
    known = read_mark(where)
    if known is not None:
        if known["placed"] == "ready":
            with suppress(OSError):
                os.utime(where.mark)  # it is in use: drop.py leaves it
        return known
    if wish["archive"] is None:
        return {"placed": "wanted", "offset": 0}
    if not os.path.exists(where.archive):
        have = take(where, wish)
        if have < wish["size"] or not is_whole(where, wish["archive"]):
            return {"placed": "wanted", "offset": have if have < wish["size"] else 0}
    if not begin(where):
        return {"placed": "working", "why": "another server prepares it"}
    apart(lambda: work(where, wish), where.log)
    return {"placed": "working", "why": None}


def read_mark(where: Where) -> "dict[str, Any] | None":
    """What the mark says; None when there is none that counts."""
    try:
        with open(where.mark, encoding="utf-8") as file:
            text = file.read()
        age = time_in(where.hidden) - os.stat(where.mark).st_mtime
    except FileNotFoundError:
        return None
    known = json.loads(text) if text.startswith("{") else {}
    if known.get("is") == "ready" and os.path.isdir(where.final):
        return {"placed": "ready"}
    if known.get("is") == "failed":
        drop_mark(where)  # said once; whoever asks again wants it tried again
        return {"placed": "failed", "why": known["why"]}
    if not known and age < DEAD:
        return {"placed": "working", "why": last_line(where.log)}
    drop_mark(where)
    return None


def drop_mark(where: Where) -> None:
    """Take a mark away; of two that try, one does."""
    away = "%s.%d" % (where.mark, os.getpid())
    with suppress(FileNotFoundError):
        os.rename(where.mark, away)
        os.unlink(away)


def take(where: Where, wish: "dict[str, Any]") -> int:
    """Add a piece of the archive when it is the next one; how many bytes are there."""
    data = base64.b64decode(wish["data"])
    with open(where.part, "ab") as file:
        have = file.tell()
        if data and have == wish["offset"]:
            file.write(data)
            have += len(data)
    return have


def is_whole(where: Where, sha256: str) -> bool:
    """Whether all pieces make the archive; if they do not, none is kept.

    Another server may bring the same commit: what it found first counts.
    """
    digest = hashlib.sha256()
    try:
        with open(where.part, "rb") as file:
            piece = file.read(PIECE)
            while piece:
                digest.update(piece)
                piece = file.read(PIECE)
        if digest.hexdigest() == sha256:
            os.rename(where.part, where.archive)
            return True
        os.unlink(where.part)
    except FileNotFoundError:
        return os.path.exists(where.archive)
    return False


def begin(where: Where) -> bool:
    """Become the maker; False when there is one."""
    return sign(where.mark, where.own)


def is_maker(where: Where) -> bool:
    """Whether this is still the maker: one that slept for long was taken for dead."""
    return says(where.mark, where.own)


def work(where: Where, wish: "dict[str, Any]") -> None:
    """Make the directory, and say how it ended."""
    try:
        why = make(where, wish)
    except (OSError, tarfile.TarError, EOFError) as error:
        why = "The repository cannot be unpacked: %s." % error
    end(where, wish, why)


def make(where: Where, wish: "dict[str, Any]") -> "str | None":
    """Unpack, rename, run what is to be run; why it failed, None when it is whole."""
    live(where.mark, where.own)
    new = "%s.%d.new" % (os.path.join(where.hidden, wish["name"]), os.getpid())
    os.mkdir(new, 0o755)
    with tarfile.open(where.archive, "r:gz") as tar:
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extractall(new, filter="fully_trusted")  # noqa: S202 (the server packed it)
        else:
            tar.extractall(new)  # noqa: S202
    if not is_maker(where):  # what another one made since may be in use
        shutil.rmtree(new, ignore_errors=True)
        return None
    clear(where)  # of one that was never marked as whole
    os.rename(new, where.final)
    return postclone(where, wish["postclone"]) if wish["postclone"] else None


def clear(where: Where) -> None:
    """Take away a directory that is not to be used, all at once as others see it."""
    old = "%s.%d.old" % (where.mark, os.getpid())
    with suppress(FileNotFoundError):
        os.rename(where.final, old)
        shutil.rmtree(old, ignore_errors=True)


def postclone(where: Where, text: str) -> "str | None":
    """Run bash in the new directory; why it failed, None when it did not."""
    with open(where.script, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    try:
        process = subprocess.Popen(
            ["bash", where.script], cwd=where.final, stdin=subprocess.DEVNULL
        )
        code = process.wait(POSTCLONE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return "postclone did not end within an hour. %s" % tail(where.log)
    except OSError as error:
        return "postclone cannot be started: %s." % error
    finally:
        os.unlink(where.script)
    return "postclone ended with exit code %d: %s" % (code, tail(where.log)) if code else None


def end(where: Where, wish: "dict[str, Any]", why: "str | None") -> None:
    """Write the mark, which makes the directory one that is used; or leave nothing of it."""
    if not is_maker(where):
        return
    if why is not None:
        clear(where)
    record = {"is": "ready"} if why is None else {"is": "failed", "why": why}
    new = "%s.%d" % (where.mark, os.getpid())
    with open(new, "w", encoding="utf-8") as file:
        file.write(json.dumps(record))
    os.rename(new, where.mark)
    with suppress(OSError):
        if wish["keep"]:
            os.utime(where.archive)
        else:
            os.unlink(where.archive)
    forget_old(where)


def forget_old(where: Where) -> None:
    """Delete archives and pieces that nobody has asked for in a while."""
    limit = time_in(where.hidden) - KEEP
    for name in os.listdir(where.hidden):
        path = os.path.join(where.hidden, name)
        if name.endswith((".tar.gz", ".part")):
            with suppress(OSError):
                if os.stat(path).st_mtime < limit:
                    os.unlink(path)


def last_line(path: str) -> "str | None":
    """The last line of a log, for people who wait; None when there is none."""
    lines = tail(path).split("\n")
    return lines[-1] if lines[-1] else None


def tail(path: str) -> str:
    """The end of a log."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TELLS))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
