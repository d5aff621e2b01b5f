"""Bytes -> rows of hexadecimal digits and letters."""

from collections.abc import Iterator
from dataclasses import dataclass

BYTES = 4096  # on a page
WIDTH = 16


@dataclass(frozen=True)
class HexRow:
    """Up to sixteen bytes: where they stand, their digits, and those that are ASCII letters."""

    offset: str
    digits: str
    letters: str


def rows(data: bytes, start: int = 0) -> Iterator[HexRow]:
    r"""Rows of a piece that begins at byte `start`.

    >>> next(rows(b"PNG\x00", 16))
    HexRow(offset='00000010', digits='50 4e 47 00', letters='PNG.')
    """
    for place in range(0, len(data), WIDTH):
        part = data[place : place + WIDTH]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        digits = f"{part[:8].hex(' ')}  {part[8:].hex(' ')}".rstrip()
        yield HexRow(f"{start + place:08x}", digits, letters)
