"""Tables as plain cells: those that stand in Markdown, and what metrics they are."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripthut.core.markdown.blocks import Block, Kind, cells
from scripthut.core.markdown.reading import read
from scripthut.core.measures.metrics import Value, name_of, number, spoken

GRIDS = 20  # tables of one document
ROWS = 200
COLUMNS = 30
CELL = 200  # characters

_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_MARKS = re.compile(r"[*_`~]{1,3}")
_TAG = re.compile(r"<[^<>]{0,200}>")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_WITH_UNIT = re.compile(r"([-+]?[\d.,]+(?:[eE][-+]?\d{1,3})?)\s?(%|[^\W\d_]{1,4}(?:/[a-z]{1,4})?)")


@dataclass(frozen=True)
class Grid:
    """A table: its columns' names, and rows of as many cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def in_markdown(text: str) -> list[Grid]:
    """The tables of a document, in its order. May take long on text made for that."""
    found = []
    for block in _tables(read(text)):
        header = [plain(cell) for cell in cells(block.lines[0])][:COLUMNS]
        rows = [_row(line, len(header)) for line in block.lines[2 : ROWS + 2]]
        found.append(Grid(header, rows))
        if len(found) == GRIDS:
            break
    return found


def metrics_of(grids: Sequence[Grid]) -> Mapping[str, Value]:
    """What tables of one row, and tables of names and values, say; the first word on a name stays.

    >>> metrics_of(in_markdown("| loss | share |\\n|--|--|\\n| 0.25 | **63 %** |"))
    {'loss': 0.25, 'share %': 63}
    >>> metrics_of(in_markdown("| metric | value |\\n|--|--|\\n| loss | 0.25 |\\n| by | adam |"))
    {'loss': 0.25, 'by': 'adam'}
    """
    found: dict[str, Value] = {}
    for grid in grids:
        for name, cell in _pairs(grid):
            value, unit = measured(cell)
            if name and cell:
                found.setdefault(name_of(f"{name} {unit}" if unit else name), value)
    return found


def measured(cell: str) -> tuple[Value, str]:
    """A cell's value, and its unit: "" when it has none.

    >>> [measured(c) for c in ("1,234.5", "12.5 ms", "97%", "a 3")]
    [(1234.5, ''), (12.5, 'ms'), (97, '%'), ('a 3', '')]
    """
    if _THOUSANDS.fullmatch(cell):
        return spoken(cell.replace(",", "")), ""
    if parts := _WITH_UNIT.fullmatch(cell):
        value, unit = measured(parts[1])
        if number(value) is not None and not unit:
            return value, parts[2]
    return spoken(cell), ""


def plain(cell: str) -> str:
    """A cell's text without marks of emphasis, code, links and HTML."""
    text = _TAG.sub("", _LINK.sub(r"\1", cell[: 4 * CELL]))
    return " ".join(_MARKS.sub("", text).split())[:CELL]


def _tables(block: Block) -> Iterator[Block]:
    if block.kind is Kind.TABLE:
        yield block
    for child in block.children:
        yield from _tables(child)


def _row(line: str, width: int) -> list[str]:
    found = [plain(cell) for cell in cells(line)][:width]
    return found + [""] * (width - len(found))


def _pairs(grid: Grid) -> Iterator[tuple[str, str]]:
    """Names and cells of a table that holds metrics; nothing of any other."""
    if len(grid.rows) == 1 and _is_number(grid.rows[0][0]):
        yield from zip(grid.header, grid.rows[0], strict=True)
    elif len(grid.header) == 2 and grid.rows:
        names = [row[0] for row in grid.rows]
        is_named = len(set(names)) == len(names) and not any(map(_is_number, names))
        if is_named and any(_is_number(row[1]) for row in grid.rows):
            yield from ((row[0], row[1]) for row in grid.rows)
    elif len(grid.rows) == 1 and any(map(_is_number, grid.rows[0])):
        yield from zip(grid.header, grid.rows[0], strict=True)


def _is_number(cell: str) -> bool:
    return number(measured(cell)[0]) is not None
