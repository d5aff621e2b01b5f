"""Runs as older versions kept them, read one by one."""

from typing import Any

import pytest

from scripthut.core.jobs import Used
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


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"error": "Cancelled"}, "cancelled"),
        ({"error": "Cancelled (qdel)"}, "cancelled"),
        ({"error": "Scheduler: Cancelled"}, "cancelled"),
        ({"scheduler_state": "CANCELLED by 1000"}, "cancelled"),
        ({"error": "Non-zero exit code", "scheduler_state": "CANCELLED"}, "failed"),
        ({"error": "Cancelled the transaction: disk full"}, "failed"),
        ({}, "failed"),
    ],
)
def test_what_was_cancelled_is_not_said_to_have_failed(said: dict[str, str], state: str) -> None:
    found = read(item("a", "failed", **said))["a"]
    assert found.state.value == state
    assert found.reason == (said.get("error") or said.get("scheduler_state"))


def test_what_a_job_used_is_taken_over_where_it_is_known() -> None:
    one = item("a", max_rss="2G", cpu_efficiency=87.5)  # of an hour
    one["task"]["cpus"] = 4
    assert read(one)["a"].used == Used(2 * 1024**3, 3600 * 4 * 0.875)
    for wrong in ("87", True, -1, float("nan"), float("inf"), 0, None):
        assert read(item("a", cpu_efficiency=wrong))["a"].used == Used()
    assert read(item("a", cpu_efficiency=50, started_at=None))["a"].used == Used()


def test_no_task_waits_for_itself() -> None:
    assert read(a_task("a.1"), a_task("a.2", "a.*"))["a.2"].deps == ("a.1",)
