"""Parquet files begin on their page as they were read when they were collected."""

import io
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from scripthut.core.files import heads
from scripthut.core.files.heads import Head
from scripthut.engine.children.workshop import WALL
from tests.engine import test_collect
from tests.engine.test_collect import Bench

pyarrow: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")
bench = test_collect.bench  # its fixture


def packed(table: Any, **how: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out, **how)
    return out.getvalue()


def head(bench: Bench, data: bytes) -> Head:
    bench.disk.write("t.parquet", data)
    bench.collect()
    return heads.opened(bench.hands.kept.read(heads.key(bench.rows["t.parquet"].sha256 or "")))


def test_the_schema_and_the_first_rows_are_read(bench: Bench) -> None:
    table = pyarrow.table({"n": range(1000), "s": ["x", None] * 500, "v": [[1.5]] * 1000})

    found = head(bench, packed(table))

    assert list(found.columns) == [("n", "int64"), ("s", "string"), ("v", "list<element: double>")]
    assert found.rows[1] == ["1", "", "[1.5]"]
    assert (found.count, len(found.rows), found.why) == (1000, heads.ROWS, None)


def test_an_empty_table_has_its_schema(bench: Bench) -> None:
    found = head(bench, packed(pyarrow.table({"n": pyarrow.array([], "int32")})))
    assert (list(found.columns), list(found.rows), found.count) == ([("n", "int32")], [], 0)


HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "short": lambda: b"PAR1",
    "noise": lambda: b"PAR1" + b"\xff" * 200 + b"\xff\xff\xff\x7fPAR1",
    "a false end": lambda: packed(pyarrow.table({"n": range(1000)}))[:-30] + b"x" * 30,
    "a bomb": lambda: packed(pyarrow.table({"s": ["y" * 1000] * 400_000}), compression="zstd"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_costs_a_bounded_time(bench: Bench, kind: str) -> None:
    data = HOSTILE[kind]()
    began = time.monotonic()
    found = head(bench, data)
    assert time.monotonic() - began < WALL + 3
    assert found.why or len(found.rows) <= heads.ROWS
    again = head(bench, packed(pyarrow.table({"n": [1]})))
    assert again.rows == [["1"]], "the next one is read all the same"
