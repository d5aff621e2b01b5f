"""Trying again what ended badly: one task, or all of a run's. From the pages and from programs."""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.store import retries, runs
from scripthut.web.extensions import database

bp = Blueprint("retries", __name__)


@bp.post("/runs/<run_id>/tasks/<key>/retry")
def task(run_id: str, key: str) -> ResponseReturnValue:
    """Try a task again as a new attempt, and show it."""
    _retry_task(run_id, key)
    return redirect(url_for("tasks.show", run_id=run_id, key=key), 303)


@bp.post("/runs/<run_id>/retry")
def run(run_id: str) -> ResponseReturnValue:
    """Try all tasks again that ended badly, and show the run."""
    _retry_failed(run_id)
    return redirect(url_for("runs.show", run_id=run_id), 303)


@bp.post("/api/v1/runs/<run_id>/tasks/<key>/retry")
def api_task(run_id: str, key: str) -> ResponseReturnValue:
    """Try a task again; `retried` counts it and those that wait for it again."""
    return {"run_id": run_id, "task_id": key, "retried": _retry_task(run_id, key)}


@bp.post("/api/v1/runs/<run_id>/retry")
def api_run(run_id: str) -> ResponseReturnValue:
    """Try all tasks again that ended badly; `retried` counts those that wait again, too."""
    return {"run_id": run_id, "retried": _retry_failed(run_id)}


def _retry_task(run_id: str, key: str) -> int:
    with database().writing() as session:
        return retries.retry_task(session, runs.find_task(session, run_id, key), utcnow())


def _retry_failed(run_id: str) -> int:
    with database().writing() as session:
        return retries.retry_failed(session, runs.find_run(session, run_id), utcnow())
