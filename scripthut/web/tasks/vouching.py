"""A person says what became of a lost task, from its page and from programs."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import Refused
from scripthut.core.states import State
from scripthut.store import runs
from scripthut.store.making import vouching
from scripthut.web.extensions import database
from scripthut.web.htmx import htmx
from scripthut.web.questions import done
from scripthut.web.starts import asked_for

bp = Blueprint("vouching", __name__)

ANSWERS = {"completed": True, "failed": False}


@bp.post("/runs/<run_id>/tasks/<key>/vouch")
def task(run_id: str, key: str) -> ResponseReturnValue:
    """Let a lost task have ended as the form says; show it, or tell the open page."""
    said = request.form.get("said", "")
    if said not in ANSWERS:
        raise Refused(f"said: {said!r} is neither 'completed' nor 'failed'.")
    _vouch(run_id, key, ANSWERS[said], request.form.get("note", ""))
    address = url_for("tasks.show", run_id=run_id, key=key)
    return done(f"{key} counts as {said}", address) if htmx else redirect(address, 303)


@bp.post("/api/v1/runs/<run_id>/tasks/<key>/vouch")
def api_task(run_id: str, key: str) -> ResponseReturnValue:
    """Let a lost task have ended: `{"completed": true | false, "note"}`."""
    asked = asked_for()
    completed, note = asked.get("completed"), asked.get("note") or ""
    if not isinstance(completed, bool) or not isinstance(note, str):
        raise Refused('Say {"completed": true} or {"completed": false}, and `note` as a text.')
    state = _vouch(run_id, key, completed, note)
    return {"run_id": run_id, "task_id": key, "status": state}


def _vouch(run_id: str, key: str, completed: bool, note: str) -> State:
    with database().writing() as session:
        task = runs.find_task(session, run_id, key)
        return vouching.vouch(session, task, completed, note, utcnow())
