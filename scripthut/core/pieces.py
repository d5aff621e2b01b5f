"""A piece of a file -> its lines, as bytes."""

from collections.abc import Iterator
from itertools import islice


def whole(data: bytes, most: int, is_end: bool) -> list[bytes]:
    r"""The lines at the beginning of a piece, with their ends, at most `most`.

    What follows the last line's end is left for the next piece unless `is_end`, or nothing else
    is there.

    >>> whole(b"a\nb\nc", 5, is_end=False), whole(b"a\nb\nc", 5, is_end=True)
    ([b'a\n', b'b\n'], [b'a\n', b'b\n', b'c'])
    """
    found = list(islice(lines(data), most + 1))
    if len(found) > most:
        return found[:most]
    is_cut = len(found) > 1 and not is_end and not found[-1].endswith(b"\n")
    return found[:-1] if is_cut else found


def lines(data: bytes, start: int = 0) -> Iterator[bytes]:
    """The lines from a byte on, each with its end: nothing else than LF ends one."""
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
