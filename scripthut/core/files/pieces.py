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


def settled(data: bytes) -> bytes:
    r"""A document that is being written, without a last character or table row that is half there.

    >>> settled(b"| a |\n|--|\n| 1"), settled(b"a gr\xc3"), settled("so far, größ".encode())[-2:]
    (b'| a |\n|--|\n', b'a gr', b'\xc3\x9f')
    """
    start = data.rfind(b"\n") + 1
    last, before = data[start:], data[:start].rstrip(b"\n").rpartition(b"\n")[2]
    if last.lstrip().startswith(b"|") or (b"|" in last and b"|" in before):
        return data[:start]
    ends = (data[: len(data) - cut] for cut in range(min(4, len(last) + 1)))
    return next((end for end in ends if _is_whole(end[start:])), data)


def _is_whole(text: bytes) -> bool:
    """Whether text does not end within a character; one that is not UTF-8 does not."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"
    return True


def lines(data: bytes, start: int = 0) -> Iterator[bytes]:
    """The lines from a byte on, each with its end: nothing else than LF ends one."""
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
