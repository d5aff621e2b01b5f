"""What a person looks for in a log: a word, the first error, and two logs read as one."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from scripthut.core.files.ansi import CONTROLS, ESCAPE
from scripthut.core.files.pieces import lines

WIDE = 8000  # characters of a line that are looked at
# Words that begin the trouble in what compilers, interpreters, schedulers and shells say.
TROUBLE = re.compile(
    r"\b(?:error|fatal|exception|traceback|panic(?:ked)?|abort(?:ed)?|segmentation fault|killed"
    r"|out of memory|oom-kill|no space left|command not found|permission denied"
    r"|no such file or directory|core dumped)\b|\w(?:Error|Exception)\b",
    re.IGNORECASE,
)
HARMLESS = re.compile(
    r"\b(?:0|no|without|zero)\s+(?:errors?|exceptions?)\b|\berrors?\s*[:=]\s*0\b|\berror_?bars?\b",
    re.IGNORECASE,
)
TIME = re.compile(r"^\W{0,2}(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?|\d\d:\d\d:\d\d)")


def plain(line: bytes) -> str:
    r"""A line of a log as people read it: without colours, and what was written over is gone.

    >>> plain(b"10%\r\x1b[31mred\x1b[0m\r\n")
    'red'
    """
    text = line[: 4 * WIDE].decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]
    return CONTROLS.sub("", ESCAPE.sub("", text))[:WIDE]


def first_error(data: bytes) -> int | None:
    r"""Which line, from 0, is the first that tells of an error; None: no line does.

    >>> first_error(b"all well\n0 errors\nKeyError: x\n"), first_error(b"all well\n")
    (2, None)
    """
    for number, line in enumerate(lines(data)):
        text = plain(line)
        if TROUBLE.search(text) and not HARMLESS.search(text):
            return number
    return None


def matching(data: bytes, words: str, most: int) -> list[int]:
    r"""Which lines, from 0, hold these words in any case; at most `most` of them.

    >>> matching(b"Loss 1\nacc 2\nloss 3\n", "LOSS", 10)
    [0, 2]
    """
    wanted = words.casefold()
    found = (n for n, line in enumerate(lines(data)) if wanted in plain(line).casefold())
    return list(islice(found, most))


@dataclass(frozen=True)
class Said:
    """A line of one of two logs. `number` counts from 0 in its own log."""

    stream: str
    number: int
    line: bytes


def merged(output: bytes, error: bytes) -> tuple[list[Said], bool]:
    r"""Two logs as one, and whether by time; where the lines tell none, the error log comes last.

    A line without a time belongs to the one before it.

    >>> said, by_time = merged(b"10:00:01 a\n10:00:03 c\n", b"10:00:02 b\n  more\n")
    >>> by_time, [s.line for s in said]
    (True, [b'10:00:01 a\n', b'10:00:02 b\n', b'  more\n', b'10:00:03 c\n'])
    """
    both = [_timed("output", output), _timed("error", error)]
    tells = all(any(time for time, _ in timed) for timed in both)
    flat = [pair for timed in both for pair in timed]
    if tells and len({len(time) > len("00:00:00") for time, _ in flat if time}) == 1:
        return [said for _, said in sorted(flat, key=lambda pair: pair[0])], True
    return [said for _, said in flat], False


def _timed(stream: str, data: bytes) -> Sequence[tuple[str, Said]]:
    found, time = [], ""
    for number, line in enumerate(lines(data)):
        match = TIME.match(plain(line[:200]))
        time = match[1].replace(" ", "T").replace(",", ".") if match else time
        found.append((time, Said(stream, number, line)))
    return found


def begins(data: bytes, most_bytes: int, most_lines: int) -> int:
    r"""Where the last lines of a log begin: at most so many bytes, and so many lines.

    >>> begins(b"one\ntwo\nthree\n", 100, 2), begins(b"one\ntwo\nthree\n", 7, 9)
    (4, 8)
    """
    start = max(0, len(data) - most_bytes)
    if start:
        start = data.find(b"\n", start - 1) + 1 or start
    starts = list(_starts(data, start))
    return starts[-most_lines] if len(starts) > most_lines else start


def _starts(data: bytes, start: int) -> Iterable[int]:
    for line in lines(data, start):
        yield start
        start += len(line)
