"""What tasks that join a run mean for those that wait in it: wildcards meet their new matches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripthut.core.workflow.graph import WILDCARD, followers, matching, needed_by


@dataclass(frozen=True)
class Waiting:
    """A pending task: its dependencies as they were written, and as they stand.

    `open`: the wildcards of it that wait for generators.
    """

    id: int
    key: str
    wanted: Sequence[str]
    deps: Sequence[str]
    open: Sequence[str] = ()


@dataclass(frozen=True)
class Joined:
    """What changes. `doomed`: tasks with a wildcard that nothing can match any more."""

    deps: Mapping[int, tuple[str, ...]]
    doomed: Mapping[int, str]  # row id -> the wildcard


def join(
    waiting: Sequence[Waiting],
    deps: Mapping[str, Sequence[str]],
    new: Sequence[str],
    makers: Sequence[str],
) -> Joined:
    """The new dependencies of pending tasks when the tasks `new` have joined their run.

    `deps`: of all tasks, the new ones too; `makers`: generators that may yet add tasks. A wildcard
    never means a task that itself waits for the one that has it. An open one also waits for
    generators that are new.
    """
    backwards = needed_by(list(deps), list(deps.values()))
    found: dict[str, list[str]] = {}
    changed: dict[int, tuple[str, ...]] = {}
    doomed: dict[int, str] = {}
    for task in waiting:
        patterns = [dep for dep in task.wanted if WILDCARD.search(dep) and dep not in deps]
        if not patterns:
            continue
        more: dict[str, None] = dict.fromkeys(task.deps)
        for pattern in patterns:
            if pattern not in found:
                found[pattern] = matching(pattern, new)
            more |= dict.fromkeys(found[pattern])
        if task.open:
            more |= dict.fromkeys(makers)
        if len(more) > len(task.deps):
            after = {task.key, *followers(task.key, backwards)}
            more = {key: None for key in more if key not in after or key in task.deps}
        if len(more) > len(task.deps):
            changed[task.id] = tuple(more)
        if hopeless := _hopeless(task, deps, more, makers):
            doomed[task.id] = hopeless
    return Joined(changed, doomed)


def _hopeless(
    task: Waiting, known: Mapping[str, object], deps: Mapping[str, None], makers: Sequence[str]
) -> str | None:
    """An open wildcard that matches nothing, when no generator is left that the task waits for."""
    if any(maker in deps for maker in makers):
        return None
    others = [key for key in known if key != task.key]
    return next((pattern for pattern in task.open if not matching(pattern, others)), None)
