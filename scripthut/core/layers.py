"""Tasks and their dependencies as a drawing: alike tasks folded into one node, nodes in layers."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MOST = 160  # nodes of a drawing; with more, tasks are folded more coarsely
UNFOLD = 150  # tasks that a node may hold and still be unfolded
TWINS = 6  # tasks without a group that wait for the same, and are waited for alike, fold from here
WIDTH, HEIGHT, ACROSS, BETWEEN = 196, 50, 64, 14  # of a node, and what is between two
SWEEPS = 4


@dataclass(frozen=True)
class Leaf:
    """A task: its row, its place in the document, its id there, and the ids that it waits for."""

    id: int
    n: int
    key: str
    deps: Sequence[str]


@dataclass(frozen=True)
class Node:
    """One task, or many folded into one. `first` is the place of its first: its name here."""

    first: int
    name: str
    ids: tuple[int, ...]  # row ids
    key: str  # of its first task
    x: int = 0
    y: int = 0

    @property
    def is_group(self) -> bool:
        return len(self.ids) > 1

    @property
    def can_unfold(self) -> bool:
        return 1 < len(self.ids) <= UNFOLD


@dataclass(frozen=True)
class Edge:
    """A line from what is waited for to what waits. `is_back`: it goes against the layers."""

    start: tuple[int, int]
    end: tuple[int, int]
    is_back: bool = False


@dataclass(frozen=True)
class Drawing:
    """Where everything stands. `node_of`: a task's row -> the name of its node."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    width: int
    height: int
    node_of: Mapping[int, int]
    unfolded: Sequence[tuple[int, str]] = field(default=())  # name and title of what was unfolded


def draw(leaves: Sequence[Leaf], unfolded: Collection[int] = ()) -> Drawing:
    """The drawing of a run; nodes named in `unfolded` are drawn task by task."""
    for way in (_by_group, _by_pattern, _by_head, _by_depth):
        nodes, node_of, opened = _fold(leaves, way(leaves), unfolded)
        if len(nodes) - sum(1 for _ in opened) * UNFOLD <= MOST:
            break
    links = _links(leaves, node_of)
    layers, back = _layers([node.first for node in nodes], links)
    order = _ordered(layers, links - back)
    tallest = max((len(layer) for layer in order), default=0) * (HEIGHT + BETWEEN)
    placed = {}
    by_name = {node.first: node for node in nodes}
    for column, layer in enumerate(order):
        top = (tallest - len(layer) * (HEIGHT + BETWEEN)) // 2
        for row, name in enumerate(layer):
            node = by_name[name]
            x, y = column * (WIDTH + ACROSS) + 8, top + row * (HEIGHT + BETWEEN) + 8
            placed[name] = Node(node.first, node.name, node.ids, node.key, x, y)
    edges = [_edge(placed[a], placed[b], (a, b) in back) for a, b in sorted(links)]
    width = len(order) * (WIDTH + ACROSS) - ACROSS + 16
    return Drawing(list(placed.values()), edges, width, tallest + 16, node_of, opened)


NameOf = Callable[[Leaf], str]
"""What tasks fold by; an empty name folds with nothing."""


def _by_group(leaves: Sequence[Leaf]) -> NameOf:
    """By what stands before the last dot; without one, by what is waited for and what waits."""
    waits: dict[str, list[int]] = defaultdict(list)
    for leaf in leaves:
        for dep in leaf.deps:
            waits[dep].append(leaf.n)
    alike: dict[tuple[tuple[str, ...], tuple[int, ...]], list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        if "." not in leaf.key:
            alike[tuple(leaf.deps), tuple(waits[leaf.key])].append(leaf)
    twins = {
        leaf.n: f"like {found[0].key}"
        for found in alike.values()
        if len(found) >= TWINS
        for leaf in found
    }
    return lambda leaf: leaf.key.rpartition(".")[0] or twins.get(leaf.n, "")


def _by_pattern(_leaves: Sequence[Leaf]) -> NameOf:
    return lambda leaf: re.sub(r"\d+", "…", leaf.key)


def _by_head(_leaves: Sequence[Leaf]) -> NameOf:
    return lambda leaf: re.sub(r"[\d._-].*", "", leaf.key) + "…"


def _by_depth(leaves: Sequence[Leaf]) -> NameOf:
    place = {leaf.key: leaf.n for leaf in leaves}
    links = {(place[dep], leaf.n) for leaf in leaves for dep in leaf.deps if dep in place}
    layers, _ = _layers([leaf.n for leaf in leaves], links)
    steps = max(1, len(layers) * 2 // MOST)  # layers that are one step, of very many
    depth = {n: f"step {k // steps + 1}" for k, layer in enumerate(layers) for n in layer}
    return lambda leaf: depth[leaf.n]


def _fold(
    leaves: Sequence[Leaf], name_of: NameOf, unfolded: Collection[int]
) -> tuple[list[Node], dict[int, int], list[tuple[int, str]]]:
    members: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        members[name_of(leaf) or f"\0{leaf.n}"].append(leaf)
    nodes, opened = [], []
    for name, found in members.items():
        first = found[0]
        is_open = first.n in unfolded and 1 < len(found) <= UNFOLD
        if is_open:
            opened.append((first.n, name))
        if is_open or len(found) == 1:
            nodes += [Node(leaf.n, leaf.key, (leaf.id,), leaf.key) for leaf in found]
        else:
            nodes.append(Node(first.n, name, tuple(leaf.id for leaf in found), first.key))
    nodes.sort(key=lambda node: node.first)
    return nodes, {task: node.first for node in nodes for task in node.ids}, opened


def _links(leaves: Iterable[Leaf], node_of: Mapping[int, int]) -> set[tuple[int, int]]:
    leaves = list(leaves)
    node_of_key = {leaf.key: node_of[leaf.id] for leaf in leaves}
    found = set()
    for leaf in leaves:
        here = node_of[leaf.id]
        found |= {(node_of_key[dep], here) for dep in leaf.deps if dep in node_of_key}
    return {(a, b) for a, b in found if a != b}


def _layers(
    names: Sequence[int], links: Collection[tuple[int, int]]
) -> tuple[list[list[int]], set[tuple[int, int]]]:
    """The nodes by the longest way to them; and the links that would make a circle without end.

    Folding can make circles. The first of those that wait for each other is then taken as it is.
    """
    following, before = defaultdict(list), dict.fromkeys(names, 0)
    for a, b in sorted(links):
        following[a].append(b)
        before[b] += 1
    depth, done, back = dict.fromkeys(names, 0), set[int](), set[tuple[int, int]]()
    ready = [name for name in names if not before[name]]
    while len(done) < len(names):
        if not ready:
            ready = [next(name for name in names if name not in done)]
        name = ready.pop()
        done.add(name)
        for after in following[name]:
            before[after] -= 1
            if after in done:
                back.add((name, after))
                continue
            depth[after] = max(depth[after], depth[name] + 1)
            if not before[after]:
                ready.append(after)
    layers: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in names:
        layers[depth[name]].append(name)
    return [layer for layer in layers if layer], back


def _ordered(layers: list[list[int]], links: Collection[tuple[int, int]]) -> list[list[int]]:
    """The layers with each node near the middle of those that it is linked with."""
    near: dict[int, list[int]] = defaultdict(list)
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    for sweep in range(SWEEPS):
        place = {name: i / len(layer) for layer in layers for i, name in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            middle = {
                name: sum(place[other] for other in near[name]) / len(near[name])
                if near[name]
                else place[name]
                for name in layer
            }
            layer.sort(key=lambda name: (middle[name], name))
            place |= {name: i / len(layer) for i, name in enumerate(layer)}
    return layers


def _edge(a: Node, b: Node, is_back: bool) -> Edge:
    return Edge((a.x + WIDTH, a.y + HEIGHT // 2), (b.x, b.y + HEIGHT // 2), is_back)
