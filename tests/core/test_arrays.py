"""Arrays in NumPy's files, read without NumPy; and what is no array."""

import io
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.files import npz
from scripthut.core.files.arrays import COLUMNS, MAGIC, ROWS, NotArray, read

numpy: Any = pytest.importorskip("numpy")


def npy(array: Any, **how: Any) -> bytes:
    out = io.BytesIO()
    numpy.save(out, array, **how)
    return out.getvalue()


@pytest.mark.parametrize(
    "dtype",
    ["?", "i1", "<i2", ">i4", "i8", "u1", ">u2", "u4", "u8", "f2", ">f4", "f8", "c8", "c16"],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_are_those_that_numpy_sees(dtype: str, order: str) -> None:
    array = numpy.array([[0, 1, 2], [3, 40, 1]]).astype(dtype, order=order)
    found = read(npy(array))
    assert tuple(found.shape) == (2, 3)
    shown = [[complex(cell) if "c" in dtype else cell for cell in row] for row in found.rows]
    if dtype == "?":
        assert shown == [["False", "True", "True"], ["True", "True", "True"]]
    elif "c" in dtype:
        assert shown == array.tolist()
    else:
        assert [[float(cell) for cell in row] for row in shown] == array.tolist()


@pytest.mark.parametrize(
    ("array", "rows"),
    [
        (numpy.array(["a", "größe"]), [["a"], ["größe"]]),
        (numpy.array([b"a", b"bc"]), [["a"], ["bc"]]),
        (numpy.array(["2026-01-02", "NaT"], "M8[D]"), [["2026-01-02T00:00:00"], ["NaT"]]),
        (numpy.array([90], "m8[m]"), [["1:30:00"]]),
        (numpy.float64(0.1), [["0.1"]]),
        (numpy.array([(1, 2.5)], dtype=[("a", "<i4"), ("b", "f8")]), [["1", "2.5"]]),
        (numpy.zeros((2, 0)), []),
        (numpy.arange(24).reshape(2, 3, 4)[:, :2, :2], [["0", "1"], ["4", "5"]]),
        (numpy.asfortranarray(numpy.arange(8).reshape(2, 2, 2)), [["0", "1"], ["2", "3"]]),
        (numpy.array([numpy.nan, -numpy.inf]), [["nan"], ["-inf"]]),
    ],
)
def test_every_shape_and_type_begins_as_it_should(array: Any, rows: list[list[str]]) -> None:
    assert [list(row) for row in read(npy(array)).rows] == rows


def test_a_large_array_is_cut_and_says_by_how_much() -> None:
    found = read(npy(numpy.zeros((ROWS + 5, COLUMNS + 7))))
    assert (len(found.rows), len(found.rows[0])) == (ROWS, COLUMNS)
    assert (found.more_rows, found.more_columns) == (5, 7)


def test_what_a_piece_does_not_hold_is_a_gap() -> None:
    assert read(npy(numpy.arange(5))[:-12]).rows[3:] == [["…"], ["…"]]


def header(text: str) -> bytes:
    return MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text.encode()


HOSTILE = {
    "objects": npy(numpy.array([{}], dtype=object), allow_pickle=True),
    "nothing": b"",
    "text": b"hello",
    "code": header("{'descr': __import__('os').system('true'), 'shape': (1,)}"),
    "no shape": header("{'descr': '<f8'}"),
    "long": MAGIC + b"\x02\x00" + struct.pack("<I", 2**31) + b"x",
    "a type of its own": header("{'descr': '<q99', 'fortran_order': False, 'shape': (1,)}"),
    "nested": header("{'descr': [('a', [('b', '<i4')])], 'shape': (1,)}"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_array_says_why(data: bytes) -> None:
    with pytest.raises(NotArray):
        read(data)


def test_a_header_may_claim_what_it_likes() -> None:
    data = header("{'descr': '<f8', 'fortran_order': True, 'shape': (999999999999, 999999999999)}")
    found = read(data + b"\0" * 80)
    assert found.rows[0][:2] == ["0.0", "…"]
    assert read(header("{'descr': '<U999999999', 'shape': (3,)}")).rows == [["…"]] * 3


@given(st.binary(max_size=300))
def test_any_bytes_are_an_array_or_none(data: bytes) -> None:
    for text in (data, MAGIC + b"\x01\x00\xff\x00" + data):
        with suppress(NotArray):
            read(text)


def archive(**arrays: Any) -> io.BytesIO:
    out = io.BytesIO()
    numpy.savez_compressed(out, **arrays)
    return out


def test_an_archive_lists_its_arrays_and_shows_one() -> None:
    file = archive(weights=numpy.arange(6.0).reshape(2, 3), bias=numpy.ones(2))
    size = len(file.getvalue())

    listed, more = npz.members(file, size)

    assert [(one.name, one.array and tuple(one.array.shape)) for one in listed] == [
        ("weights", (2, 3)),
        ("bias", (2,)),
    ]
    assert more == 0
    assert npz.member(file, size, "weights").rows[1] == ["3.0", "4.0", "5.0"]
    with pytest.raises(LookupError):
        npz.member(file, size, "../weights")


def test_an_archive_that_would_fill_the_memory_does_not() -> None:
    file = archive(zeros=numpy.zeros(60_000_000, "u1"))
    size = len(file.getvalue())
    tracemalloc.start()
    found = npz.member(file, size, "zeros")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.count == 60_000_000
    assert peak < 8 * 1024 * 1024


def test_an_archive_of_very_many_parts_is_refused_unread() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for n in range(20_000):
            packed.writestr(f"{n:020}.npy", b"")
    with pytest.raises(NotArray, match="too many parts"):
        npz.members(out, len(out.getvalue()))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_archive_or_none(data: bytes) -> None:
    with pytest.raises(NotArray):
        npz.members(io.BytesIO(data), len(data))


def test_a_part_that_is_no_array_says_so_and_spoils_nothing() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("readme.txt", "hello")
        packed.writestr("b.npy", npy(numpy.ones(1)))
        packed.writestr("c.npy", HOSTILE["objects"], zipfile.ZIP_LZMA)
    listed, _ = npz.members(out, len(out.getvalue()))
    assert [(one.name, one.array is None) for one in listed] == [
        ("readme.txt", True),
        ("b", False),
        ("c", True),
    ]
