"""A piece of a text file, as numbered lines of coloured parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scripthut.core.files.ansi import Painter
from scripthut.core.files.pieces import whole
from scripthut.core.files.source import Tokens, tokens

LINES = 1000  # on a page
WIDE = 8000  # characters of a line that are shown

Part: TypeAlias = tuple[str, str]
"""Classes, "" for none, and text."""


@dataclass(frozen=True)
class Line:
    """One line. `number` counts from 1; None: it is not known. `cut`: characters not shown."""

    number: int | None
    parts: list[Part]
    cut: int = 0


@dataclass(frozen=True)
class Lines:
    """The lines of a page; `after` is the byte that follows them, as counted from its start."""

    lines: Sequence[Line]
    after: int


def lines(data: bytes, path: str, first: int | None = 1, is_end: bool = True) -> Lines:
    """At most LINES lines of a piece that begins a line, coloured as its name or its text asks.

    `first` is the number of its first line, None when unknown.
    """
    raw = whole(data, LINES, is_end)
    after = sum(map(len, raw))
    texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in raw]
    shown = [_visible(text) for text in texts]
    found = tokens(path, "\n".join(shown))
    painted = _painted(shown) if found is None else _split(found)
    numbers: Iterable[int | None] = [None] * len(raw)
    if first is not None:
        numbers = range(first, first + len(raw))
    together = zip(numbers, painted, texts, strict=True)
    return Lines([Line(n, parts, max(0, len(text) - WIDE)) for n, parts, text in together], after)


def _visible(text: str) -> str:
    """What is left of a line that was written over, as progress bars do, and not too much of it."""
    return text.rpartition("\r")[2][:WIDE]


def _painted(texts: list[str]) -> list[list[Part]]:
    painter = Painter()
    return [painter.parts(text) for text in texts]


def _split(found: Tokens) -> list[list[Part]]:
    """Tokens, which may hold line ends, as lines."""
    result: list[list[Part]] = [[]]
    for name, text in found:
        head, *rest = text.split("\n")
        result[-1].append((name, head))
        result.extend([(name, part)] for part in rest)
    return [[part for part in line if part[1]] for line in result]
