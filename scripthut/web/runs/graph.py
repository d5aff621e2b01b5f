"""A run's tasks as a graph: drawn once for its tasks, with the states as they are now."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from flask import g

from scripthut.core.layers import HEIGHT, WIDTH, Drawing, Node, draw
from scripthut.core.states import State
from scripthut.store import runs
from scripthut.store.db import Database
from scripthut.store.runs import Mark, RunRow
from scripthut.store.search import URGENT
from scripthut.web.extensions import database
from scripthut.web.runs.look import Look

DRAWN = 32  # drawings that are remembered: what waits for what does not change


@dataclass(frozen=True)
class Drawn:
    """A node with the states of its tasks; `state` is the one that a person should know of."""

    node: Node
    counts: Mapping[State, int]
    state: State


def context(run: RunRow, look: Look) -> dict[str, object]:
    """What the graph of a run's page needs."""
    drawing = _drawing(database(), run.id, run.total, look.unfold)
    states = runs.states(g.session, run.id)
    return {
        "drawing": drawing,
        "drawn": [_drawn(node, states) for node in drawing.nodes],
        "box": (WIDTH, HEIGHT),
    }


def news(run: RunRow, look: Look, changed: list[Mark]) -> dict[str, object]:
    """The nodes of an open graph that hold a task which changed."""
    drawing = _drawing(database(), run.id, run.total, look.unfold)
    names = {drawing.node_of.get(mark.task_id) for mark in changed}
    states = runs.states(g.session, run.id) if names else {}
    drawn = [_drawn(node, states) for node in drawing.nodes if node.first in names]
    return {"tasks": [], "drawn": drawn, "box": (WIDTH, HEIGHT)}


@lru_cache(maxsize=DRAWN)
def _drawing(source: Database, run_id: str, _total: int, unfold: Collection[int]) -> Drawing:
    """A run's drawing. A run whose tasks grew in number is another one."""
    with source.reading() as session:
        return draw(runs.leaves(session, run_id), unfold)


def _drawn(node: Node, states: Mapping[int, State]) -> Drawn:
    counts: dict[State, int] = {}
    for task in node.ids:
        state = states.get(task, State.PENDING)
        counts[state] = counts.get(state, 0) + 1
    return Drawn(node, counts, next(state for state in URGENT if state in counts))
