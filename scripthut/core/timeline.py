"""When tasks waited and ran, as bars on a line of time, in percent of what is looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Span: TypeAlias = tuple[float, float]
"""Seconds since the run was made: from, to."""

NARROW = 0.15  # percent: a bar is at least so wide, and a gap narrower than this is none
TICKS = 6
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True)
class Bar:
    """A bar, in percent of the width."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True)
class Window:
    """What is looked at, in seconds since the run was made."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return max(self.end - self.start, 1.0)

    def bars(self, kind: str, spans: Iterable[Span]) -> list[Bar]:
        """Spans as bars: those that touch, or nearly, as one.

        >>> Window(0, 100).bars("ran", [(10, 20), (20, 30), (90, 200)])
        [Bar(kind='ran', start=10.0, width=20.0), Bar(kind='ran', start=90.0, width=10.0)]
        """
        found = []
        for first, last in merged(spans, self.length * NARROW / 100):
            start, end = max(first, self.start), min(last, self.end)
            if start < end or self.start <= first == last <= self.end:
                width = max(100 * (end - start) / self.length, NARROW)
                place = 100 * (start - self.start) / self.length
                found.append(Bar(kind, round(min(place, 100 - NARROW), 3), round(width, 3)))
        return found

    def zoomed(self, factor: float) -> "Window":
        """The same middle, so many times as long."""
        middle, half = (self.start + self.end) / 2, self.length * factor / 2
        return Window(max(0.0, middle - half), middle + half)

    def moved(self, share: float) -> "Window":
        """Moved along by a share of its length; not before the run was made.

        >>> Window(100, 200).moved(-0.5), Window(20, 120).moved(-0.5)
        (Window(start=50.0, end=150.0), Window(start=0.0, end=100.0))
        """
        start = max(0.0, self.start + share * self.length)
        return Window(start, start + self.length)

    def ticks(self) -> list[tuple[float, float]]:
        """Where a line of time is marked: percent, and seconds since the run was made.

        >>> Window(0, 300).ticks()
        [(0.0, 0.0), (20.0, 60.0), (40.0, 120.0), (60.0, 180.0), (80.0, 240.0)]
        """
        wide = STEPS[-1] * max(1, round(self.length / TICKS / STEPS[-1]))
        step = next((step for step in STEPS if self.length / step <= TICKS), wide)
        first = -(-self.start // step) * step
        count = int((self.end - first) // step) + 1
        marks = [float(first + k * step) for k in range(max(count, 0))]
        places = [(100 * (mark - self.start) / self.length, mark) for mark in marks]
        return [(round(place, 3), mark) for place, mark in places if place < 97]


def merged(spans: Iterable[Span], gap: float = 0.0) -> Sequence[Span]:
    """Spans in order, those that touch or are nearer than a gap as one.

    >>> merged([(5, 6), (1, 2), (2.5, 3)], 1)
    [(1, 3), (5, 6)]
    """
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found
