"""Runs as older versions kept them, read one by one."""

from typing import Any

import pytest

from scripthut.core.legacy import OldTask, read_run
from tests.older import item, task


def read(*items: dict[str, Any]) -> dict[str, OldTask]:
    """The tasks of a run that holds these items, by id."""
    run = {
        "id": "01d01d01",
        "workflow_name": "study/fit",
        "backend_name": "hpc",
        "created_at": "2025-03-01T10:00:00",
        "items": list(items),
    }
    return {one.key: one for one in read_run(run).tasks}


def a_task(name: str, *deps: str) -> dict[str, Any]:
    return {**item(name), "task": task(name, dependencies=list(deps))}


@pytest.mark.parametrize(
    ("ids", "dep", "meant"),
    [
        (["sim/1"], "sim/1", ["sim_1"]),
        (["sim 1"], "sim 1", ["sim_1"]),
        (["a[1]", "a1"], "a[1]", ["a_1_"]),  # an id goes before a pattern
        (["sim/1", "sim/2", "other"], "sim/*", ["sim_1", "sim_2"]),
        (["a b", "a_b"], "a_b", ["a_b_"]),  # it stood for itself, and stands for itself
        (["a"], "b", []),
    ],
)
def test_a_dependency_follows_the_task_that_is_called_otherwise(
    ids: list[str], dep: str, meant: list[str]
) -> None:
    end = read(*map(a_task, ids), a_task("end", dep))["end"]
    assert list(end.deps) == meant


def test_the_fields_of_a_task_name_its_dependencies_as_they_are_here() -> None:
    end = read(a_task("sim/1"), a_task("end", "sim/1", "sim/*"))["end"]
    assert end.spec["deps"] == ["sim_1", "sim/*"]


def test_no_task_waits_for_itself() -> None:
    assert read(a_task("a.1"), a_task("a.2", "a.*"))["a.2"].deps == ("a.1",)
