"""NumPy's archives: the arrays in an .npz file, a bounded part of each."""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from scripthut.core.files.arrays import Array, NotArray, read

MEMBERS = 100  # arrays of one archive that are listed
DIRECTORY = 1024 * 1024  # bytes of the archive's own list
GLANCE = 4096  # bytes of each array that its line is made from
PIECE = 512 * 1024  # of the one that is shown
_END = b"PK\x05\x06"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others cannot be read in small pieces
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True)
class Member:
    """An array in an archive. `array` None: it is none that can be shown, `why` says so."""

    name: str
    array: Array | None
    why: str | None = None


def members(file: BinaryIO, size: int) -> tuple[list[Member], int]:
    """The arrays of an archive of `size` bytes, and how many there are beyond MEMBERS. NotArray."""
    archive, entries = _opened(file, size)
    found = []
    for entry in entries[:MEMBERS]:
        try:
            found.append(Member(_name(entry), read(_part(archive, entry, GLANCE))))
        except NotArray as error:
            found.append(Member(_name(entry), None, str(error)))
    return found, max(0, len(entries) - MEMBERS)


def member(file: BinaryIO, size: int, name: str) -> Array:
    """The array of that name, as far as a bounded part of it goes. LookupError, NotArray."""
    archive, entries = _opened(file, size)
    entry = next((entry for entry in entries if _name(entry) == name), None)
    if entry is None:
        raise LookupError(name)
    return read(_part(archive, entry, PIECE))


def _opened(file: BinaryIO, size: int) -> tuple[zipfile.ZipFile, Sequence[zipfile.ZipInfo]]:
    """The archive, whose list is looked at for its length before it is read."""
    file.seek(max(0, size - 66_000))
    tail = file.read(66_000)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        raise NotArray("is no archive that can be read")
    (length,) = struct.unpack_from("<I", tail, at + 12)
    if length > DIRECTORY:
        raise NotArray("is an archive of too many parts to be shown: download it")
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN:
        raise NotArray("is no archive that can be read") from None
    return archive, [entry for entry in archive.infolist() if not entry.is_dir()]


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    if entry.compress_type not in _METHODS or entry.flag_bits & 1:
        raise NotArray("is packed in a way that is not read here")
    try:
        with archive.open(entry) as part:
            return part.read(most)
    except _BROKEN:
        raise NotArray("cannot be unpacked") from None
