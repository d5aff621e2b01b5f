"""Tables of metrics as a reader wishes them, and the plots of them."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.measures import plot
from scripthut.core.measures.board import Line, Wish, board
from scripthut.core.measures.plot import HEIGHT, POINTS, WIDTH, Plot, Point

LINES = [
    Line("fit.a", "rate 1", "completed", {"loss": 0.5, "by": "adam", "ok": True}),
    Line("fit.b", "rate 2", "failed", {"loss": "NaN", "by": "sgd"}),
    Line("fit.c", "rate 3", "completed", {"loss": -1, "by": "sgd", "test loss": 3}),
    Line("prepare", "prepare", "completed", {}),
]


def keys(**wish: object) -> list[str]:
    return [line.key for line in board(LINES, Wish(**wish)).lines]  # type: ignore[arg-type]


def test_numbers_sort_by_size_and_what_is_none_is_last_both_ways() -> None:
    assert keys(sort="loss") == ["fit.c", "fit.a", "fit.b", "prepare"]
    assert keys(sort="loss", descending=True) == ["fit.a", "fit.c", "fit.b", "prepare"]
    assert keys(sort="by") == ["fit.a", "fit.b", "fit.c", "prepare"]
    assert keys(descending=True) == ["prepare", "fit.c", "fit.b", "fit.a"]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("loss<0.3", ["fit.c"]),
        ("loss <= 0.5", ["fit.a", "fit.c"]),
        ("loss>0 completed", ["fit.a"]),
        ("by=sgd", ["fit.b", "fit.c"]),
        ("by!=sgd", ["fit.a"]),
        ('"test loss"=3', ["fit.c"]),
        ("FIT.", ["fit.a", "fit.b", "fit.c"]),
        ("adam", ["fit.a"]),
        ("rate 2", ["fit.b"]),
        ("loss=NaN", []),
        ("ok=1", ["fit.a"]),
        ("", ["fit.a", "fit.b", "fit.c", "prepare"]),
    ],
)
def test_a_filter_takes_words_and_conditions(question: str, found: list[str]) -> None:
    assert keys(question=question) == found


def test_a_name_that_no_line_has_is_told() -> None:
    assert board(LINES, Wish(question="los<1")).unknown == ["los"]


def test_a_name_is_numeric_when_all_its_values_are() -> None:
    assert board(LINES, Wish()).numeric == {"loss", "ok", "test loss"}


@given(st.text(max_size=60))
def test_any_question_is_answered(question: str) -> None:
    assert len(keys(question=question)) <= len(LINES)


EXTREMES = [0.0, 5e-324, 1e308, -1e308, 1.5, 3.0, math.nan, math.inf, -math.inf]


def whole(found: Plot | None) -> Plot:
    assert found is not None
    return found


@given(
    st.lists(st.tuples(st.floats() | st.sampled_from(EXTREMES), st.floats()), max_size=30),
    st.booleans(),
)
def test_any_points_stand_inside_the_plot(points: list[tuple[float, float]], is_log: bool) -> None:
    found = plot.scatter([Point(x, y) for x, y in points], is_log)
    fine = [y for x, y in points if math.isfinite(x) and math.isfinite(y) and (y > 0 or not is_log)]
    assert (found is None) == (not fine)
    for dot in found.dots if found else ():
        assert 0 <= dot.x <= WIDTH
        assert 0 <= dot.y <= HEIGHT
    for tick in [*found.x_ticks, *found.y_ticks] if found else ():
        assert math.isfinite(tick.at)
    assert found is None or len(found.y_ticks) <= 12


def test_larger_values_stand_higher() -> None:
    low, high = whole(plot.scatter([Point(1, 1), Point(2, 10)])).dots
    assert (low.x < high.x, low.y > high.y) == (True, True)


def test_a_gap_in_a_course_parts_its_line() -> None:
    found = whole(plot.curves([plot.Line("a", [1, 2, 3, 4], [1, None, 3, 4])]))
    assert [len(piece.split()) for piece in found.paths[0].pieces] == [1, 2]
    assert all(re.fullmatch(r"[\d. ,]+", piece) for piece in found.paths[0].pieces)


def test_of_very_many_points_some_are_drawn_and_the_rest_is_told() -> None:
    found = whole(plot.scatter([Point(n, n) for n in range(10_000)]))
    assert len(found.dots) <= POINTS
    assert found.more == 10_000 - len(found.dots)
