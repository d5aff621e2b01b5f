"""What differs between two, and by how much."""

from hypothesis import example, given
from hypothesis import strategies as st

from scripthut.core.measures.compare import Cell, Way, change, grids, metrics
from scripthut.core.measures.grids import Grid

TEXTS = st.lists(st.lists(st.sampled_from(["", "a", "b", "1", "2.5"]), max_size=3), max_size=4)


def test_rows_are_matched_by_their_names_wherever_they_stand() -> None:
    found = grids(
        Grid(["fold", "loss"], [["a", "0.5"], ["b", "0.4"], ["c", "1"]]),
        Grid(["fold", "loss"], [["b", "0.3"], ["a", "0.5"], ["d", "2"]]),
    )

    assert [(row.cells[0].after or row.cells[0].before, row.way) for row in found.rows] == [
        ("a", Way.SAME),
        ("b", Way.CHANGED),
        ("c", Way.REMOVED),
        ("d", Way.ADDED),
    ]
    assert found.rows[1].cells[1] == Cell("0.4", "0.3", "-0.1 (-25 %)")
    assert found.count == 3


def test_rows_without_names_are_matched_by_their_places() -> None:
    found = grids(Grid(["x"], [["1"], ["1"]]), Grid(["x"], [["1"], ["2"], ["3"]]))
    assert [row.way for row in found.rows] == [Way.SAME, Way.CHANGED, Way.ADDED]


def test_columns_are_matched_by_their_names() -> None:
    found = grids(Grid(["k", "a"], [["x", "1"]]), Grid(["k", "b", "a"], [["x", "7", "2"]]))
    assert list(found.header) == ["k", "a", "b"]
    assert [(c.before, c.after) for c in found.rows[0].cells] == [("x", "x"), ("1", "2"), ("", "7")]


@given(TEXTS, TEXTS)
def test_any_two_tables_are_compared(one: list[list[str]], other: list[list[str]]) -> None:
    found = grids(Grid(one[0] if one else [], one[1:]), Grid(other[0] if other else [], other[1:]))
    assert all(len(row.cells) == len(found.header) for row in found.rows)


@given(TEXTS)
def test_a_table_does_not_differ_from_itself(table: list[list[str]]) -> None:
    width = len(table[0]) if table else 0
    rows = [(row + [""] * width)[:width] for row in table[1:]]
    grid = Grid(table[0] if table else [], rows)
    assert grids(grid, grid).count == 0


@given(st.floats(), st.floats())
@example(2.2e-308, 1.0)
def test_any_change_is_one_line(one: float, other: float) -> None:
    assert "nan" not in change(one, other)
    assert "inf" not in change(one, other)


def test_metrics_of_several_runs_stand_in_one_row_each() -> None:
    found = metrics([{"a": {"x": 1, "y": "u"}}, {"b": {"x": 3}, "a": {"x": 2, "y": "u"}}])
    assert [(m.key, m.name, list(m.values), m.differs) for m in found] == [
        ("a", "x", [1, 2], True),
        ("a", "y", ["u", "u"], False),
        ("b", "x", [None, 3], True),
    ]
