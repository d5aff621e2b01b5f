"""Bytes that the engine fetched and the web serves: files by their hash, logs by their offset."""

import errno
import os
import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

from scripthut.core.errors import HutError
from scripthut.core.jobs import Chunk, Token

LOG_BYTES = 1024 * 1024
"""As much of a log's end is kept; when it grows beyond, a quarter goes at once."""

_NAME = re.compile(r"[0-9a-f]{64}")
_LOG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(output|error)")
_START = struct.Struct(">Q")  # the first bytes of a log: where in the log the rest begins
_SWEEPING = Lock()  # between the look at a file's age and its removal nobody puts it anew
_FULL = (errno.ENOSPC, errno.EDQUOT)


class NoRoom(HutError):
    """Nothing can be kept now: the disk is full, or cannot be written."""


class Kept:
    """A directory of kept bytes, written by the engine alone and read by every process.

    A file is whole or not there. Names are 64 hexadecimal digits; anything else is a ValueError.
    """

    def __init__(self, directory: Path) -> None:
        """Makes nothing; the directory appears with the first file."""
        self.directory = directory

    def put(self, data: bytes) -> str:
        """Keep bytes under their SHA-256, which is the answer. NoRoom when the disk is full."""
        sha = sha256(data).hexdigest()
        self.put_as(sha, data)
        return sha

    def put_as(self, name: str, data: bytes) -> None:
        """Keep bytes under a name that says how they were made, as put() would."""
        path = self.path(name)
        with room(self.directory), _SWEEPING:
            if self._size(path) != len(data):
                self._write(path, data)
            else:
                os.utime(path)  # somebody refers to it anew: no sweep takes it meanwhile

    def has(self, name: str) -> bool:
        """Whether anything is kept under the name."""
        return self.path(name).is_file()

    def size(self, name: str) -> int | None:
        """How many bytes are kept under the name; None when there is nothing."""
        return self._size(self.path(name))

    def sweep(self, is_wanted: Callable[[str], bool], before: float) -> int:
        """Remove bytes that nobody wants and that were put before a time; how many files.

        `before` in seconds since 1970: what is younger may be referred to in a moment.
        """
        removed = 0
        for path in sorted((self.directory / "files").glob("??/*")):
            name = path.parent.name + path.name
            is_left = path.name.startswith(".new-")  # of a server that was killed
            if not is_left and (not _NAME.fullmatch(name) or is_wanted(name)):
                continue
            with _SWEEPING, suppress(FileNotFoundError):  # one that was written has its name now
                if path.stat().st_mtime < before:
                    path.unlink()
                    removed += 1
        return removed

    def logs(self) -> dict[str, list[Path]]:
        """The files of kept logs, by the token they are of."""
        found: dict[str, list[Path]] = {}
        for path in sorted((self.directory / "logs").glob("*/*")):
            if _LOG.fullmatch(path.name):
                found.setdefault(path.name.rpartition(".")[0], []).append(path)
        return found

    def path(self, name: str) -> Path:
        """Where the bytes of that name are, or would be."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of kept bytes")
        return self.directory / "files" / name[:2] / name[2:]

    def read(self, name: str, start: int = 0, limit: int = -1) -> bytes:
        """At most `limit` bytes from `start` (-1: all). FileNotFoundError when not kept."""
        with self.path(name).open("rb") as file:
            file.seek(start)
            return file.read(limit)

    def append_log(self, token: Token, stream: str, start: int, data: bytes) -> tuple[int, int]:
        """Keep a piece of a log that stands at byte `start`; answers what is kept: (start, end).

        A piece may repeat what is kept. One that does not join it takes its place: the log was
        begun anew, or is followed from a later point.
        """
        path = self._log(token, stream)
        with room(self.directory):
            begin, end = self._span(path)
            joins = path.exists() and begin <= start <= end
            if joins and start + len(data) - begin <= LOG_BYTES:
                self._extend(path, start - begin, data)
                return begin, start + len(data)
            before = self.read_log(token, stream, begin, start - begin).data if joins else b""
            whole = before + data
            if len(whole) > LOG_BYTES:
                whole = whole[-(LOG_BYTES * 3 // 4) :]
            begin = start + len(data) - len(whole)
            self._write(path, _START.pack(begin) + whole)
            return begin, begin + len(whole)

    def read_log(self, token: Token, stream: str, start: int = 0, limit: int = LOG_BYTES) -> Chunk:
        """A piece of the kept part of a log; its `size` is where the kept part ends.

        `start` below 0 counts from that end. What is no longer kept is left out, so the piece may
        begin later than asked; nothing kept is an empty piece of size 0.
        """
        try:
            with self._log(token, stream).open("rb") as file:
                (begin,) = _START.unpack(file.read(_START.size))
                end = begin + os.fstat(file.fileno()).st_size - _START.size
                first = min(max(end + start if start < 0 else start, begin), end)
                file.seek(_START.size + first - begin)
                return Chunk(first, file.read(limit), end)
        except FileNotFoundError:
            return Chunk(0, b"", 0)

    def _span(self, path: Path) -> tuple[int, int]:
        try:
            with path.open("rb") as file:
                (begin,) = _START.unpack(file.read(_START.size))
                return begin, begin + os.fstat(file.fileno()).st_size - _START.size
        except FileNotFoundError:
            return 0, 0

    def _log(self, token: Token, stream: str) -> Path:
        name = f"{token}.{stream}"
        if not _LOG.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a log")
        return self.directory / "logs" / token.partition(".")[0] / name

    def _size(self, path: Path) -> int | None:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None

    def _extend(self, path: Path, at: int, data: bytes) -> None:
        with path.open("r+b") as file:
            file.seek(_START.size + at)
            file.write(data)
            file.truncate()

    def _write(self, path: Path, data: bytes) -> None:
        make_folder(path.parent, self.directory)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        sync_folder(path.parent)


def make_folder(folder: Path, top: Path) -> None:
    """Make a folder and those above it up to the top, for nobody else to look into."""
    if folder.is_dir():
        return
    if folder != top:
        make_folder(folder.parent, top)
    folder.mkdir(mode=0o700, exist_ok=True, parents=folder == top)


def sync_folder(directory: Path) -> None:
    """Make a rename last: a row that names the file must not outlive it."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def room(directory: Path) -> Iterator[None]:
    """Errors of the disk inside become NoRoom, with a sentence for the person."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoom(
                f"The disk that holds {directory} is full: outputs and logs are not collected "
                "until there is room again. Delete what is not needed, or set settings.data_dir "
                "to a larger disk."
            ) from error
        raise NoRoom(
            f"{directory} cannot be written ({error.strerror}): outputs and logs are not "
            "collected until it can be. Check its owner, its mode and its disk."
        ) from error
