"""The graph of a document's tasks: wildcard dependencies, cycles, and what a broken task breaks."""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate

from scripthut.core.states import BROKEN, State

WILDCARD = re.compile(r"[*?\[]")


def resolve(
    ids: Sequence[str], deps: Sequence[Sequence[str]]
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Each task's dependencies with wildcards resolved, and what is wrong with them, by place.

    A wildcard stands for every other task that it matches, in the document's order.

    >>> resolve(["a.1", "a.2", "b"], [[], [], ["a.*"]])
    ([(), (), ('a.1', 'a.2')], [])
    """
    problems = _twice(ids)
    known, expanded = set(ids), []
    patterns: dict[str, list[str]] = {}
    for i, (own, wanted) in enumerate(zip(ids, deps, strict=True)):
        found: dict[str, None] = {}
        for k, dep in enumerate(wanted):
            where = f"tasks[{i}].deps[{k}]"
            if dep == own:
                problems.append(f"{where}: a task cannot depend on itself")
            elif dep in known:
                found[dep] = None
            elif WILDCARD.search(dep):
                if dep not in patterns:
                    match = re.compile(translate(dep)).match
                    patterns[dep] = [other for other in ids if match(other)]
                others = [other for other in patterns[dep] if other != own]
                found |= dict.fromkeys(others)
                if not others:
                    problems.append(f'{where}: no task\'s id matches "{dep}"')
            else:
                problems.append(f'{where}: there is no task "{dep}"')
        expanded.append(tuple(found))
    if not problems and (loop := cycle(ids, expanded)):
        problems.append("tasks: the dependencies go in a circle: " + " -> ".join(loop))
    return expanded, problems


def _twice(ids: Sequence[str]) -> list[str]:
    first: dict[str, int] = {}
    problems = []
    for i, own in enumerate(ids):
        if own in first:
            problems.append(f'tasks[{i}].id: "{own}" is the id of tasks[{first[own]}] already')
        first.setdefault(own, i)
    return problems


def cycle(ids: Sequence[str], deps: Sequence[Iterable[str]]) -> list[str]:
    """A circle of dependencies, its first task repeated at the end; empty when there is none.

    >>> cycle(["a", "b", "c"], [["b"], ["c"], ["a"]])
    ['a', 'b', 'c', 'a']
    """
    waits_for = {own: list(wanted) for own, wanted in zip(ids, deps, strict=True)}
    needed_by: dict[str, list[str]] = {own: [] for own in ids}
    for own, wanted in waits_for.items():
        for dep in wanted:
            needed_by[dep].append(own)
    left = {own: len(wanted) for own, wanted in waits_for.items()}
    free = deque(own for own, count in left.items() if not count)
    while free:
        own = free.popleft()
        del left[own]
        for other in needed_by[own]:
            left[other] -= 1
            if not left[other]:
                free.append(other)
    if not left:
        return []
    # Everything left waits for something left: walking backwards must come round.
    path: list[str] = []
    seen: dict[str, int] = {}
    at = next(iter(left))
    while at not in seen:
        seen[at] = len(path)
        path.append(at)
        at = next(dep for dep in waits_for[at] if dep in left)
    return [*path[seen[at] :], at]


@dataclass(frozen=True)
class Node:
    """A task as the planner sees it."""

    id: int
    key: str
    state: State
    deps: Sequence[str]


def ready(nodes: Sequence[Node]) -> list[Node]:
    """The pending tasks whose dependencies have all completed, in the document's order."""
    done = {node.key for node in nodes if node.state is State.COMPLETED}
    return [n for n in nodes if n.state is State.PENDING and done.issuperset(n.deps)]


def cascade(nodes: Sequence[Node]) -> dict[int, str]:
    """The pending tasks that can never start -> the key of a dependency that ended badly.

    Reaches through whole chains at once.
    """
    needed_by: dict[str, list[Node]] = {}
    for node in nodes:
        for dep in node.deps:
            needed_by.setdefault(dep, []).append(node)
    doomed: dict[int, str] = {}
    broken = deque(node.key for node in nodes if node.state in BROKEN)
    while broken:
        key = broken.popleft()
        for node in needed_by.get(key, ()):
            if node.state is State.PENDING and node.id not in doomed:
                doomed[node.id] = key
                broken.append(node.key)
    return doomed
