"""The files of a task in two runs, beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from scripthut.core.files import tables
from scripthut.core.files.previews import Kind, View, view
from scripthut.core.jobs import Area
from scripthut.core.measures import compare, figures
from scripthut.core.measures.compare import Grids, Way
from scripthut.core.measures.grids import COLUMNS, ROWS, Grid
from scripthut.store import compare as comparing
from scripthut.store import outputs
from scripthut.store.compare import Side
from scripthut.store.db import Session
from scripthut.store.models import Output
from scripthut.web.extensions import kept
from scripthut.web.outputs import files

Place: TypeAlias = tuple[Area, str]
Rows: TypeAlias = Mapping[Place, Output]

TABLE = 512 * 1024  # bytes of a table that are compared
SHOWN = 2 * 1024 * 1024  # bytes of HTML on one page


class HasContent(Protocol):
    """A file, by what it holds."""

    @property
    def sha256(self) -> str | None:
        """None: it is not kept."""

    @property
    def size(self) -> int:
        """In bytes."""


@dataclass(frozen=True)
class Half:
    """A file in one of the runs. `url` None: it is not kept; `html` None: it is no document."""

    row: Output
    url: str | None
    html: str | None


@dataclass(frozen=True)
class Pair:
    """A file in both runs, or in one; `grids` are its tables in which anything differs."""

    path: str
    kind: str
    way: Way
    before: Half | None
    after: Half | None
    grids: Sequence[Grids] = ()


@dataclass(frozen=True)
class Task:
    """A task in both runs, or in one. `same`: how many of its files do not differ."""

    key: str
    before: Side | None
    after: Side | None
    documents: Sequence[Pair] = field(default_factory=list)
    tables: Sequence[Pair] = field(default_factory=list)
    images: Sequence[Pair] = field(default_factory=list)
    others: Sequence[Pair] = field(default_factory=list)
    same: int = 0


def ways(before: Mapping[Place, HasContent], after: Mapping[Place, HasContent]) -> dict[Place, Way]:
    """How each file of a task stands in the second run beside the first."""
    found = {}
    for place in dict.fromkeys([*before, *after]):
        one, other = before.get(place), after.get(place)
        if one is None or other is None:
            found[place] = Way.ADDED if one is None else Way.REMOVED
        else:
            is_same = one.sha256 == other.sha256 and one.size == other.size
            found[place] = Way.SAME if is_same else Way.CHANGED
    return found


def tasks(
    session: Session,
    ids: tuple[str, str],
    keys: Sequence[str],
    sides: tuple[Mapping[str, Side], Mapping[str, Side]],
) -> list[Task]:
    """Some tasks of two runs, with all that differs."""
    rows = [comparing.files(session, run_id, keys) for run_id in ids]
    maker = _Maker(ids)
    return [
        maker.task(key, (sides[0].get(key), sides[1].get(key)), (r[0], r[1]))
        for key in keys
        for r in [[one.get(key, {}) for one in rows]]
    ]


class _Maker:
    def __init__(self, ids: tuple[str, str]) -> None:
        self._ids = ids
        self._left = SHOWN

    def task(
        self, key: str, sides: tuple[Side | None, Side | None], rows: tuple[Rows, Rows]
    ) -> Task:
        found: dict[str, list[Pair]] = {"documents": [], "tables": [], "images": [], "others": []}
        same = 0
        order = sorted(ways(*rows).items(), key=lambda one: (_rank(one[0]), one[0][1]))
        for place, way in order:
            if way is Way.SAME:
                same += 1
            else:
                pair = self._pair(key, place, way, (rows[0].get(place), rows[1].get(place)))
                found[_part(pair)].append(pair)
        return Task(key, *sides, **found, same=same)  # type: ignore[arg-type]

    def _pair(
        self, key: str, place: Place, way: Way, rows: tuple[Output | None, Output | None]
    ) -> Pair:
        halves = [self._half(run, key, row) for run, row in zip(self._ids, rows, strict=True)]
        path = "Run Summary" if place[0] is Area.FRAGMENT else place[1]
        kind = next(row.kind for row in rows if row is not None)
        return Pair(path, kind, way, halves[0], halves[1], _grids(*rows))

    def _half(self, run_id: str, key: str, row: Output | None) -> Half | None:
        if row is None:
            return None
        html = files.html_of(run_id, key, row) if self._left > 0 else None
        self._left -= len(html or "")
        is_fragment = row.area is Area.FRAGMENT
        return Half(row, None if is_fragment else files.url_of(run_id, key, row), html)


def _rank(place: Place) -> int:
    """The run's summary first, then the task's, then all else."""
    if place[0] is Area.FRAGMENT:
        return 0
    return 1 if place[1].encode() == outputs.SUMMARY else 2


def _part(pair: Pair) -> str:
    halves = [half for half in (pair.before, pair.after) if half is not None]
    if pair.kind == Kind.MARKDOWN and any(half.html is not None for half in halves):
        return "documents"
    if pair.kind == Kind.IMAGE and any(half.url for half in halves):
        return "images"
    return "tables" if pair.grids else "others"


def _grids(before: Output | None, after: Output | None) -> list[Grids]:
    """The tables of a file that stand in both runs, and differ."""
    if before is None or after is None:
        return []
    found = [compare.grids(*both) for both in zip(_tables(before), _tables(after), strict=False)]
    return [grids for grids in found if grids.count]


def _tables(row: Output) -> list[Grid]:
    if row.sha256 is None:
        return []
    try:
        if row.kind == Kind.MARKDOWN:
            known = figures.opened(kept().read(figures.key(row.sha256, "x.md")))
            return list(known.grids)
        if view(row.path, b"") is not View.TABLE:
            return []
        data = kept().read(row.sha256, 0, TABLE)
    except FileNotFoundError:
        return []
    is_end = len(data) >= row.size
    mark = tables.delimiter(row.path, data)
    names, start = tables.header(data, mark, is_end)
    table = tables.piece(names, data[start:], mark, 1, is_end)
    rows = [list(one.cells[:COLUMNS]) for one in table.rows[:ROWS]]
    return [Grid(list(table.header[:COLUMNS]), rows)]
