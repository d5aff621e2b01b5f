r"""NumPy's files: what an array is, and how it begins, read without NumPy and without running any.

The header of an .npy file is a Python literal; it is read by expressions, never evaluated. Arrays
of objects are pickles, which run code when they are read: they are named, and refused.
"""

import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

ROWS = 200  # that are shown
COLUMNS = 50
HEADER = 64 * 1024  # bytes of the longest header
FIELDS = 50
CELL = 200  # characters of a cell
MAGIC = b"\x93NUMPY"

_WORDS = re.compile(rb"'(descr|fortran_order|shape)'\s*:\s*")
_SHAPE = re.compile(rb"\(\s*((?:\d{1,18}L?\s*,\s*)*(?:\d{1,18}L?)?)\s*,?\s*\)")
_TYPE = re.compile(r"([<>|=]?)([biufcSUVOMm])(\d{0,9})(?:\[(\d*)(\w+)\])?")
_FIELD = re.compile(rb"\(\s*'([^'\\]{0,200})'\s*,\s*'([^'\\]{1,40})'\s*\)\s*,?\s*")
_CODES: Mapping[str, str] = MappingProxyType(
    {"b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I"}
    | {"u8": "Q", "f2": "e", "f4": "f", "f8": "d", "c8": "ff", "c16": "dd", "M8": "q", "m8": "q"}
)
_STEPS: Mapping[str, float] = MappingProxyType(
    {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "D": 86400, "W": 604800}
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_A_TIME = -(2**63)


class NotArray(ValueError):
    """Why these bytes cannot be shown as an array; the words follow "This file"."""


@dataclass(frozen=True)
class Array:
    """How an array begins. `rows` are its first ones, or those of its first plane."""

    dtype: str
    shape: Sequence[int]
    is_fortran: bool
    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    more_rows: int = 0
    more_columns: int = 0

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def is_plane(self) -> bool:
        """Whether only a plane of it is shown."""
        return len(self.shape) > 2


@dataclass(frozen=True)
class _Type:
    """One value's type: how many bytes it takes, and how they are said."""

    size: int
    say: Callable[[bytes], str]


def read(data: bytes) -> Array:
    """The array that a file begins with; `data` may be cut: what is not there is "…". NotArray."""
    descr, is_fortran, shape, start = _header(data)
    if descr.startswith(b"["):
        fields = _fields(descr)
        dtype = ", ".join(f"{name}: {word}" for name, word in fields)
        types = [_type(word) for _, word in fields]
        names = [name for name, _ in fields]
    else:
        dtype = descr.strip(b"'").decode("latin-1")
        types, names = [_type(dtype)], []
    return _shown(data[start:], (dtype, shape, is_fortran), types, names)


def _header(data: bytes) -> tuple[bytes, bool, tuple[int, ...], int]:
    if not data.startswith(MAGIC) or len(data) < 12:
        raise NotArray("is no array in NumPy's format")
    length, start = (
        (struct.unpack_from("<H", data, 8)[0], 10)
        if data[6] == 1
        else (struct.unpack_from("<I", data, 8)[0], 12)
    )
    if length > HEADER:
        raise NotArray("has a header that is too long")
    text = data[start : start + length]
    places = {match[1]: match.end() for match in _WORDS.finditer(text)}
    shape = _SHAPE.match(text, places.get(b"shape", len(text)))
    if shape is None or b"descr" not in places:
        raise NotArray("has a header that cannot be read")
    descr = text[places[b"descr"] :]
    end = descr.find(b"]") + 1 if descr.startswith(b"[") else descr.find(b"'", 1) + 1
    order = text[places.get(b"fortran_order", 0) :].startswith(b"True")
    sizes = tuple(int(part.strip(b" L")) for part in shape[1].split(b",") if part.strip())
    return descr[:end], order, sizes, start + length


def _fields(descr: bytes) -> list[tuple[str, str]]:
    found, at = [], 1
    while match := _FIELD.match(descr, at):
        found.append((match[1].decode("utf-8", "replace"), match[2].decode("ascii", "replace")))
        at = match.end()
    if not found or descr[at:].strip() != b"]":
        raise NotArray("is an array of a type that is not shown here: download it")
    return found[:FIELDS]


def _type(word: str) -> _Type:
    match = _TYPE.fullmatch(word)
    if match is None:
        raise NotArray(f"is an array of {word[:40]!r}, which is not shown here")
    order, kind, digits = ">" if match[1] == ">" else "<", match[2], match[3]
    size = int(digits or 0)
    if kind == "O":
        raise NotArray("is an array of Python objects, a pickle, which is never read here")
    if kind in "SV":
        return _Type(size, lambda raw: raw.rstrip(b"\0").decode("utf-8", "backslashreplace")[:CELL])
    if kind == "U":
        codec = "utf-32-be" if order == ">" else "utf-32-le"
        return _Type(4 * size, lambda raw: raw.decode(codec, "replace").rstrip("\0")[:CELL])
    code = _CODES.get(f"{kind}{digits}")
    if code is None:
        raise NotArray(f"is an array of {word[:40]!r}, which is not shown here")
    unpack = struct.Struct(order + code).unpack
    if kind == "c":
        return _Type(size, lambda raw: "{:g}{:+g}j".format(*unpack(raw)))
    if kind in "Mm":
        step = int(match[4] or 1) * _STEPS.get(match[5] or "", 0)
        return _Type(size, lambda raw: _time(unpack(raw)[0], step, kind == "M"))
    if kind == "f":
        return _Type(
            size, lambda raw: f"{unpack(raw)[0]:.7g}" if size < 8 else repr(unpack(raw)[0])
        )
    return _Type(size, lambda raw: str(unpack(raw)[0]))


def _time(value: int, step: float, is_date: bool) -> str:
    if value == _NOT_A_TIME:
        return "NaT"
    if not step:
        return str(value)
    try:
        span = timedelta(seconds=value * step)
        return (_EPOCH + span).isoformat().removesuffix("+00:00") if is_date else str(span)
    except OverflowError:
        return str(value)


def _shown(
    data: bytes,
    about: tuple[str, tuple[int, ...], bool],
    types: Sequence[_Type],
    names: Sequence[str],
) -> Array:
    """The first rows of an array, or of its first plane: one value, or one record, a cell."""
    dtype, shape, is_fortran = about
    size = sum(one.size for one in types)
    height, width = (shape[-2], shape[-1]) if len(shape) > 1 else ((*shape, 1)[0], 1)
    if math.prod(shape) == 0 or size == 0:
        return Array(dtype, shape, is_fortran, names, [])
    # Bytes from one row to the next and from one column to the next, in the first plane.
    steps = (
        (size * math.prod(shape[:-2]), size * math.prod(shape[:-1]))
        if is_fortran and len(shape) > 1
        else (size * width, size)
    )
    rows = []
    for row in range(min(height, ROWS)):
        starts = [row * steps[0] + column * steps[1] for column in range(min(width, COLUMNS))]
        rows.append([cell for start in starts for cell in _cells(data, start, types)])
    heads = [str(n) for n in range(min(width, COLUMNS))]
    many = [f"{n}.{name}" if width > 1 else name for n in heads for name in names]
    more = (max(0, height - ROWS), max(0, width - COLUMNS))
    return Array(dtype, shape, is_fortran, many or heads, rows, *more)


def _cells(data: bytes, start: int, types: Sequence[_Type]) -> list[str]:
    cells = []
    for one in types:
        raw = data[start : start + one.size]
        cells.append(one.say(raw) if len(raw) == one.size else "…")
        start += one.size
    return cells
