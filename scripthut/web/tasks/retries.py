"""Trying again what ended badly: one task, or all of a run's. From the pages and from programs."""

from collections.abc import Mapping

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import Refused
from scripthut.ids import new_run_id
from scripthut.store import runs
from scripthut.store.machines import pauses
from scripthut.store.making import create, reruns, retries
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx
from scripthut.web.questions import done, some

bp = Blueprint("retries", __name__)
PREFIX = "param."  # of a form's fields that are parameters


@bp.post("/runs/<run_id>/tasks/<key>/retry")
def task(run_id: str, key: str) -> ResponseReturnValue:
    """Try a task again as a new attempt; show it, or tell the open page."""
    count = _retry_task(run_id, key)
    address = url_for("tasks.show", run_id=run_id, key=key)
    return _again(count, address)


@bp.post("/runs/<run_id>/retry")
def run(run_id: str) -> ResponseReturnValue:
    """Try all tasks again that ended badly; show the run, or tell the open page."""
    count = _retry_failed(run_id)
    return _again(count, url_for("runs.show", run_id=run_id))


@bp.post("/api/v1/runs/<run_id>/tasks/<key>/retry")
def api_task(run_id: str, key: str) -> ResponseReturnValue:
    """Try a task again; `retried` counts it and those that wait for it again."""
    return {"run_id": run_id, "task_id": key, "retried": _retry_task(run_id, key)}


@bp.post("/api/v1/runs/<run_id>/retry")
def api_run(run_id: str) -> ResponseReturnValue:
    """Try all tasks again that ended badly; `retried` counts those that wait again, too."""
    return {"run_id": run_id, "retried": _retry_failed(run_id)}


@bp.post("/runs/<run_id>/rerun")
def rerun(run_id: str) -> ResponseReturnValue:
    """Make a new run of an old one, and show it."""
    asked = request.form
    params = fields(asked)
    key = asked.get("request_key")
    new_id = again(run_id, new_run_id(), asked.get("mode"), key, params)
    return redirect(url_for("runs.show", run_id=new_id), 303)


def again(
    run_id: str, new_id: str, mode: object, request_key: object, params: object = None
) -> str:
    """Run an old run again as `new_id`, perhaps with other parameters; the id of the run."""
    if mode not in list(reruns.Mode):
        raise Refused(f"mode: {mode!r} is neither 'all' nor 'failed'.")
    given = params_given(params)
    if given and mode == reruns.Mode.FAILED:
        raise Refused("With other parameters all tasks run again: leave the mode 'failed' out.")
    key = create.request_key(request_key)
    with database().writing() as session:
        origin = runs.find_run(session, run_id)
        pauses.check_source(session, origin.source)
        if given:
            said = config().beyond
            return reruns.rerun_with(session, origin, new_id, given, utcnow(), key, said).id
        return reruns.rerun(session, origin, new_id, reruns.Mode(str(mode)), utcnow(), key).id


def fields(form: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a form. Browsers send every line break as two characters; one was meant."""
    return {
        name.removeprefix(PREFIX): value.replace("\r\n", "\n")
        for name, value in form.items()
        if name.startswith(PREFIX)
    }


def params_given(given: object) -> Mapping[str, object]:
    """Parameters as a request names them; Refused."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Refused('params: is not a mapping like {"NAME": value}.')
    return given


def _again(count: int, address: str) -> ResponseReturnValue:
    words = f"{some(count, 'task')} will run again"
    return done(words, address) if htmx else redirect(address, 303)


def _retry_task(run_id: str, key: str) -> int:
    with database().writing() as session:
        return retries.retry_task(session, runs.find_task(session, run_id, key), utcnow())


def _retry_failed(run_id: str) -> int:
    with database().writing() as session:
        return retries.retry_failed(session, runs.find_run(session, run_id), utcnow())
