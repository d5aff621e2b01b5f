"""How much a run holds on the server, whether it is pinned, so that nothing goes, or forgotten."""

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.store import runs
from scripthut.store.keeping import retention
from scripthut.store.keeping.removal import remove_run
from scripthut.store.keeping.retention import Holding
from scripthut.web.extensions import database
from scripthut.web.filters import iso
from scripthut.web.htmx import htmx

bp = Blueprint("retention", __name__)


@bp.post("/runs/<run_id>/pin")
def pin(run_id: str) -> ResponseReturnValue:
    """Pin a run, or with `off` let it go again; answer with what the page says of it."""
    _set(run_id, "off" not in request.form)
    if not htmx:
        return redirect(url_for("runs.show", run_id=run_id), 303)
    run = runs.find_run(g.session, run_id)
    return render_template("runs/_held.html", run=run, holding=retention.of_run(g.session, run))


@bp.post("/runs/<run_id>/delete")
def delete(run_id: str) -> ResponseReturnValue:
    """Forget a run that has ended, and show the others; its files on the backend stay."""
    with database().writing() as session:
        remove_run(session, runs.find_run(session, run_id))
    return redirect(url_for("runs.index"), 303)


@bp.get("/api/v1/runs/<run_id>/holding")
def api_show(run_id: str) -> ResponseReturnValue:
    """Give how much a run holds, whether it is pinned, and what became of its files."""
    run = runs.find_run(g.session, run_id)
    return holding_json(run_id, retention.of_run(g.session, run))


@bp.post("/api/v1/runs/<run_id>/pin")
def api_pin(run_id: str) -> ResponseReturnValue:
    """Pin a run."""
    _set(run_id, True)
    return api_show(run_id)


@bp.post("/api/v1/runs/<run_id>/unpin")
def api_unpin(run_id: str) -> ResponseReturnValue:
    """Let a run be removed again when it is old."""
    _set(run_id, False)
    return api_show(run_id)


def _set(run_id: str, is_pinned: bool) -> None:
    with database().writing() as session:
        retention.pin(session, runs.find_run(session, run_id), utcnow() if is_pinned else None)
    g.session.rollback()  # see what was written


def holding_json(run_id: str, holding: Holding) -> dict[str, object]:
    """What a run holds as the JSON API says it; `bytes` null while it goes on."""
    return {
        "run_id": run_id,
        "bytes": holding.bytes,
        "pinned_at": iso(holding.pinned_at) if holding.pinned_at else None,
        "removed_at": iso(holding.removed_at) if holding.removed_at else None,
        "removed_why": holding.removed_why,
        "cleared_at": iso(holding.cleared_at) if holding.cleared_at else None,
    }
