"""Metrics from plain files, whatever is in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.measures import figures, grids, metrics
from scripthut.core.measures.figures import Figures, Source
from scripthut.core.measures.metrics import DEPTH, ITEMS, NAME, NAMES, POINTS, WORDS, Curve, Metrics


def of(text: str, path: str = "metrics.json") -> Metrics:
    return metrics.read(path, text.encode())


def test_nested_values_get_dotted_names() -> None:
    found = of('{"a": {"b": {"c": 1}}, "v": [1, 2.5], "on": true, "by": "adam", "no": null}')

    assert found.values == {"a.b.c": 1, "v.0": 1, "v.1": 2.5, "on": True, "by": "adam"}
    assert found.note is None


def test_what_no_json_can_say_is_a_word_that_sorts_as_a_number() -> None:
    found = of('{"a": NaN, "b": Infinity, "c": -Infinity, "d": 1e999, "e": 123456789012345678901}')

    assert found.values == {
        "a": "NaN",
        "b": "Infinity",
        "c": "-Infinity",
        "d": "Infinity",
        "e": 1.2345678901234568e20,
    }
    assert metrics.number("NaN") != metrics.number("NaN")
    assert not metrics.is_finite(found.values["b"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", None),
        ("3", "is no mapping"),
        ("[1, 2]", "is no mapping"),
        (" " * (metrics.WHOLE + 1), "is too long"),
    ],
    ids=["empty", "cut", "deep", "long number", "number", "list", "long"],
)
def test_a_file_that_is_none_says_why(text: str, says: str | None) -> None:
    note = of(text).note
    assert (note is None) if says is None else (note is not None and note.startswith(says))


def test_a_hostile_file_is_bounded() -> None:
    wide = of(json.dumps({f"n{i}": i for i in range(20_000)}))
    deep: object = 1
    for _ in range(200):
        deep = {"d": deep}
    long = of(json.dumps({"x" * 10_000: "y" * 10_000, "\x00\u202e\ud800": 1, "l": [0] * 1000}))

    assert len(wide.values) == NAMES
    assert wide.note == f"holds more than {NAMES} metrics, of which the first ones are read"
    assert of(json.dumps({"deep": deep})).values == {}
    assert [len(name) for name in long.values][:1] == [NAME]
    assert [len(str(value)) for value in long.values.values()][:1] == [WORDS]
    assert all(name.isprintable() for name in long.values)
    assert not any(name.startswith("l.") for name in long.values), f"more than {ITEMS} items"
    assert DEPTH < 200


def test_rows_give_the_last_value_and_the_course() -> None:
    text = "".join(
        json.dumps({"step": 10 * n, "loss": 1 / (n + 1), "note": "x"}) + "\n" for n in range(5)
    )
    found = of(text + '{"step": 50, "acc": 0.5}\n', "metrics.jsonl")

    assert found.values == {"step": 50, "loss": 0.2, "note": "x", "acc": 0.5}
    assert found.curves["loss"] == Curve((0, 10, 20, 30, 40), (1, 1 / 2, 1 / 3, 1 / 4, 1 / 5))
    assert "acc" not in found.curves, "one point is no course"


def test_a_line_that_is_still_being_written_is_no_error() -> None:
    assert of('{"a": 1}\n{"a": 2', "metrics.jsonl") == Metrics({"a": 1}, {}, None)


def test_numbers_may_be_written_as_bc_does() -> None:
    found = of('{"a": .5, "b":-.25, "c": [.5, "x: .5"]}\n', "metrics.jsonl")
    assert found.values == {"a": 0.5, "b": -0.25, "c.0": 0.5, "c.1": "x: .5"}


def test_broken_lines_are_counted() -> None:
    found = of('{"a": 1}\nnoise\n[1]\n{"a": NaN}\n{"a": 3}\n', "metrics.jsonl")

    assert found.note == "has 2 lines that cannot be read"
    assert found.curves["a"].y == (1, None, 3)


def test_a_long_course_keeps_its_shape_and_its_end() -> None:
    text = "".join(f'{{"v": {n}}}\n' for n in range(10_001))
    curve = of(text, "metrics.jsonl").curves["v"]

    assert len(curve.x) <= POINTS
    assert curve.y[-1] == 10_000


def test_a_table_of_rows_is_read_as_csv_loggers_write_it() -> None:
    text = "epoch,train,val\r\n0,0.9,\r\n0,,0.8\r\n1,0.5,\r\n1,,nan\r\n"
    found = of(text, "run/metrics.csv")

    assert found.values == {"run.epoch": 1, "run.train": 0.5, "run.val": "NaN"}
    assert found.curves["run.train"] == Curve((0, 1), (0.9, 0.5))


@given(st.binary(max_size=400), st.sampled_from(sorted(metrics.FILES)))
def test_any_bytes_are_read(data: bytes, name: str) -> None:
    found = metrics.read(name, data)
    again = figures.opened(figures.kept(Figures(found)))
    assert again.metrics.values == found.values


@given(st.text(alphabet="|-: \n0.5ab*`", max_size=200))
def test_any_document_is_read(text: str) -> None:
    for name in figures.opened(figures.read("x.md", text.encode())).metrics.values:
        assert name


def test_tables_of_a_summary_that_are_metrics() -> None:
    def of_text(text: str) -> dict[str, object]:
        return dict(grids.metrics_of(grids.in_markdown(text)))

    assert of_text("| a | b |\n|--|--|\n| 1 | 2 |\n| 3 | 4 |") == {}, "two rows are no set"
    assert of_text("| name | a |\n|--|--|\n| x | y |") == {}, "there is no number"
    assert of_text("| a | b | c |\n|--|--|--|\n| fold 1 | 2 | `1,024` |") == {
        "a": "fold 1",
        "b": 2,
        "c": 1024,
    }
    assert of_text("> | k | v |\n> |--|--|\n> | [t](x) | 1.5 s |") == {"t s": 1.5}


def test_the_first_word_on_a_name_stays() -> None:
    named = Metrics({"loss": 0.123}, {}, None)
    rows = Metrics({"loss": 0.12, "acc": 1}, {"loss": Curve((0, 1), (1, 2))}, "is odd")

    found = figures.joined([("metrics.json", named), ("metrics.jsonl", rows)])

    assert found.values == {"loss": 0.123, "acc": 1}
    assert "loss" in found.curves
    assert found.note == "metrics.jsonl is odd."


def test_a_change_of_any_file_changes_the_mark() -> None:
    one = [Source("metrics.json", "a" * 64)]
    assert figures.mark(one) != figures.mark([Source("metrics.json", "b" * 64)])
    assert figures.mark(one) != figures.mark([])
    assert figures.mark(one) == figures.mark(list(one))
