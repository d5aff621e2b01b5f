"""CSV and TSV -> rows: a piece at a time, or sorted and filtered."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter

from scripthut.core.files.pieces import lines
from scripthut.core.files.previews import suffix

ROWS = 200  # on a page
COLUMNS = 100  # that are shown
CELL = 500  # characters of a cell that are shown
SEARCHED = 8 * 1024 * 1024  # bytes from a file's start that are sorted and filtered
CELLS = 1_000_000  # at most so many of them
LINES = 200_000  # and lines
_FIELD = 512 * 1024  # bytes of one cell
_GUESSES = ",;\t|"
BOM = b"\xef\xbb\xbf"

csv.field_size_limit(_FIELD)


@dataclass(frozen=True)
class Row:
    """A row of a table. `number` counts from 1, the header not included; None: it is not known."""

    number: int | None
    cells: Sequence[str]


@dataclass(frozen=True)
class Table:
    """What a page shows of a table.

    `after` is the byte that follows its rows, from the piece's start, when there may be more;
    `total` counts the rows that a filter found, None when none was asked for. `is_partial`:
    they were looked for in a part of the file alone.
    """

    header: Sequence[str]
    rows: Sequence[Row]
    numeric: frozenset[int] = frozenset()
    after: int | None = None
    total: int | None = None
    is_partial: bool = False
    columns_more: int = 0


@dataclass(frozen=True)
class Wish:
    """How a reader wants a table: a column to sort by, words to look for, a page from 0."""

    sort: int | None = None
    descending: bool = False
    words: str = ""
    page: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the file's own order will do."""
        return self.sort is None and not self.words


def delimiter(path: str, head: bytes) -> str:
    r"""What stands between the cells, by the name and the first line.

    >>> delimiter("a.tsv", b""), delimiter("a.csv", b"a;b;c\n1,5;2;3")
    ('\t', ';')
    """
    if suffix(path) == "tsv":
        return "\t"
    line = head.partition(b"\n")[0].decode("utf-8", "replace")
    return max(_GUESSES, key=line.count)


def header(head: bytes, mark: str, is_end: bool) -> tuple[list[str], int]:
    """The names of the columns, and how many bytes they take: 0 when a file begins with numbers."""
    reader = _Reader(head, mark, is_end)
    first = next(iter(reader), [])
    if first and all(is_number(cell) for cell in first):
        return [str(n) for n in range(1, len(first) + 1)], 0
    return first, reader.after


def piece(names: Sequence[str], data: bytes, mark: str, first: int | None, is_end: bool) -> Table:
    """The rows at the beginning of a piece, at most ROWS; `first` is the first one's number."""
    reader = _Reader(data, mark, is_end)
    rows = [
        Row(None if first is None else first + place, cells)
        for place, cells in enumerate(islice(reader, ROWS))
    ]
    more = reader.after if rows and (reader.after < len(data) or not is_end) else None
    return _shown(names, rows, after=more)


def chosen(names: Sequence[str], data: bytes, mark: str, wish: Wish, is_end: bool) -> Table:
    """One page of all rows of a piece that hold the words, sorted as wished."""
    reader = _Reader(data, mark, is_end)
    words = wish.words.lower()
    found = [
        Row(number, cells)
        for number, cells in enumerate(_some(reader), 1)
        if not words or any(words in cell.lower() for cell in cells)
    ]
    if wish.sort is not None:
        found = _sorted(found, wish.sort, wish.descending)
    start = wish.page * ROWS
    is_partial = not is_end or reader.after < len(data)
    rows = found[start : start + ROWS]
    return _shown(names, rows, total=len(found), is_partial=is_partial)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number; `nan` is one, an empty cell is none.

    >>> [is_number(c) for c in ("1e-3", " 42 ", "nan", "", "1_000", "x")]
    [True, True, True, False, False, False]
    """
    return _number(cell) is not None


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell[:64])
    except ValueError:
        return None


class _Reader:
    """Rows of a piece; `after` says how far they reach. A row that the piece cuts is left out."""

    def __init__(self, data: bytes, mark: str, is_end: bool) -> None:
        self.data, self.mark, self.is_end = data, mark, is_end
        self.after = 0

    def __iter__(self) -> Iterator[list[str]]:
        seen = False
        try:
            for row in csv.reader(self._lines(), delimiter=self.mark):
                if seen and self._read >= len(self.data) and not self.is_end:
                    return  # the last row of a piece may go on in the next one
                self.after, seen = self._read, True
                if row:
                    yield row
        except csv.Error:  # a cell of half a megabyte, say: what follows is not a table
            return

    def _lines(self) -> Iterator[str]:
        self._read = len(BOM) if self.data.startswith(BOM) else 0
        for line in islice(lines(self.data, self._read), LINES):
            self._read += len(line)
            yield line.decode("utf-8", "replace").replace("\0", "")


def _some(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    left = CELLS
    for row in rows:
        left -= len(row)
        if left < 0:
            return
        yield row


def _sorted(rows: Iterable[Row], column: int, descending: bool) -> list[Row]:
    """Numbers by size, then text by its letters; rows without either are last in both orders."""
    numbers: list[tuple[float, Row]] = []
    texts: list[tuple[str, Row]] = []
    blank = []
    for row in rows:
        cell = row.cells[column] if column < len(row.cells) else ""
        value = _number(cell)
        if value is not None and value == value:
            numbers.append((value, row))
        elif cell.strip():
            texts.append((cell.lower(), row))
        else:
            blank.append(row)
    numbers.sort(key=itemgetter(0), reverse=descending)
    texts.sort(key=itemgetter(0), reverse=descending)
    parts = [[row for _, row in numbers], [row for _, row in texts]]
    return [*chain.from_iterable(reversed(parts) if descending else parts), *blank]


def _is_blank(cells: Sequence[str], column: int) -> bool:
    return column >= len(cells) or not cells[column].strip()


def _shown(
    names: Sequence[str],
    rows: Sequence[Row],
    after: int | None = None,
    total: int | None = None,
    is_partial: bool = False,
) -> Table:
    width = max([len(names), *(len(row.cells) for row in rows)])
    narrow = [Row(row.number, [cell[:CELL] for cell in row.cells[:COLUMNS]]) for row in rows]
    numeric = frozenset(c for c in range(min(width, COLUMNS)) if _is_numeric(narrow, c))
    head = [name[:CELL] for name in [*names, *[""] * (width - len(names))][:COLUMNS]]
    return Table(head, narrow, numeric, after, total, is_partial, max(0, width - COLUMNS))


def _is_numeric(rows: Sequence[Row], column: int) -> bool:
    cells = [row.cells[column] for row in rows if not _is_blank(row.cells, column)]
    return bool(cells) and all(map(is_number, cells))
