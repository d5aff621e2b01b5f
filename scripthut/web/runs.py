"""The list of runs and a run's page, whole and in the pieces that change."""

from zlib import crc32

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound
from scripthut.store import backends, orders, runs, watches
from scripthut.store.runs import Group, Mark, RunRow
from scripthut.web.errors import wants_json
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx

bp = Blueprint("runs", __name__)

PAGE = 50  # runs on a page
WHOLE = 250  # tasks up to which a run's page holds every row from the start
CHUNK = 100  # rows, or groups, that arrive at a time beyond that
NEWS = 300  # rows that one answer about changes carries at most


@bp.get("/")
def index() -> str:
    """Show the runs, the newest first."""
    return render_template("runs/index.html", **_listing())


@bp.get("/runs/changes")
def list_changes() -> ResponseReturnValue:
    """Answer with the list of runs when it is not the one that the page has seen."""
    listing = _listing()
    if request.args.get("seen") == listing["seen"]:
        return "", 204
    return render_template("runs/_list_changes.html", **listing)


def _listing() -> dict[str, object]:
    before = request.args.get("before") or None
    found = runs.newest(g.session, PAGE + 1, before)
    shown = found[:PAGE]
    seen = f"{crc32(repr([(run.id, run.version) for run in found]).encode()):08x}"
    older = shown[-1].id if len(found) > PAGE else None
    return {
        "runs": shown,
        "seen": seen,
        "before": before,
        "older": older,
        "backend": config().backends[0].name,
    }


@bp.get("/runs/<run_id>")
def show(run_id: str) -> str:
    """Show a run; to htmx, the empty panel of a page whose task was closed."""
    if htmx.targets("panel"):
        return ""
    return page(run_id, None)


def page(run_id: str, panel: dict[str, object] | None) -> str:
    """A run's page, with a task's panel open or without."""
    run = runs.one(g.session, run_id)
    watches.renew(database(), run_id, 0, "run", utcnow())
    context = _live(run, Mark(run.version)) | _groups(run, 0)
    return render_template("runs/show.html", **context, panel=panel)


def _groups(run: RunRow, start: int) -> dict[str, object]:
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


@bp.get("/runs/<run_id>/groups")
def more_groups(run_id: str) -> str:
    """Answer with the next groups of a run that has too many for one page."""
    run = runs.one(g.session, run_id)
    context = _groups(run, request.args.get("from", 0, int))
    return render_template("runs/_groups.html", run=run, **context)


@bp.get("/runs/<run_id>/groups/<int:first>")
def group_rows(run_id: str, first: int) -> str:
    """Answer with a group's rows, some at a time."""
    run = runs.one(g.session, run_id)
    group = _group(run_id, first)
    start = request.args.get("from", 0, int)
    shown = runs.tasks_by_id(g.session, group.ids[start : start + CHUNK])
    following = start + CHUNK if len(group.ids) > start + CHUNK else None
    return render_template(
        "runs/_rows.html", run=run, group=group, tasks=shown, start=start, next_row=following
    )


def _group(run_id: str, first: int) -> Group:
    for group in runs.groups(g.session, run_id):
        if group.first == first:
            return group
    raise NotFound(f"The run {run_id} has no group of tasks that begins at {first}.")


@bp.get("/runs/<run_id>/changes")
def changes(run_id: str) -> ResponseReturnValue:
    """Answer with what changed after the version that the page has seen; 204: nothing."""
    since = Mark(request.args.get("since", 0, int), request.args.get("after", 0, int))
    pulse = runs.pulse(g.session, run_id)
    watches.renew(database(), run_id, 0, "run", utcnow())
    said = backends.health(g.session, pulse.backend).mark
    settled = pulse.ended_at is not None and runs.is_settled(g.session, run_id)
    if since == Mark(pulse.version) and said == request.args.get("health") and not settled:
        return "", 204
    return _news(runs.one(g.session, run_id), since)


def _news(run: RunRow, since: Mark) -> str:
    changed = runs.changed(g.session, run.id, since)
    ids = {mark.task_id for mark in changed}
    grouped = runs.groups(g.session, run.id) if ids else []
    on_page = grouped[: max(request.args.getlist("shown", int), default=len(grouped))]
    shown = _shown(run, changed, grouped)
    mark = shown[NEWS - 1] if len(shown) > NEWS else Mark(run.version)
    opened = request.args.get("task", 0, int)
    context = _live(run, mark) | {
        "tasks": runs.tasks_by_id(g.session, [m.task_id for m in shown[:NEWS]]),
        "groups": [group for group in on_page if not ids.isdisjoint(group.ids)],
        "opened": runs.tasks_by_id(g.session, {opened} & ids),
        "tab": request.args.get("tab", ""),
        "has_new_summary": run.summary_version > since.version,
    }
    return render_template("runs/_changes.html", **context)


def _shown(run: RunRow, changed: list[Mark], grouped: list[Group]) -> list[Mark]:
    """The changed tasks whose rows the page may hold: all of a small run's, else of open groups."""
    if run.total <= WHOLE:
        return changed
    opened = set(request.args.getlist("open", int))
    ids = {task_id for group in grouped if group.first in opened for task_id in group.ids}
    return [mark for mark in changed if mark.task_id in ids]


def _live(run: RunRow, mark: Mark) -> dict[str, object]:
    """What the header and the live element of a run's page need."""
    settled = run.is_over and runs.is_settled(g.session, run.id)
    health = backends.health(g.session, run.backend)
    return {"run": run, "mark": mark, "health": health, "settled": settled}


@bp.post("/runs/<run_id>/cancel")
def cancel(run_id: str) -> ResponseReturnValue:
    """Order the cancellation of all that has not ended; answer with the run's header."""
    with database().writing() as session:
        orders.ask_cancel_run(session, runs.find_run(session, run_id), utcnow())
    if wants_json():
        return {"run_id": run_id}, 202
    if not htmx:
        return redirect(url_for("runs.show", run_id=run_id), 303)
    if not htmx.targets("run-head"):
        return render_template("runs/_row.html", run=runs.one(g.session, run_id))
    return render_template("runs/_head.html", **_live(runs.one(g.session, run_id), Mark(0)))
