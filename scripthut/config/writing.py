"""A configuration's file written anew: whole or not at all, its mode and its owner kept."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from scripthut.core.errors import Conflict, Invalid, Missing, Refused

FORMER = ".before"  # ends the name of the copy of what was there


def read_text(file: Path) -> str:
    """The text of a file. Invalid when it cannot be read, Missing when it is not there."""
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise Missing(str(file)) from error
    except OSError as error:
        raise Invalid(str(file), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Invalid(str(file), [f"is not UTF-8 text: {error.reason}"]) from error


def digest(text: str) -> str:
    """What tells one text from another."""
    return sha256(text.encode("utf-8")).hexdigest()


def why_not(file: Path) -> str | None:
    """Why a file cannot be written anew, in the end of a sentence; None: it seems that it can.

    A file is replaced, so that its directory counts too; a link is followed.
    """
    there = file.resolve()
    if not there.is_file():
        return "is no file"
    if not os.access(there, os.W_OK):
        return "is not writable by the server's user"
    if not os.access(there.parent, os.W_OK | os.X_OK):
        return f"stands in {there.parent}, where the server's user may make no file"
    if os.geteuid() not in (0, there.stat().st_uid):
        return "belongs to another user than the server's, which a new file would not"
    return None


def replace_text(file: Path, text: str, expected: str) -> None:
    """Write a text over the one whose digest is `expected`, which is kept beside it.

    Conflict when another one stands there by now: two editors at once, or a hand and a page.
    """
    if (why := why_not(file)) is not None:
        raise Refused(f"{file} {why}.")
    there = file.resolve()
    with _locked(there):
        former = read_text(there)
        if digest(former) != expected:
            raise Conflict(
                f"{file} was changed by somebody else meanwhile. Nothing was written: open it "
                "again in another window, and bring over what you changed."
            )
        try:
            put(there.with_name(there.name + FORMER), former, there)
            put(there, text, there)
        except OSError as error:
            raise Refused(
                f"{file} cannot be written: {error.strerror}. It is as it was."
            ) from error


def put(file: Path, text: str, like: Path) -> None:
    """Write a file whole, or leave what was there; with the mode and the owner of another one."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    known = like.stat() if like.exists() else None
    with suppress(FileNotFoundError):
        part.unlink()
    opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it may hold secrets
    try:
        with os.fdopen(opened, "wb") as written:
            written.write(text.encode("utf-8"))
            if known is not None:
                here = os.fstat(written.fileno())
                if (here.st_uid, here.st_gid) != (known.st_uid, known.st_gid):
                    os.fchown(written.fileno(), known.st_uid, known.st_gid)
                os.fchmod(written.fileno(), known.st_mode & 0o7777)
            written.flush()
            os.fsync(written.fileno())
        part.replace(file)
    finally:
        with suppress(FileNotFoundError):  # it has become the file
            part.unlink()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a file against other writers of ours. Who waited finds another one in its place.

    Refused where it cannot be held: not every file system has locks.
    """
    with ExitStack() as stack:
        try:
            held = stack.enter_context(file.open("rb"))
            fcntl.flock(held, fcntl.LOCK_EX)
        except OSError as error:
            raise Refused(
                f"{file} cannot be held against others who write it: {error.strerror}. It is as "
                "it was: edit it on the server."
            ) from error
        yield
