"""JSON /api/v1: the contract that the command line and other programs use."""

import time
from collections.abc import Mapping
from dataclasses import asdict

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from scripthut import __version__
from scripthut.clock import utcnow
from scripthut.core.errors import Refused
from scripthut.core.jobs import Chunk
from scripthut.core.units import rfc3339
from scripthut.core.workflow import schema
from scripthut.ids import new_run_id
from scripthut.store import collected, orders, runs, usage, watches
from scripthut.store.keeping.removal import remove_run
from scripthut.store.lease import leader
from scripthut.store.machines import backends, pauses
from scripthut.store.machines.pauses import Kind
from scripthut.store.making.about import about
from scripthut.store.making.create import create_run
from scripthut.store.models import BackendRow, Task
from scripthut.store.outputs import long_log
from scripthut.store.runs import RunRow, TaskRow, Which
from scripthut.web import aliases, arrivals, configuration
from scripthut.web.costs import as_json, cost
from scripthut.web.extensions import config, database, kept, live
from scripthut.web.filters import plain, whole
from scripthut.web.outputs.page import outputs_json, run_outputs_json, summary_json
from scripthut.web.pauses import pause_json
from scripthut.web.starts import asked_for, new_run
from scripthut.web.tasks.panel import events_json, shown_spec, why_json
from scripthut.web.tasks.retries import again

bp = Blueprint("api", __name__, url_prefix="/api/v1")

MOST_RUNS = 500
STREAMS = ("output", "error")


@bp.get("/health")
def health() -> ResponseReturnValue:
    """Say whether an engine acts and which backends answer."""
    leads = leader(g.session)
    rows = {row.name: row for row in backends.every(g.session)}
    paused = pauses.every(g.session, Kind.BACKEND)
    listed = [
        _backend(b.name, b.type, rows.get(b.name)) | {"paused": pause_json(paused.get(b.name))}
        for b in config().backends
    ]
    well = leads is not None and not any(b["failing_since"] for b in listed)
    engine = {"holder": leads[0], "lease_seconds": round(leads[1], 1)} if leads else None
    status = "ok" if well else "degraded"
    about = {"status": status, "version": __version__, "engine": engine, "backends": listed}
    return about | {"configuration": configuration.health(live())}


def _backend(name: str, kind: str, row: BackendRow | None) -> dict[str, object]:
    return {
        "name": name,
        "type": kind,
        "answered_at": rfc3339(row.answered_at) if row else None,
        "failing_since": rfc3339(row.failing_since) if row else None,
        "message": row.message if row else None,
        "notice": row.notice if row else None,
        "commands": row.commands if row else 0,
        "submit_commands": row.submit_commands if row else 0,
        "watched": row.watched if row else 0,
        **aliases.of_backend(row),
    }


@bp.post("/runs")
def create() -> ResponseReturnValue:
    """Create a run, or say everything that is wrong; see starts.new_run for what is asked.

    200 instead of 201: a request with this key has made the run before.
    """
    return _created(asked_for())


@bp.post("/tasks/run")
def create_of_task() -> ResponseReturnValue:
    """Create a run of one task, `{"task", "backend", "run_name"}`; else as for create()."""
    return _created(aliases.one_task(asked_for()))


def _created(asked: Mapping[str, object]) -> ResponseReturnValue:
    new, wanted = new_run(asked), new_run_id()
    with database().writing() as session:
        run_id = create_run(session, wanted, new, utcnow()).id
    location = url_for("api.run", run_id=run_id)
    return _whole(run_id), 201 if run_id == wanted else 200, {"Location": location}


@bp.post("/runs/<run_id>/rerun")
def rerun(run_id: str) -> ResponseReturnValue:
    """Make a new run of an old one: `{"mode": "all" | "failed", "params", "request_key"}`.

    `params`: what is to be otherwise; all tasks run again then.
    """
    asked, wanted = asked_for(is_optional=True), new_run_id()
    mode, key = asked.get("mode", "all"), asked.get("request_key")
    new_id = again(run_id, wanted, mode, key, asked.get("params"))
    location = url_for("api.run", run_id=new_id)
    return _whole(new_id), 201 if new_id == wanted else 200, {"Location": location}


@bp.get("/schema/workflow")
def workflow_schema() -> ResponseReturnValue:
    """Give the JSON Schema of workflow documents."""
    return schema.schema()


@bp.get("/runs")
def list_runs() -> ResponseReturnValue:
    """List runs, the newest first; `before` continues after the run of that id.

    `workflow`: those of exactly that name.
    """
    limit = min(request.args.get("limit", 50, int), MOST_RUNS)
    before, name = request.args.get("before") or None, request.args.get("workflow")
    found = runs.newest(g.session, limit + 1, before, Which(name=name))
    following = found[limit - 1].id if len(found) > limit else None
    return {"runs": [run_json(run) for run in found[:limit]], "next": following}


@bp.get("/runs/<run_id>")
def run(run_id: str) -> ResponseReturnValue:
    """Give a run with all its tasks; `since`: those that changed after that version of it."""
    return _whole(run_id, request.args.get("since", -1, int))


@bp.delete("/runs/<run_id>")
def remove(run_id: str) -> ResponseReturnValue:
    """Forget a run that has ended; its files on the backend stay."""
    with database().writing() as session:
        remove_run(session, runs.find_run(session, run_id))
    return {"run_id": run_id, "deleted": True}


def _whole(run_id: str, since: int = -1) -> dict[str, object]:
    return run_json(runs.one(g.session, run_id)) | {
        "about": asdict(about(g.session, run_id)),
        "uncollected": collected.uncollected(g.session, run_id),
        "efficiency": asdict(usage.efficiency(g.session, run_id)),
        "tasks": [_task(task) for task in runs.tasks(g.session, run_id, since)],
    }


def run_json(run: RunRow) -> dict[str, object]:
    """A run as the API gives it. What it has spent counts the tasks that have ended."""
    spent = usage.ended(run)
    return {
        "id": run.id,
        "name": run.name,
        "backend": run.backend,
        "status": run.state,
        "created_at": rfc3339(run.created_at),
        "ended_at": rfc3339(run.ended_at),
        "cancel_asked_at": rfc3339(run.cancel_asked_at),
        "url": url_for("runs.show", run_id=run.id),
        "counts": {state.value: count for state, count in run.counts.items()},
        "progress": round(run.progress, 4),
        "cpu_seconds": round(spent.cpu * 3600, 3),
        "gpu_seconds": round(spent.gpu * 3600, 3),
        "cost": as_json(cost(run.backend, spent)),
        "version": run.version,
        **aliases.of_run(run),
    }


def _task(task: TaskRow) -> dict[str, object]:
    return {
        "id": task.key,
        "name": task.name,
        "status": task.state,
        "attempt": task.attempt,
        "job_id": task.job_id,
        "exit_code": task.exit_code,
        "signal": task.signal,
        "submitted_at": rfc3339(task.submitted_at),
        "started_at": rfc3339(task.started_at),
        "finished_at": rfc3339(task.finished_at),
        "cancel_asked_at": rfc3339(task.cancel_asked_at),
        "reason": task.reason,
        "cpus": task.cpus,
        "memory": task.memory,
        "time_limit": task.time_limit,
        "cpu_used": task.cpu_used,
        "cpu_efficiency": None if task.efficiency is None else round(task.efficiency, 4),
        "memory_used": task.memory_used,
        "progress": task.progress,
        "progress_text": task.progress_text,
        "has_outputs": task.has_outputs,
        "has_run_summary": task.has_run_summary,
    }


@bp.get("/runs/<run_id>/summary")
def summary(run_id: str) -> ResponseReturnValue:
    """Give what the tasks wrote for the run as a whole, in the order of submission."""
    arrivals.look(run_id)
    return summary_json(g.session, runs.find_run(g.session, run_id))


@bp.get("/runs/<run_id>/tasks/<key>/outputs")
def outputs(run_id: str, key: str) -> ResponseReturnValue:
    """List the files that a task wrote."""
    arrivals.look(run_id)
    run = runs.find_run(g.session, run_id)
    return outputs_json(g.session, run, runs.find_task(g.session, run_id, key))


@bp.get("/runs/<run_id>/outputs")
def all_outputs(run_id: str) -> ResponseReturnValue:
    """List the files that a run's tasks wrote; tasks that wrote none are left out."""
    arrivals.look(run_id)
    return run_outputs_json(g.session, runs.find_run(g.session, run_id))


@bp.get("/runs/<run_id>/tasks/<key>")
def task(run_id: str, key: str) -> ResponseReturnValue:
    """Give a task with all that its page shows; `why` says why it did not complete.

    `spec`: as it was written, without secrets; `deps`: the tasks that it waits for.
    """
    full = runs.find_task(g.session, run_id, key)
    (row,) = runs.tasks_by_key(g.session, run_id, [key])
    more = {"node": full.node, "cause": full.cause, "retry_at": rfc3339(full.retry_at)}
    about = {"run_id": run_id, **_task(row), **more, "why": why_json(full)}
    shown = {"spec": shown_spec(full), "deps": full.deps, "events": events_json(full)}
    return about | {"outputs_problem": full.outputs_problem} | shown


@bp.get("/runs/<run_id>/tasks/<key>/logs")
def logs(run_id: str, key: str) -> ResponseReturnValue:
    """Give a task's log; `tail`: its last lines alone; `from`: what follows this byte.

    `after` is the byte from which to ask for more, which may come while `is_live`.
    """
    stream = request.args.get("type", "output")
    tail = request.args.get("tail", None, int)
    if stream not in STREAMS:
        raise Refused(f"type={stream} is no log of a task: ask for output or error.")
    task = runs.find_task(g.session, run_id, key)
    is_live = not arrivals.is_done(task)
    chunk = _log(task, stream, request.args.get("from", 0, int))
    data = chunk.data[: whole(chunk.data)] if is_live else chunk.data
    content = plain(data.decode("utf-8", "replace"))
    if tail is not None:
        lines = content.splitlines(keepends=True)
        content = "".join(lines[max(0, len(lines) - tail) :])
    about = {"run_id": run_id, "task_id": key, "type": stream, "content": content}
    long = long_log(g.session, task, stream)
    file = {"id": long.id, "size": long.size, "sha256": long.sha256} if long is not None else None
    rest = {"start": chunk.start, "after": chunk.start + len(data), "is_live": is_live}
    return {**about, **rest, "file": file}


def _log(task: Task, stream: str, start: int) -> Chunk:
    """What is kept of a log; if nothing is yet, the engine gets a moment to fetch it."""
    if task.token is None:
        return Chunk(0, b"", 0)
    is_done = arrivals.is_done(task)
    deadline = time.monotonic() + arrivals.PATIENCE
    while True:
        chunk = kept().read_log(task.token, stream, max(0, start))
        has_enough = chunk.size > 0 and start <= 0
        if is_done or has_enough or time.monotonic() > deadline:
            return chunk
        watches.renew(database(), task.run_id, task.id, stream, utcnow())
        if start > 0:  # whoever follows a log asks again
            return chunk
        time.sleep(0.1)


@bp.post("/runs/<run_id>/cancel")
def cancel_run(run_id: str) -> ResponseReturnValue:
    """Order the cancellation of all tasks that have not ended."""
    with database().writing() as session:
        asked = orders.ask_cancel_run(session, runs.find_run(session, run_id), utcnow())
    status = runs.one(g.session, run_id).state
    return {"run_id": run_id, "cancelling": asked, "status": status, **aliases.of_cancel(asked > 0)}


@bp.post("/runs/<run_id>/tasks/<key>/cancel")
def cancel_task(run_id: str, key: str) -> ResponseReturnValue:
    """Order the cancellation of one task."""
    with database().writing() as session:
        asked = orders.ask_cancel_task(session, runs.find_task(session, run_id, key), utcnow())
    (task,) = runs.tasks_by_key(g.session, run_id, [key])
    about = {"run_id": run_id, "task_id": key, "cancelling": asked, "status": task.state}
    return about | aliases.of_cancel(asked)
