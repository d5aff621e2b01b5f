"""The list of runs and a run's page, whole and in the pieces that change."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from zlib import crc32

from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.costs import Hours
from scripthut.core.forecast import remaining
from scripthut.store import collected, orders, runs, search, usage, watches
from scripthut.store.glance import glance
from scripthut.store.keeping import retention
from scripthut.store.machines import backends, checkouts
from scripthut.store.making.about import about
from scripthut.store.runs import Mark, RunRow, Which
from scripthut.web import arrivals
from scripthut.web.costs import cost
from scripthut.web.errors import wants_json
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx
from scripthut.web.numbers import LONGEST
from scripthut.web.questions import done, some
from scripthut.web.runs import gantt, graph, table
from scripthut.web.runs.look import Look, View, look
from scripthut.web.runs.table import CHUNK

bp = Blueprint("runs", __name__)

PAGE = 50  # runs on a page
VIEWS: Mapping[View, Callable[[RunRow, Look], dict[str, object]]] = {
    View.TABLE: table.context,
    View.GRAPH: graph.context,
    View.GANTT: gantt.context,
}
NEWS_OF: Mapping[View, Callable[[RunRow, Look, list[Mark]], dict[str, object]]] = {
    View.TABLE: table.news,
    View.GRAPH: graph.news,
    View.GANTT: gantt.news,
}


@bp.get("/runs")
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
    names = [part.name for part in config().backends]
    find, backend = request.args.get("find", "").strip()[:LONGEST], request.args.get("backend", "")
    backend = backend if backend in names else ""
    found = runs.newest(g.session, PAGE + 1, before, Which(find, backend))
    asked = {"find": find, "backend": backend}
    shown = found[:PAGE]
    seen = f"{crc32(repr([(run.id, run.version) for run in found]).encode()):08x}"
    older = shown[-1].id if len(found) > PAGE else None
    return {
        "runs": shown,
        "seen": seen,
        "before": before,
        "older": older,
        "asked": {name: value for name, value in asked.items() if value},
        "names": names,
        "backend": names[0],
        "select": request.args.get("select", ""),
    }


@bp.get("/runs/<run_id>")
def show(run_id: str) -> ResponseReturnValue:
    """Show a run; to htmx, its tasks in another view, or the empty panel of a closed task."""
    if htmx.targets("panel"):
        return ""
    if htmx.targets("task-view"):
        return _another_view(run_id)
    return page(run_id, None)


def page(run_id: str, panel: dict[str, object] | None) -> str:
    """A run's page, with a task's panel open or without."""
    run = runs.one(g.session, run_id)
    watches.renew(database(), run_id, 0, "run", utcnow())
    context = _live(run, Mark(run.version)) | _view(run)
    context["about"] = about(g.session, run_id)
    return render_template("runs/show.html", **(panel or {}), **context, panel=panel is not None)


def _view(run: RunRow) -> dict[str, object]:
    asked = look()
    return VIEWS[asked.view](run, asked)


def _another_view(run_id: str) -> ResponseReturnValue:
    """The tasks as they are asked for now, what else on the page says so, and the address."""
    run = runs.one(g.session, run_id)
    opened = runs.tasks_by_id(g.session, [request.args.get("task", 0, int)])
    tab = request.args.get("tab", "")
    context = _live(run, Mark(run.version)) | _view(run)
    answer = make_response(
        render_template("runs/_another_view.html", **context, opened=opened, tab=tab)
    )
    where = look().address(url_for("runs.show", run_id=run_id))
    for task in opened:
        where = look().address(url_for("tasks.show", run_id=run_id, key=task.key), tab)
    is_typing = htmx.trigger == "task-find"
    answer.headers["HX-Replace-Url" if is_typing else "HX-Push-Url"] = where
    return answer


@bp.get("/runs/<run_id>/groups")
def more_groups(run_id: str) -> str:
    """Answer with the next groups of a run that has too many for one page."""
    run = runs.one(g.session, run_id)
    context = table.groups(run, request.args.get("from", 0, int))
    return render_template("runs/_groups.html", run=run, **context)


@bp.get("/runs/<run_id>/groups/<int:first>")
def group_rows(run_id: str, first: int) -> str:
    """Answer with a group's rows, some at a time."""
    run = runs.one(g.session, run_id)
    group = table.group(run_id, first)
    start = request.args.get("from", 0, int)
    shown = runs.tasks_by_id(g.session, group.ids[start : start + CHUNK])
    following = start + CHUNK if len(group.ids) > start + CHUNK else None
    return render_template(
        "runs/_rows.html", run=run, group=group, tasks=shown, start=start, next_row=following
    )


@bp.get("/runs/<run_id>/listed")
def more_listed(run_id: str) -> str:
    """Answer with the next rows of what was searched for."""
    run = runs.one(g.session, run_id)
    listed = table.listed(run, look(), request.args.get("from", 0, int))
    return render_template("runs/_listed.html", run=run, listed=listed)


@bp.get("/runs/<run_id>/changes")
def changes(run_id: str) -> ResponseReturnValue:
    """Answer with what changed after the version that the page has seen; 204: nothing."""
    since = Mark(request.args.get("since", 0, int), request.args.get("after", 0, int))
    seen, now = glance(g.session, run_id), utcnow()
    if not watches.is_fresh(seen.watched_until, now):
        watches.renew(database(), run_id, 0, "run", now)
    settled = seen.ended_at is not None and arrivals.is_settled(run_id, seen.backend)
    is_same = since == Mark(seen.version) and seen.health == request.args.get("health")
    if is_same and not settled:
        return "", 204
    return _news(runs.one(g.session, run_id), since)


def _news(run: RunRow, since: Mark) -> str:
    changed = runs.changed(g.session, run.id, since)
    ids = {mark.task_id for mark in changed}
    opened = request.args.get("task", 0, int)
    asked = look()
    view = NEWS_OF[asked.view](run, asked, changed)
    context = _live(run, Mark(run.version)) | {
        "opened": runs.tasks_by_id(g.session, {opened} & ids),
        "tab": request.args.get("tab", ""),
        "has_new_summary": run.summary_version > since.version,
    }
    return render_template("runs/_changes.html", **(context | view))


def _live(run: RunRow, mark: Mark) -> dict[str, object]:
    """What the header and the live element of a run's page need."""
    settled = run.is_over and arrivals.is_settled(run.id, run.backend)
    health = backends.health(g.session, run.backend)
    first = search.failures(g.session, run.id).first
    checkout = None if run.is_over else checkouts.of_run(g.session, run.id)
    now = utcnow()
    began = None if run.is_over else runs.began(g.session, run.id)
    passed = (now - began).total_seconds() if began else 0.0
    left = remaining(run.done + run.begun, run.total, passed)
    running = Hours() if run.is_over else usage.running(g.session, run.id, now)
    spent = usage.ended(run) + running
    return {
        "run": run,
        "checkout": checkout,
        "mark": mark,
        "health": health,
        "settled": settled,
        "is_left": run.is_over and not collected.is_settled(g.session, run.id),
        "failure": first,
        "left": left,
        "ends_at": None if left is None else now + timedelta(seconds=left),
        "spent": spent,
        "cost": cost(run.backend, spent),
        "efficiency": usage.efficiency(g.session, run.id),
        "holding": retention.of_run(g.session, runs.find_run(g.session, run.id)),
        "views": tuple(VIEWS),
    }


@bp.post("/runs/<run_id>/cancel")
def cancel(run_id: str) -> ResponseReturnValue:
    """Order the cancellation of all that has not ended; show the run, or tell the open page."""
    with database().writing() as session:
        run = runs.find_run(session, run_id)
        count, name = orders.ask_cancel_run(session, run, utcnow()), run.name
    if wants_json():
        return {"run_id": run_id}, 202
    address = url_for("runs.show", run_id=run_id)
    if htmx:
        return done(f"Cancelling {some(count, 'task')} of {name}", address)
    return redirect(address, 303)
