"""Take it away: a zip of what was written, and a whole run as one page that needs no server."""

from collections.abc import Sequence

from flask import Blueprint, Response, g, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.core.archive import Entry, Left, Names, manifest, safe_part
from scripthut.store import runs
from scripthut.store.files import taking
from scripthut.store.files.taking import Written
from scripthut.store.models import Run
from scripthut.web.extensions import kept
from scripthut.web.saving import save_as
from scripthut.web.takeaway import reports
from scripthut.web.takeaway.zips import zipped

bp = Blueprint("takeaway", __name__)

RUN_SUMMARY = "_run"  # no task can have this id
ROUTES = ("/runs/<run_id>", "/api/v1/runs/<run_id>")  # below the second, errors are JSON


@bp.get(f"{ROUTES[0]}/outputs.zip")
@bp.get(f"{ROUTES[1]}/outputs.zip")
def run_zip(run_id: str) -> Response:
    """Send all that a run's tasks wrote, each task's files in a directory of its name."""
    return _zip(runs.find_run(g.session, run_id), None)


@bp.get(f"{ROUTES[0]}/tasks/<key>/outputs.zip")
@bp.get(f"{ROUTES[1]}/tasks/<key>/outputs.zip")
def task_zip(run_id: str, key: str) -> Response:
    """Send all that a task wrote."""
    runs.find_task(g.session, run_id, key)
    return _zip(runs.find_run(g.session, run_id), key)


@bp.get(f"{ROUTES[0]}/report")
@bp.get(f"{ROUTES[1]}/report")
def report(run_id: str) -> ResponseReturnValue:
    """Send a whole run as one page; with `?download`, to be saved."""
    run = runs.find_run(g.session, run_id)
    pieces, policy = reports.pieces(
        g.session, run, url_for("runs.show", run_id=run_id, _external=True)
    )
    response = Response(pieces, mimetype="text/html")
    response.headers["Content-Security-Policy"] = f"sandbox; frame-ancestors 'none'; {policy}"
    if "download" in request.args:
        save_as(response, f"{_name(run)}.html")
    return response


def _zip(run: Run, key: str | None) -> Response:
    files = taking.written(g.session, run.id, key)
    more = taking.unlisted(g.session, run.id)
    count = sum(n for task, n in more.items() if key in (None, task))
    entries, left = _entries(files)
    title = f"What run {run.id} ({run.name}) wrote" + (f", task {key}" if key else "")
    pieces = zipped(
        kept(), entries, lambda packed, gone: manifest(title, packed, [*left, *gone], count)
    )
    response = Response(pieces, mimetype="application/zip")
    save_as(response, f"{_name(run)}{'-' + safe_part(key) if key else ''}.zip")
    return response


def _entries(files: Sequence[Written]) -> tuple[list[Entry], list[Left]]:
    """What goes into the archive, under which names; and what is not kept."""
    names, entries, left = Names(), [], []
    for one in files:
        row = one.file
        origin = f"{RUN_SUMMARY if one.is_summary else one.key}/{row.path}"
        if row.sha256 is None:
            left.append(Left(origin, row.size, row.note or "has not been fetched yet"))
        else:
            name = names.give(origin.split("/"))
            entries.append(Entry(name, origin, row.sha256, row.size, row.mtime_ns))
    return entries, left


def _name(run: Run) -> str:
    return f"{safe_part(run.name.replace('/', '_'))}-{run.id}"
