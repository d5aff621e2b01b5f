"""All jobs of the users' queues on every backend, ours and others, and orders to cancel them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound
from scripthut.core.units import rfc3339
from scripthut.store.machines import queue, surveys
from scripthut.store.machines.queue import BackendQueue, QueueRow, View
from scripthut.store.machines.surveys import Known
from scripthut.web.backends.queue_look import ENDED, PHASES, VIEWS, queue_look
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx
from scripthut.web.questions import done

bp = Blueprint("queue", __name__)


@bp.get("/queue")
def index() -> ResponseReturnValue:
    """Show the queues; `backend` shows one alone, the rest is of queue_look.py."""
    name = "queue/_queues.html" if htmx else "queue/index.html"
    just, look = request.args.get("backend") or None, queue_look()
    found = [(one, look.shown(one.rows)) for one in _looked_at(just, look.view)]
    names = [part.name for part in config().backends]
    asked = {"just": just, "look": look, "names": names, "phases": (*PHASES, ENDED), "views": VIEWS}
    return render_template(name, queues=found, **asked)


@bp.post("/queue/<backend>/<path:job_id>/cancel")
def cancel(backend: str, job_id: str) -> ResponseReturnValue:
    """Order a job's cancellation, and show the queues, or tell the page that is open."""
    job = _order(backend, job_id).job
    if htmx:
        return done(f"Cancelling {job.job_id} on {backend}", url_for("queue.index"))
    return redirect(url_for("queue.index", backend=request.args.get("just")), 303)


@bp.get("/api/v1/jobs")
def jobs() -> ResponseReturnValue:
    """List the jobs of the users' queues; `backend` lists one backend's alone.

    `who=all` lists everybody's, `phase=ended` those that ended lately; `find` and `by` as the page.
    """
    look = queue_look()
    found = _looked_at(request.args.get("backend") or None, look.view)
    return {
        "backends": [{**_counts(one), **_TOLD[look.view](one.known)} for one in found],
        "jobs": [_job(one.backend, row) for one in found for row in look.shown(one.rows)],
    }


@bp.post("/api/v1/backends/<backend>/jobs/<path:job_id>/cancel")
def api_cancel(backend: str, job_id: str) -> ResponseReturnValue:
    """Order the cancellation of a job on its backend."""
    return _job(backend, _order(backend, job_id)), 202


def _order(backend: str, job_id: str) -> QueueRow:
    _names(backend)
    with database().writing() as session:
        return queue.ask_cancel(session, backend, job_id, utcnow())


def _names(just: str | None) -> list[str]:
    names = [part.name for part in config().backends if just in (None, part.name)]
    if not names:
        raise NotFound(f"There is no backend {just} in the configuration.")
    return names


def _looked_at(just: str | None, view: View) -> list[BackendQueue]:
    names = _names(just)
    for name in names:
        surveys.look(database(), name, view.wish, utcnow())
    return queue.queues(g.session, names, view)


def _counts(one: BackendQueue) -> dict[str, object]:
    told = one.known.queue
    counts = {"running": told.running, "waiting": told.waiting, "not_listed": told.more}
    soonest = [partition.name for partition in one.known.facts.soonest]
    return {
        "name": one.backend,
        "queue_at": rfc3339(one.known.queue_at),
        **counts,
        "soonest": soonest,
    }


def _crowd(known: Known) -> dict[str, object]:
    crowd = known.crowd
    return {
        "everybody": {
            "at": rfc3339(known.crowd_at),
            "note": crowd.note,
            "not_listed": crowd.more,
            "users": crowd.users,
            "holdings": [asdict(one) for one in crowd.holdings],
            "waiting": dict(crowd.waiting),
            "before_yours": [asdict(one) for one in crowd.before],
        }
    }


def _ended(known: Known) -> dict[str, object]:
    ended = known.ended
    told = {"at": rfc3339(known.ended_at), "note": ended.note, "not_listed": ended.more}
    return {"ended": {**told, "is_told": ended.is_told}}


_TOLD: Mapping[View, Callable[[Known], dict[str, object]]] = {
    View.MINE: lambda _: {},
    View.ALL: _crowd,
    View.ENDED: _ended,
}


def _job(backend: str, row: QueueRow) -> dict[str, object]:
    job = row.job
    return {
        "backend": backend,
        "id": job.job_id,
        "name": job.name,
        "owner": job.owner,
        "account": job.account,
        "phase": job.phase.value,
        "state": job.word,
        "reason": job.reason,
        "partition": job.partition,
        "count": job.count,
        "cpus": job.cpus,
        "memory": job.memory,
        "nodes": job.nodes,
        "gres": job.gres,
        "time_limit": job.time_limit,
        "submitted_at": rfc3339(job.submitted_at),
        "started_at": rfc3339(job.started_at),
        "node": job.node,
        "run_id": row.task.run_id if row.task else None,
        "task_id": row.task.key if row.task else None,
        "is_cancelling": row.is_cancelling,
        "may_be_cancelled": row.is_own and not row.is_cancelling,
        "ended_at": rfc3339(job.ended_at),
        "elapsed": job.elapsed,
        "exit_code": job.exit_code,
    }
