"""Wildcards, cycles, cascade, ready."""

from scripthut.core.states import State
from scripthut.core.workflow.graph import Node, cascade, cycle, ready, resolve


def test_a_wildcard_stands_for_every_other_match_in_order() -> None:
    found = resolve(["s.2", "s.10", "s.all", "t"], [[], [], ["s.*"], ["s.?", "s.2"]])
    deps, problems = found.deps, found.problems
    assert problems == ()
    assert deps == ((), (), ("s.2", "s.10"), ("s.2",))


def test_every_problem_is_named_by_its_place() -> None:
    problems = list(resolve(["a", "a", "b"], [["a"], ["nope"], ["x*"]]).problems)
    assert problems == [
        'tasks[1].id: "a" is the id of tasks[0] already',
        "tasks[0].deps[0]: a task cannot depend on itself",
        'tasks[1].deps[0]: there is no task "nope"',
        'tasks[2].deps[0]: no task\'s id matches "x*"',
    ]


def test_a_cycle_is_refused_and_shown() -> None:
    problems = list(resolve(["in", "a", "b", "c"], [[], ["in", "c"], ["a"], ["b"]]).problems)
    assert problems == ["tasks: the dependencies go in a circle: a -> c -> b -> a"]


def test_a_chain_of_ten_thousand_tasks_is_no_problem() -> None:
    ids = [f"t{i}" for i in range(10_000)]
    deps = [[ids[i - 1]] if i else [] for i in range(10_000)]
    assert cycle(ids, deps) == []
    assert cycle(ids, [[ids[-1]], *deps[1:]])[:2] == ["t0", "t9999"]


def nodes(*rows: tuple[str, State, list[str]]) -> list[Node]:
    return [Node(i, key, state, deps) for i, (key, state, deps) in enumerate(rows)]


def test_a_task_is_ready_when_all_its_dependencies_completed() -> None:
    graph = nodes(
        ("a", State.COMPLETED, []),
        ("b", State.SETTLING, []),
        ("c", State.PENDING, ["a"]),
        ("d", State.PENDING, ["a", "b"]),
    )
    assert [node.key for node in ready(graph)] == ["c"]


def test_a_broken_task_breaks_whole_chains_and_nothing_that_runs() -> None:
    graph = nodes(
        ("a", State.FAILED, []),
        ("b", State.PENDING, ["a"]),
        ("c", State.PENDING, ["b"]),
        ("d", State.RUNNING, ["a"]),
        ("e", State.PENDING, []),
    )
    assert cascade(graph) == {1: "a", 2: "b"}


def test_a_lost_task_makes_its_dependents_wait() -> None:
    graph = nodes(("a", State.LOST, []), ("b", State.PENDING, ["a"]))
    assert cascade(graph) == {}
    assert ready(graph) == []
