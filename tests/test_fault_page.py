"""docs/faults.md: every fault has a required behaviour and tests, and those exist."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "faults.md"
GROUPS = {  # the numbers that the page's parts have
    "submission": range(1, 13),
    "observation": range(20, 38),
    "outputs": range(40, 44),
    "server": range(50, 57),
    "all at once": range(60, 62),
}


@dataclass(frozen=True)
class Fault:
    """An entry of the page."""

    number: int
    required: str
    tests: tuple[str, ...]  # `file::[Class::]name`


def entries(text: str) -> list[Fault]:
    """What stands on the page."""
    found = []
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        number = re.match(r"(\d+)\. \S", part)
        assert number is not None, part
        lines = part.partition("\n## ")[0].splitlines()[1:]
        tests = tuple(line[3:-1] for line in lines if line.startswith("- `"))
        said = [line for line in lines if line and not line.startswith("- ")]
        found.append(Fault(int(number[1]), " ".join(said), tests))
    return found


def collected(file: str) -> set[str]:
    """The tests of a file, as `file::name` or `file::Class::name`."""
    return {f"{file}::{name}" for name in _names(ast.parse((ROOT / file).read_text()).body)}


def _names(body: list[ast.stmt], above: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield above + node.name
        elif isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{node.name}::")


FAULTS = entries(PAGE.read_text())


def test_no_entry_is_left_out() -> None:
    assert [fault.number for fault in FAULTS] == [n for part in GROUPS.values() for n in part]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.number))
def test_what_holds_an_entry_exists(fault: Fault) -> None:
    assert fault.required
    assert fault.tests
    for test in fault.tests:
        assert test in collected(test.partition("::")[0]), test


def test_a_test_that_does_not_exist_is_noticed() -> None:
    (planted,) = entries("# x\n\n### 7. It\nIs so.\n- `tests/test_fault_page.py::test_nothing`\n")
    assert planted == Fault(7, "Is so.", ("tests/test_fault_page.py::test_nothing",))
    assert planted.tests[0] not in collected("tests/test_fault_page.py")
    assert "tests/test_fault_page.py::test_no_entry_is_left_out" in collected(
        "tests/test_fault_page.py"
    )
