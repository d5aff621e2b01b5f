"""The geometry of a small plot: where its points, lines and ticks stand; a template draws it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 80, 16, 14, 34  # around the plot, for what its axes say
TICKS = 5
LARGEST = 1.7976931348623157e308
POINTS = 2000  # that are drawn; of more, evenly chosen ones


@dataclass(frozen=True)
class Point:
    """A point in the units of its axes; `label` says whose it is, `link` leads there."""

    x: float
    y: float
    label: str = ""
    link: str = ""


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the plot's own units, and what it says."""

    at: float
    says: str


@dataclass(frozen=True)
class Dot:
    """A point where it is drawn; `says` are its values in words."""

    x: float
    y: float
    label: str
    link: str
    says: str


@dataclass(frozen=True)
class Path:
    """A line as SVG's polylines take it: one for each piece between gaps."""

    label: str
    pieces: Sequence[str]
    link: str


@dataclass(frozen=True)
class Plot:
    """What is drawn. `more`: how many points are left out."""

    dots: Sequence[Dot]
    paths: Sequence[Path]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    more: int = 0


@dataclass(frozen=True)
class Line:
    """A curve in the units of its axes; a gap in `y` is None."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    link: str = ""


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float  # in the plot's own units, where `low` stands
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        low, high, here = (
            map(math.log10, (self.low, self.high, value))
            if self.is_log
            else (self.low / 2, self.high / 2, value / 2)  # halves: their difference is finite
        )
        share = (here - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[Tick]:
        return [Tick(self.at(v), said(v)) for v in _round_values(self.low, self.high, self.is_log)]


def scatter(points: Sequence[Point], is_log: bool = False) -> Plot | None:
    """A plot of points; None when there is none to draw. `is_log`: the vertical axis is."""
    fine = [p for p in points if _fits(p.x, False) and _fits(p.y, is_log)]
    if not fine:
        return None
    shown = fine[:: -(-len(fine) // POINTS)]
    x = _axis([p.x for p in fine], LEFT, WIDTH - RIGHT)
    y = _axis([p.y for p in fine], HEIGHT - BOTTOM, TOP, is_log)
    dots = [Dot(x.at(p.x), y.at(p.y), p.label, p.link, f"{said(p.x)}, {said(p.y)}") for p in shown]
    return Plot(dots, [], x.ticks(), y.ticks(), len(fine) - len(shown))


def curves(lines: Sequence[Line], is_log: bool = False) -> Plot | None:
    """A plot of lines; None when there is nothing to draw."""
    xs = [v for line in lines for v in line.x if _fits(v, False)]
    ys = [v for line in lines for v in line.y if v is not None and _fits(v, is_log)]
    if not xs or not ys:
        return None
    x, y = _axis(xs, LEFT, WIDTH - RIGHT), _axis(ys, HEIGHT - BOTTOM, TOP, is_log)
    paths = [Path(line.label, _pieces(line, x, y, is_log), line.link) for line in lines]
    return Plot([], paths, x.ticks(), y.ticks())


def said(value: float) -> str:
    """A number as an axis says it.

    >>> [said(v) for v in (0.1 + 0.2, 1500000.0, 3.0, -0.0, 1e-07)]
    ['0.3', '1.5e+06', '3', '0', '1e-07']
    """
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.6g}"


def _fits(value: float, is_log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not is_log)


def _axis(values: Sequence[float], start: float, end: float, is_log: bool = False) -> _Axis:
    """An axis that holds all values, with some room at its ends."""
    low, high = min(values), max(values)
    if is_log:
        return _Axis(low / 1.2 or low, min(high * 1.2, LARGEST), start, end, True)
    room = (high / 2 - low / 2) * 0.08 or abs(high) * 0.05 or 0.5
    return _Axis(max(low - room, -LARGEST), min(high + room, LARGEST), start, end)


def _pieces(line: Line, x: _Axis, y: _Axis, is_log: bool) -> list[str]:
    pieces: list[list[str]] = [[]]
    for at, value in zip(line.x, line.y, strict=True):
        if value is None or not _fits(value, is_log) or not _fits(at, False):
            pieces.append([])
        else:
            pieces[-1].append(f"{x.at(at)},{y.at(value)}")
    return [" ".join(piece) for piece in pieces if piece]


def _round_values(low: float, high: float, is_log: bool) -> list[float]:
    """Some round numbers between two."""
    if is_log:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        found = [10.0**n for n in range(first, last + 1, max(1, -(-(last - first) // TICKS)))]
        if len(found) > 1:
            return found
    span = high / 2 - low / 2
    if not span > 0:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / TICKS * 2))
    step = next((step * n for n in (1, 2, 5, 10) if step * n * TICKS / 2 >= span), step * 10)
    first = math.ceil(low / step)
    count = int(min((high / step - first) // 1, 2 * TICKS)) if math.isfinite(high / step) else 0
    return [(first + n) * step for n in range(count + 1)]
