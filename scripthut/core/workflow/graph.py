"""The graph of a document's tasks: wildcard dependencies, cycles, and what a broken task breaks."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from scripthut.core.states import BROKEN, State

WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Beside:
    """What a run has already when a document joins it."""

    ids: Sequence[str] = ()
    generators: Sequence[str] = ()  # those of them that may yet add tasks


NOTHING = Beside()


@dataclass(frozen=True)
class Found:
    """Dependencies by task. `open`: wildcards that match nothing yet and wait for generators."""

    deps: tuple[tuple[str, ...], ...]
    open: tuple[tuple[str, ...], ...] = ()
    problems: tuple[str, ...] = ()  # each begins with its place


def resolve(
    ids: Sequence[str],
    deps: Sequence[Sequence[str]],
    generators: Sequence[str] = (),
    beside: Beside = NOTHING,
) -> Found:
    """Each task's dependencies with wildcards resolved, and what is wrong with them.

    A wildcard stands for every other task that it matches, in the run's order. One that matches
    nothing waits for all generators that do not wait for this task, and for what they add.

    >>> resolve(["a.1", "a.2", "b"], [[], [], ["a.*"]]).deps
    ((), (), ('a.1', 'a.2'))
    >>> found = resolve(["make", "join"], [[], ["sim.*"]], ["make"])
    >>> found.deps, found.open
    (((), ('make',)), ((), ('sim.*',)))
    """
    wild = _Wildcards([*beside.ids, *ids], [*beside.generators, *generators])
    problems = _twice(ids, beside.ids)
    expanded: list[tuple[str, ...]] = []
    opened: list[tuple[str, ...]] = []
    for i, (own, wanted) in enumerate(zip(ids, deps, strict=True)):
        found, waiting, wrong = wild.expand(own, wanted)
        expanded.append(found)
        opened.append(waiting)
        problems += [f"tasks[{i}].deps{where}" for where in wrong]
    if not problems:
        expanded, problems = _await(ids, expanded, opened, wild.makers)
    if not problems:
        own_ids = set(ids)  # what the run has already waits for nothing that is new
        if loop := cycle(ids, [[dep for dep in some if dep in own_ids] for some in expanded]):
            problems.append("tasks: the dependencies go in a circle: " + " -> ".join(loop))
    return Found(tuple(expanded), tuple(opened), tuple(problems))


class _Wildcards:
    """Expands dependencies; each pattern is matched once, however many tasks have it."""

    def __init__(self, ids: Sequence[str], makers: Sequence[str]) -> None:
        self.makers = makers
        self._ids = ids
        self._known = set(ids)
        self._found: dict[str, list[str]] = {}

    def expand(
        self, own: str, wanted: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
        """A task's dependencies, the wildcards among them that match nothing, what is wrong."""
        found: dict[str, None] = {}
        waiting: list[str] = []
        problems: list[str] = []
        for k, dep in enumerate(wanted):
            if dep == own:
                problems.append(f"[{k}]: a task cannot depend on itself")
            elif dep in self._known:
                found[dep] = None
            elif not WILDCARD.search(dep):
                problems.append(f'[{k}]: there is no task "{dep}"')
            elif others := [other for other in self._matching(dep) if other != own]:
                found |= dict.fromkeys(others)
            elif any(maker != own for maker in self.makers):
                waiting.append(dep)
            else:
                problems.append(f'[{k}]: no task\'s id matches "{dep}"')
        return tuple(found), tuple(waiting), problems

    def _matching(self, pattern: str) -> list[str]:
        if pattern not in self._found:
            self._found[pattern] = matching(pattern, self._ids)
        return self._found[pattern]


def matching(pattern: str, ids: Iterable[str]) -> list[str]:
    """The ids that a wildcard matches, in their order."""
    match = re.compile(translate(pattern)).match
    return [one for one in ids if match(one)]


def _await(
    ids: Sequence[str],
    deps: Sequence[tuple[str, ...]],
    opened: Sequence[tuple[str, ...]],
    makers: Sequence[str],
) -> tuple[list[tuple[str, ...]], list[str]]:
    """The dependencies, with the generators that open wildcards wait for; what is wrong."""
    found, problems = list(deps), []
    backwards = needed_by(ids, deps) if any(opened) else {}
    for i, (own, waiting) in enumerate(zip(ids, opened, strict=True)):
        if not waiting:
            continue
        after = {own, *followers(own, backwards)}
        before = [maker for maker in makers if maker not in after]
        found[i] = tuple(dict.fromkeys([*found[i], *before]))
        if not before:
            problems.append(
                f'tasks[{i}].deps: no task\'s id matches "{waiting[0]}", and every generator that '
                "could add one waits for this task"
            )
    return found, problems


def needed_by(ids: Sequence[str], deps: Sequence[Iterable[str]]) -> dict[str, list[str]]:
    """Task -> the tasks that depend on it."""
    found: dict[str, list[str]] = {}
    for own, wanted in zip(ids, deps, strict=True):
        for dep in wanted:
            found.setdefault(dep, []).append(own)
    return found


def followers(own: str, backwards: Mapping[str, Sequence[str]]) -> set[str]:
    """All tasks that wait for this one, through whole chains."""
    reached: set[str] = set()
    open_ = [own]
    while open_:
        for other in backwards.get(open_.pop(), ()):
            if other not in reached:
                reached.add(other)
                open_.append(other)
    return reached


def _twice(ids: Sequence[str], before: Sequence[str]) -> list[str]:
    first: dict[str, int] = {}
    earlier = set(before)
    problems = []
    for i, own in enumerate(ids):
        if own in earlier:
            problems.append(f'tasks[{i}].id: the run has a task "{own}" already')
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
