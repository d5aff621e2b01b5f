"""A run's tasks as a table: groups that fold, or the list of those that were searched for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from zlib import crc32

from flask import g, request

from scripthut.core.errors import NotFound
from scripthut.store import runs, search
from scripthut.store.runs import Group, Mark, RunRow, TaskRow
from scripthut.web.runs.look import Look

WHOLE = 250  # tasks up to which a run's page holds every row from the start
CHUNK = 100  # rows, or groups, that arrive at a time beyond that
NEWS = 300  # rows that one answer about changes carries at most


@dataclass(frozen=True)
class Listed:
    """The rows of a search that a page has: the first of all that were found."""

    tasks: Sequence[TaskRow]  # in the order that was asked for
    rows: int  # how many the page then has
    mark: str  # a fingerprint of which they are
    total: int
    next: int | None  # where the following rows begin; None: there are none


def context(run: RunRow, look: Look) -> dict[str, object]:
    """What the table of a run's page needs."""
    if look.is_narrow:
        return {"listed": listed(run, look, 0)}
    return {"listed": None, **groups(run, 0)}


def groups(run: RunRow, start: int) -> dict[str, object]:
    """A run's groups: all of a small run's, with their rows; else some at a time, folded."""
    found = runs.groups(g.session, run.id)
    if run.total <= WHOLE:
        rows = {task.id: task for task in runs.tasks(g.session, run.id)}
        return {"groups": found, "rows": rows, "shown": None, "next_group": None}
    end = start + CHUNK
    return {
        "groups": found[start:end],
        "rows": {},
        "shown": min(end, len(found)),
        "next_group": end if end < len(found) else None,
    }


def group(run_id: str, first: int) -> Group:
    """The group whose first task is at this place of the document; NotFound."""
    for found in runs.groups(g.session, run_id):
        if found.first == first:
            return found
    raise NotFound(f"The run {run_id} has no group of tasks that begins at {first}.")


def listed(run: RunRow, look: Look, start: int, end: int | None = None) -> Listed:
    """What was searched for, from row `start` to row `end` of all that were found."""
    end = start + CHUNK if end is None else end
    ids = search.found(g.session, run.id, look.wish, 0, end + 1)
    shown = ids[:end]
    rows = {task.id: task for task in runs.tasks_by_id(g.session, shown[start:])}
    return Listed(
        tasks=[rows[task_id] for task_id in shown[start:]],
        rows=len(shown),
        mark=f"{crc32(repr(shown).encode()):08x}",
        total=search.count(g.session, run.id, look.wish),
        next=end if len(ids) > end else None,
    )


def news(run: RunRow, look: Look, changed: list[Mark]) -> dict[str, object]:
    """What an open table must learn: the changed rows that it has, its groups' counts."""
    if look.is_narrow:
        return _news_of_list(run, look, {mark.task_id for mark in changed})
    ids = {mark.task_id for mark in changed}
    grouped = runs.groups(g.session, run.id) if ids else []
    on_page = grouped[: max(request.args.getlist("shown", int), default=len(grouped))]
    shown = _shown(run, changed, grouped)
    return {
        "mark": shown[NEWS - 1] if len(shown) > NEWS else Mark(run.version),
        "tasks": runs.tasks_by_id(g.session, [m.task_id for m in shown[:NEWS]]),
        "groups": [group for group in on_page if not ids.isdisjoint(group.ids)],
    }


def _news_of_list(run: RunRow, look: Look, ids: Collection[int]) -> dict[str, object]:
    """The changed rows of a list; all of it when it is no longer the same tasks."""
    had = max(request.args.getlist("rows", int), default=0)
    found = listed(run, look, 0, max(had, CHUNK))
    is_same = found.mark in request.args.getlist("listed")
    changed = [task for task in found.tasks if task.id in ids]
    return {"tasks": changed if is_same else [], "relisted": None if is_same else found}


def _shown(run: RunRow, changed: list[Mark], grouped: list[Group]) -> list[Mark]:
    """The changed tasks whose rows the page may hold: all of a small run's, else of open groups."""
    if run.total <= WHOLE:
        return changed
    opened = set(request.args.getlist("open", int))
    ids = {task_id for group in grouped if group.first in opened for task_id in group.ids}
    return [mark for mark in changed if mark.task_id in ids]
