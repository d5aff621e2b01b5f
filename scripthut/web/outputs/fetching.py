"""Whole files that are not kept: asked for, on their way, given up; and pieces of them as bytes."""

import time

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound, Refused
from scripthut.store import outputs, runs
from scripthut.store.files import fetches
from scripthut.store.machines import backends
from scripthut.store.models import Fetch, Output, Task
from scripthut.web.extensions import database
from scripthut.web.htmx import htmx
from scripthut.web.outputs import files
from scripthut.web.outputs.reading import PIECE, Awaited, Gone, Opened

bp = Blueprint("fetching", __name__)

PAGE = "/runs/<run_id>/tasks/<key>/outputs/view/<int:row>/fetch"
API = "/api/v1/runs/<run_id>/tasks/<key>/outputs/<int:row>"
PATIENCE = 8.0  # seconds that a question for a piece waits for the engine to bring it


@bp.get(PAGE)
def show(run_id: str, key: str, row: int) -> ResponseReturnValue:
    """Show how far a file is."""
    return _box(runs.find_task(g.session, run_id, key), outputs.listed(g.session, run_id, key, row))


@bp.post(PAGE)
def start(run_id: str, key: str, row: int) -> ResponseReturnValue:
    """Ask for a whole file; answer with its box."""
    with database().writing() as session:
        fetches.ask(session, outputs.listed(session, run_id, key, row), utcnow())
    return _after(run_id, key, row)


@bp.post(f"{PAGE}/cancel")
def cancel(run_id: str, key: str, row: int) -> ResponseReturnValue:
    """Give a file up; answer with its box."""
    with database().writing() as session:
        fetches.cancel(session, outputs.listed(session, run_id, key, row))
    return _after(run_id, key, row)


def _after(run_id: str, key: str, row: int) -> ResponseReturnValue:
    if not htmx:
        return redirect(url_for("views.show", run_id=run_id, key=key, row=row), 303)
    g.session.rollback()  # see what was written
    return show(run_id, key, row)


def _box(task: Task, file: Output) -> str:
    fetch = fetches.of(g.session, [file.id]).get(file.id)
    run = runs.find_run(g.session, task.run_id)
    health = backends.health(g.session, run.backend)
    facts = {"task": task, "file": file, "fetch": fetch, "health": health}
    return render_template("outputs/_fetch.html", **facts)


@bp.get(f"{API}/fetch")
def api_show(run_id: str, key: str, row: int) -> ResponseReturnValue:
    """Give how far a file is; `url` once it is here."""
    g.session.rollback()
    return _json(run_id, key, row)


@bp.post(f"{API}/fetch")
def api_start(run_id: str, key: str, row: int) -> ResponseReturnValue:
    """Ask for a whole file."""
    with database().writing() as session:
        fetches.ask(session, outputs.listed(session, run_id, key, row), utcnow())
    g.session.rollback()
    return _json(run_id, key, row), 202


@bp.post(f"{API}/fetch/cancel")
def api_cancel(run_id: str, key: str, row: int) -> ResponseReturnValue:
    """Give a file up."""
    with database().writing() as session:
        fetches.cancel(session, outputs.listed(session, run_id, key, row))
    g.session.rollback()
    return _json(run_id, key, row)


def _json(run_id: str, key: str, row: int) -> dict[str, object]:
    task = runs.find_task(g.session, run_id, key)
    file = outputs.listed(g.session, run_id, key, row)
    fetch = fetches.of(g.session, [row]).get(row)
    url = files.url_of(run_id, key, file, file.attempt != task.attempt)
    about = {"run_id": run_id, "task_id": key, "id": row, "path": file.path, "size": file.size}
    return {**about, "sha256": file.sha256, "url": url, "fetch": fetch_json(fetch)}


def fetch_json(fetch: Fetch | None) -> dict[str, object] | None:
    """How far a fetch is, as the JSON API says it; null: nobody has asked for the file."""
    if fetch is None:
        return None
    state = "stopped" if fetch.is_stopped else "paused" if fetch.try_at else "going"
    return {"state": state, "done": fetch.done, "size": fetch.size, "problem": fetch.problem}


@bp.get(f"{API}/piece")
def piece(run_id: str, key: str, row: int) -> ResponseReturnValue:
    """Send at most 512 KiB of a file from byte `start`, wherever the file is.

    202 while the engine has not brought it; the size of the file is in Content-Range.
    """
    begin = request.args.get("start", 0, int)
    length = min(max(request.args.get("length", PIECE, int), 1), PIECE)
    if begin < 0:
        raise Refused(f"start={begin} is no place in a file: the first byte is 0.")
    deadline = time.monotonic() + PATIENCE
    while True:
        task = runs.find_task(g.session, run_id, key)
        opened = Opened(task, outputs.listed(g.session, run_id, key, row))
        if not (opened.is_here or outputs.is_within_reach(opened.row)):
            raise NotFound(f"{opened.row.path} cannot be read: it {opened.row.note}.")
        try:
            data = opened.read(begin, length)
        except Gone as why:
            raise NotFound(f"{opened.row.path} {why}.") from None
        except Awaited:
            if time.monotonic() > deadline:
                return {"awaited": True, "start": begin}, 202
            g.session.rollback()
            time.sleep(0.2)
            continue
        last = f"{begin}-{begin + len(data) - 1}" if data else "*"
        headers = {**files.HEADERS, "Content-Range": f"bytes {last}/{opened.size}"}
        return Response(data, mimetype="application/octet-stream", headers=headers)
