"""Tables are read a piece at a time; no file is too odd, none takes long."""

import time
from collections.abc import Iterator

import pytest

from scripthut.core.files import tables
from scripthut.core.files.tables import Wish, chosen, delimiter, header, piece


def cells(table: tables.Table) -> list[list[str]]:
    return [list(row.cells) for row in table.rows]


def test_a_header_is_not_a_row() -> None:
    data = b"name,loss\na,1.5\nb,2\n"
    names, start = header(data, ",", is_end=True)
    table = piece(names, data[start:], ",", 1, is_end=True)

    assert table.header == ["name", "loss"]
    assert cells(table) == [["a", "1.5"], ["b", "2"]]
    assert [row.number for row in table.rows] == [1, 2]
    assert table.numeric == {1}
    assert table.after is None


def test_a_file_of_numbers_has_no_header() -> None:
    assert header(b"1,2,3\n4,5,6\n", ",", is_end=True) == (["1", "2", "3"], 0)


def test_cells_keep_what_quotes_protect() -> None:
    table = piece(["a"], b'"x, y\nz",2\n"say ""hi""",3\n', ",", 1, is_end=True)

    assert cells(table) == [["x, y\nz", "2"], ['say "hi"', "3"]]


@pytest.mark.parametrize(
    ("path", "line", "mark"),
    [
        ("a.csv", b"a,b", ","),
        ("a.csv", b"a;b;c,d", ";"),
        ("a.csv", b"a|b", "|"),
        ("a.TSV", b"", "\t"),
    ],
)
def test_the_delimiter_is_found(path: str, line: bytes, mark: str) -> None:
    assert delimiter(path, line) == mark


def pieces(data: bytes, size: int) -> Iterator[tables.Table]:
    """The whole of a file as its pages show it, from pieces of that many bytes."""
    names, at = header(data, ",", is_end=True)
    number, after = 1, 1
    while after:
        part = data[at : at + size]
        table = piece(names, part, ",", number, is_end=at + len(part) >= len(data))
        yield table
        after = table.after or 0
        at, number = at + after, number + len(table.rows)


@pytest.mark.parametrize("size", [23, 40, 1000, 10_000])
def test_pieces_join_to_the_whole(size: int) -> None:
    rows = [f'{n},"line {n}\nmore"' for n in range(500)]
    data = ("n,text\n" + "\n".join(rows)).encode()

    found = [row for table in pieces(data, size) for row in table.rows]

    assert [row.number for row in found] == list(range(1, 501))
    assert [row.cells[0] for row in found] == [str(n) for n in range(500)]


def test_numbers_sort_by_size_and_blanks_come_last() -> None:
    data = b"a,10\nb,9\nc,\nd,nan\ne,1e3\n"

    up = chosen(["k", "v"], data, ",", Wish(sort=1), is_end=True)
    down = chosen(["k", "v"], data, ",", Wish(sort=1, descending=True), is_end=True)

    assert [row.cells[0] for row in up.rows] == ["b", "a", "e", "d", "c"]
    assert [row.cells[0] for row in down.rows] == ["d", "e", "a", "b", "c"]
    assert up.rows[0].number == 2


def test_rows_are_found_by_words_of_any_case() -> None:
    table = chosen(["k"], b"Alpha\nbeta\nALPHABET\n", ",", Wish(words="alpha"), is_end=True)

    assert cells(table) == [["Alpha"], ["ALPHABET"]]
    assert (table.total, table.is_partial) == (2, False)


def test_a_part_is_called_a_part() -> None:
    assert chosen(["k"], b"a\nb\n", ",", Wish(words="a"), is_end=False).is_partial


def test_a_table_is_no_wider_than_a_page() -> None:
    table = piece([], b",".join([b"x" * 2000] * 300) + b"\n", ",", 1, is_end=True)

    assert len(table.rows[0].cells) == len(table.header) == tables.COLUMNS
    assert len(table.rows[0].cells[0]) == tables.CELL
    assert table.columns_more == 200


MiB = 1024 * 1024
HOSTILE = {
    "an open quote": b'"' + b"x,\n" * (8 * MiB // 3),
    "only quotes": b'"' * (8 * MiB),
    "only commas": b"," * (8 * MiB),
    "only line ends": b"\n" * (8 * MiB),
    "carriage returns": b"a\rb\r" * (2 * MiB),
    "zeros": b"\0" * (8 * MiB),
    "random bytes": bytes(range(256)) * (8 * MiB // 256),
    "commas and line ends": b",\n" * (4 * MiB),
    "long numbers": b"9" * 5000 + b"\n" + b"9" * (8 * MiB),
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_table_holds_a_worker(name: str) -> None:
    data = HOSTILE[name]
    start = time.process_time()

    names, _ = header(data[: MiB // 2], ",", is_end=False)
    piece(names, data[: MiB // 2], ",", 1, is_end=False)
    chosen(names, data, ",", Wish(sort=0, words="x"), is_end=True)
    chosen(names, data, ",", Wish(sort=0), is_end=True)

    assert time.process_time() - start < 4
