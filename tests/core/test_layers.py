"""A run's tasks as a drawing: folded, in layers, readable at any size."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.layers import MOST, UNFOLD, Leaf, draw


def leaves(tasks):
    """Leaves of {key: [deps]}; row ids are 100 and more."""
    return [Leaf(100 + n, n, key, deps) for n, (key, deps) in enumerate(tasks.items())]


def columns(drawing):
    """The names of the nodes by column, each from the top."""
    found = {}
    for node in sorted(drawing.nodes, key=lambda node: (node.x, node.y)):
        found.setdefault(node.x, []).append(node.name)
    return list(found.values())


def test_what_waits_stands_right_of_what_it_waits_for():
    tasks = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["a", "d"]}
    drawing = draw(leaves(tasks))
    assert columns(drawing) == [["a"], ["b", "c"], ["d"], ["e"]]
    assert len(drawing.edges) == 6 and not any(edge.is_back for edge in drawing.edges)
    assert all(edge.start[0] < edge.end[0] for edge in drawing.edges)


def test_a_group_is_one_node_and_unfolds():
    tasks = {"prep": [], **{f"sim.{i}": ["prep"] for i in range(9)}, "end": ["sim.3"]}
    folded = draw(leaves(tasks))
    assert columns(folded) == [["prep"], ["sim"], ["end"]]
    assert [len(node.ids) for node in folded.nodes if node.is_group] == [9]
    open_ = draw(leaves(tasks), {1})
    assert len(open_.nodes) == 11 and open_.unfolded == [(1, "sim")]
    assert len(open_.edges) == 10


def test_tasks_without_a_group_that_are_alike_fold_too():
    tasks = {
        "prep": [],
        **{f"t{i}": ["prep"] for i in range(50)},
        "end": [f"t{i}" for i in range(50)],
    }
    assert columns(draw(leaves(tasks))) == [["prep"], ["like t0"], ["end"]]


def test_groups_that_wait_for_each_other_are_drawn_with_a_line_back():
    tasks = {"a.1": [], "b.1": ["a.1"], "a.2": ["b.1"], "b.2": ["a.2"]}
    drawing = draw(leaves(tasks))
    assert columns(drawing) == [["a"], ["b"]]
    assert sorted(edge.is_back for edge in drawing.edges) == [False, True]


@pytest.mark.parametrize(
    "tasks",
    [
        {f"sample{i}.align": [] for i in range(5000)}
        | {f"sample{i}.sort": [f"sample{i}.align"] for i in range(5000)},
        {f"t{i}": [f"t{i - 1}"] if i else [] for i in range(10_000)},
        {chr(97 + i % 26) + f"{i}x.{i}": [] for i in range(10_000)},
        {f"sim{i // 500}.{i}": ["prep"] if i else [] for i in range(9_999)} | {"prep": []},
    ],
    ids=["samples", "a chain", "groups of one", "groups"],
)
def test_ten_thousand_tasks_are_a_drawing_that_can_be_read(tasks):
    began = time.perf_counter()
    drawing = draw(leaves(tasks))
    took = time.perf_counter() - began
    assert len(drawing.nodes) <= MOST
    assert sum(len(node.ids) for node in drawing.nodes) == len(tasks)
    assert took < 2, took


def test_a_node_too_large_stays_folded():
    tasks = {f"sim.{i}": [] for i in range(UNFOLD + 1)}
    drawing = draw(leaves(tasks), {0})
    assert len(drawing.nodes) == 1 and not drawing.nodes[0].can_unfold


@st.composite
def documents(draw_):
    keys = draw_(st.lists(st.from_regex(r"[ab]{1,2}(\.[0-9]{1,2})?", fullmatch=True), unique=True))
    return {key: [k for k in keys[:n] if draw_(st.booleans())] for n, key in enumerate(keys)}


@given(documents(), st.sets(st.integers(0, 20)))
def test_whatever_the_document_every_task_stands_in_one_place(tasks, unfolded):
    drawing = draw(leaves(tasks), unfolded)
    assert sorted(t for node in drawing.nodes for t in node.ids) == [
        100 + n for n in range(len(tasks))
    ]
    places = {(node.x, node.y) for node in drawing.nodes}
    assert len(places) == len(drawing.nodes)
    assert all(x < drawing.width and y < drawing.height for x, y in places)
    assert set(drawing.node_of) == {100 + n for n in range(len(tasks))}
