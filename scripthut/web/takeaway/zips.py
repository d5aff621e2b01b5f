"""A zip that is made while it is sent: nothing of it is ever held whole."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from scripthut.core.archive import MANIFEST, Entry, Left
from scripthut.core.files.previews import suffix
from scripthut.store.files.kept import Kept

PIECE = 256 * 1024  # bytes read at a time
_NAMES = "7z avif bz2 gif gz jpeg jpg mp3 mp4 npz pdf png webm webp xz zip"
SMALL_ALREADY = frozenset(_NAMES.split())
FIRST, LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)

List = Callable[[list[Entry], list[Left]], str]
"""The manifest, made of what was packed and of what could not be."""


class _Sink:
    """A file that cannot seek: what is written to it waits to be taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        """Nothing to close."""

    def take(self) -> bytes:
        """What was written since this was last asked."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def zipped(kept: Kept, entries: Iterable[Entry], list_of: List) -> Iterator[bytes]:
    """The pieces of a zip of kept files, with its manifest at the end.

    A file whose bytes went away meanwhile is left out, and the manifest says so.
    """
    sink = _Sink()
    packed: list[Entry] = []
    gone: list[Left] = []
    with ZipFile(sink, "w") as archive:
        for entry in entries:
            try:
                source = kept.path(entry.sha256).open("rb")
            except FileNotFoundError:
                gone.append(Left(entry.origin, entry.size, "is not on the server any more"))
                continue
            with source, archive.open(_info(entry), "w") as target:
                while piece := source.read(PIECE):
                    target.write(piece)
                    yield sink.take()
            packed.append(entry)
        archive.writestr(MANIFEST, list_of(packed, gone), ZIP_DEFLATED)
    yield sink.take()


def _info(entry: Entry) -> ZipInfo:
    """A member's head. What is compressed already is only stored."""
    seconds = min(max(entry.mtime_ns / 1e9, FIRST.timestamp()), LAST.timestamp())
    at = datetime.fromtimestamp(seconds, UTC)
    info = ZipInfo(entry.name, (at.year, at.month, at.day, at.hour, at.minute, at.second))
    info.compress_type = ZIP_STORED if suffix(entry.name) in SMALL_ALREADY else ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.file_size = entry.size
    return info
