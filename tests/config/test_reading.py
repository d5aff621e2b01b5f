"""A text that YAML or Python trips over is a wrong configuration, said by its line."""

import pytest

from scripthut.config import parse
from scripthut.config.reading import read
from scripthut.config.variables import overrides
from scripthut.core.errors import Invalid

LAUGHS = "".join(f"x-{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 10)}]}}\n" for n in range(1, 10))
CHAIN = "".join(f"x-{n}: &x{n} {'[' * 40}*x{n - 1}{']' * 40}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: 2026-13-45", "no timestamp"),
        ("x: !!int abc77", "no int"),
        ("x: !!float abc77", "no float"),
        ("x: !!bool abc77", "no bool"),
        ("x: !!timestamp abc77", "no timestamp"),
        ("x: " + "9" * 5000, "no int"),
        ("x: 0x" + "9" * 5000, "too large"),
        ("x: &a [*a]", "leads to what it stands in"),
        ("x: &a {<<: *a}", "leads to what it stands in"),
        ("x: " + "[" * 2000, "within each other"),
        ("x: " + "{a: " * 2000, "within each other"),
        ("x: 1\nx-0: &x0 a\n" + CHAIN, "within each other"),
        ("x: *abc77", "found undefined alias"),
        ("x: !abc77", "a constructor for the tag"),
        ("x: !abc77!a b", "found undefined tag handle"),
        ("x: &abc77 [&abc77 b]", "second occurrence"),
    ],
)
def test_what_cannot_be_read_is_said_by_its_line_and_without_its_value(
    text: str, said: str
) -> None:
    with pytest.raises(Invalid, match=said) as invalid:
        read(f"settings:\n  {text}\n" if "\n" not in text else text, "a.yaml")
    (problem,) = invalid.value.problems
    assert "line " in problem
    assert "abc77" not in problem and "2026" not in problem and "99" not in problem


def test_merges_of_merges_end() -> None:
    with pytest.raises(Invalid, match="more than 100000 parts"):
        read("x-0: &x0 {a: 1}\n" + LAUGHS, "a.yaml")


def test_aliases_beside_each_other_are_read() -> None:
    data = read("a: &a [1]\nb: [*a, *a]\nc: {<<: {d: *a}}", "a.yaml").data
    assert data == {"a": [1], "b": [[1], [1]], "c": {"d": [1]}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"trusted_proxies": ["proxy.example.org"]},
            "settings.trusted_proxies: 'proxy.example.org'",
        ),
        ({"workers": 65}, "settings.workers: 65 is more than 64"),
        ({"threads": 257}, "settings.threads: 257 is more than 256"),
    ],
)
def test_what_would_let_no_process_begin_is_no_configuration(
    settings: dict[str, object], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        parse({"settings": settings})


@pytest.mark.parametrize("value", ["2026-13-45", "!!bool a", "!!timestamp a", "[" * 2000])
def test_a_variable_that_cannot_be_read_is_said(value: str) -> None:
    with pytest.raises(Invalid, match="SCRIPTHUT_SETTINGS_WORKERS"):
        overrides({"SCRIPTHUT_SETTINGS_WORKERS": value})
