"""Reading, on the login node, what tasks wrote: whole files, pieces of them, and logs.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone.
"""
# For older Pythons, and with file descriptors instead of paths:
# ruff: noqa: UP035

import errno
import os

from scripthut.backends.sent.files import (
    Refusal,
    descend,
    is_fresh,
    open_file,
    pack,
    read_whole,
    take,
    unpack,
    words_of,
)

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from typing import Any, Callable

CHUNK = 256 * 1024  # of one log
CHUNKS = 4 * 1024 * 1024  # of all logs
TAIL = 64 * 1024
FETCHED = 40 * 1024 * 1024  # of all files of one request
PIECES = 16 * 1024 * 1024  # of all pieces of files of one request


def why_not(error: Exception) -> "str | None":
    """Why a directory was not read; None when it does not exist, which is no problem."""
    if getattr(error, "errno", None) == errno.ENOENT:
        return None
    return str(error) if isinstance(error, Refusal) else "cannot be read: " + words_of(error)


def read_below(
    base: str, place: "list[str]", path: bytes, most: int
) -> "tuple[bytes, os.stat_result]":
    """A file below a trusted directory; `path` may go through directories."""
    here, name = directory_below(base, place, path)
    try:
        return read_whole(here, name, most)
    finally:
        os.close(here)


def open_below(base: str, place: "list[str]", path: bytes) -> int:
    """Open a file below a trusted directory, for reading a part of it."""
    here, name = directory_below(base, place, path)
    try:
        return open_file(here, name)
    finally:
        os.close(here)


def directory_below(base: str, place: "list[str]", path: bytes) -> "tuple[int, bytes]":
    """The directory in which a file is, opened, and the file's name in it."""
    parts = path.split(b"/")
    if not all(parts) or b".." in parts or b"." in parts:
        raise Refusal("is not a path that a listing gives")
    return descend(base, place + [os.fsdecode(part) for part in parts[:-1]]), parts[-1]


def fetch(files: "list[dict[str, Any]]", say: "Callable[[dict[str, Any]], None]") -> None:
    """The contents of files; one that cannot be had, or changes meanwhile, is left out."""
    left = FETCHED
    for at, file in enumerate(files):
        most = min(left, file["most"])
        try:
            data, found = read_below(file["base"], file["place"], unpack(file["path"]), most)
        except (OSError, Refusal) as error:
            say({"left": at, "why": words_of(error)})
            continue
        left -= len(data)
        say({"file": at, "size": found.st_size, "mtime": found.st_mtime_ns, "data": pack(data)})


def pieces(asked: "list[dict[str, Any]]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Pieces of files, each with the file's size and time; those beyond the bound are left out."""
    left = PIECES
    for at, piece in enumerate(asked):
        if piece["length"] > left:
            continue
        try:
            data, found, still = piece_below(piece)
        except (OSError, Refusal) as error:
            say({"piece": at, "why": gone(error) or why_not(error)})
            continue
        left -= len(data)
        state = {"size": found.st_size, "mtime": found.st_mtime_ns, "still": still}
        say(dict(state, piece=at, data=pack(data)))


def piece_below(piece: "dict[str, Any]") -> "tuple[bytes, os.stat_result, bool]":
    """Some bytes of a file, its state, and whether it stood still meanwhile."""
    opened = open_below(piece["base"], piece["place"], unpack(piece["path"]))
    try:
        before = os.fstat(opened)
        os.lseek(opened, piece["start"], os.SEEK_SET)
        data = take(opened, max(0, min(piece["length"], before.st_size - piece["start"])))
        after = os.fstat(opened)
    finally:
        os.close(opened)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return data, before, same and not is_fresh(after)


def gone(error: Exception) -> "str | None":
    """That a file is not there any more; None for another error."""
    return "is not there any more" if getattr(error, "errno", None) == errno.ENOENT else None


def logs(asked: "list[list[Any]]", say: "Callable[[dict[str, Any]], None]") -> None:
    """Pieces of logs: from an offset, or, where it is -1, the last part.

    One that does not fit is left out, and said to be: a piece of it could pass for the whole.
    """
    left = CHUNKS
    later = set()  # type: set[str]
    for token, stream, path, offset in asked:
        try:
            opened = open_file(None, path)
        except (OSError, Refusal):
            continue  # not there yet
        try:
            length = os.fstat(opened).st_size
            start = max(0, length - TAIL) if offset < 0 else min(offset, length)
            if offset > length:
                start = 0  # it was emptied: begin anew
            wanted = min(CHUNK, length - start)
            if wanted > left:
                later.add(token)
                continue
            os.lseek(opened, start, os.SEEK_SET)
            data = take(opened, wanted)
        except OSError:
            continue
        finally:
            os.close(opened)
        left -= len(data)
        record = {"log": token, "stream": stream, "start": start, "size": length}
        record["data"] = pack(data)
        say(record)
    if later:
        say({"later": sorted(later)})
