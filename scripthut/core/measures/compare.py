"""What differs between two or more of a kind: cells of tables, and what is measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scripthut.core.measures.grids import Grid, measured
from scripthut.core.measures.metrics import Value, number


class Way(StrEnum):
    """How a row, a file or a metric stands in the second beside the first."""

    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Cell:
    """A cell before and after; `change` says by how much a number differs, "" for other texts."""

    before: str
    after: str
    change: str = ""

    @property
    def differs(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class Row:
    """A row of both tables."""

    way: Way
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Grids:
    """Two tables in one; `count`: cells, or rows of one alone, that differ."""

    header: Sequence[str]
    rows: Sequence[Row]
    count: int


@dataclass(frozen=True)
class Metric:
    """A metric of a task in each of several runs; None: it is not there."""

    key: str
    name: str
    values: Sequence[Value | None]

    @property
    def changes(self) -> list[str]:
        """By how much each value differs from the first one."""
        return [change(self.values[0], value) for value in self.values]

    @property
    def differs(self) -> bool:
        first = self.values[0]
        return any(value != first for value in self.values)


def change(before: Value | None, after: Value | None) -> str:
    """By how much a number differs; "" when it does not, or there are no two numbers.

    >>> [change(*pair) for pair in ((0.2, 0.25), (4, 3), (0, 1), (1, 1), ("a", 1), (1, "NaN"))]
    ['+0.05 (+25 %)', '-1 (-25 %)', '+1', '', '', '']
    """
    old, new = number(before), number(after)
    if old is None or new is None or not (math.isfinite(old) and math.isfinite(new)) or old == new:
        return ""
    by = f"{new - old:+.4g}"
    if old == 0 or not math.isfinite(percent := (new - old) / abs(old) * 100):
        return by
    return f"{by} ({percent:+.3g} %)"


def metrics(runs: Sequence[Mapping[str, Mapping[str, Value]]]) -> list[Metric]:
    """All metrics of all tasks, by task and name, in the order in which they first occur."""
    found = []
    for key in dict.fromkeys(key for run in runs for key in run):
        measured = [run.get(key, {}) for run in runs]
        names = dict.fromkeys(name for values in measured for name in values)
        found += [Metric(key, name, [values.get(name) for values in measured]) for name in names]
    return found


def grids(before: Grid, after: Grid) -> Grids:
    """Two tables in one: rows by their first cells where those name them, else by their places.

    >>> old, new = Grid(["k", "v"], [["a", "1"], ["b", "2"]]), Grid(["k", "v"], [["b", "3"]])
    >>> [(str(row.way), [c.change for c in row.cells]) for row in grids(old, new).rows]
    [('removed', ['', '']), ('changed', ['', '+1 (+50 %)'])]
    """
    header = list(dict.fromkeys([*before.header, *after.header]))
    if len(set(before.header)) < len(before.header) or len(set(after.header)) < len(after.header):
        width = max(len(before.header), len(after.header))
        header = [*(before if len(before.header) == width else after).header]
        old, new = _by_place(before, width), _by_place(after, width)
    else:
        old, new = _by_name(before, header), _by_name(after, header)
    pairs = _paired(old, new)
    rows = [_row(one, other, len(header)) for one, other in pairs]
    count = sum(
        1 if row.way in (Way.ADDED, Way.REMOVED) else sum(cell.differs for cell in row.cells)
        for row in rows
    )
    return Grids(header, rows, count)


_Cells = Sequence[str]
_Pair = tuple[_Cells | None, _Cells | None]


def _by_place(grid: Grid, width: int) -> list[_Cells]:
    return [[*row, *[""] * (width - len(row))][:width] for row in grid.rows]


def _by_name(grid: Grid, header: Sequence[str]) -> list[_Cells]:
    place = {name: n for n, name in enumerate(grid.header)}
    return [
        [row[place[name]] if name in place and place[name] < len(row) else "" for name in header]
        for row in grid.rows
    ]


def _paired(old: Sequence[_Cells], new: Sequence[_Cells]) -> list[_Pair]:
    names = [row[0] if row else "" for row in old], [row[0] if row else "" for row in new]
    has_names = all(len(set(some)) == len(some) and all(some) for some in names)
    if not has_names or not set(names[0]) & set(names[1]):
        longest = max(len(old), len(new))
        return [
            (old[n] if n < len(old) else None, new[n] if n < len(new) else None)
            for n in range(longest)
        ]
    after = dict(zip(names[1], new, strict=True))
    before = set(names[0])
    pairs: list[_Pair] = [(row, after.get(row[0])) for row in old]
    return pairs + [(None, row) for row in new if row[0] not in before]


def _row(old: _Cells | None, new: _Cells | None, width: int) -> Row:
    nothing = [""] * width
    cells = [
        Cell(one, other, "" if one == other else change(measured(one)[0], measured(other)[0]))
        for one, other in zip(old or nothing, new or nothing, strict=True)
    ]
    if old is None or new is None:
        return Row(Way.ADDED if old is None else Way.REMOVED, cells)
    return Row(Way.CHANGED if any(cell.differs for cell in cells) else Way.SAME, cells)
