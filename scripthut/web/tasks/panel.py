"""A task's panel: what it is, what it runs, what it says, and how it came to be so."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from io import BytesIO

from flask import (
    Blueprint,
    Response,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core import costs
from scripthut.core.endings import Ended, Ending, ending
from scripthut.core.files.lines import lines
from scripthut.core.jobs import Used
from scripthut.core.mask import without_secrets
from scripthut.core.states import State
from scripthut.core.units import rfc3339
from scripthut.core.waiting import waiting
from scripthut.core.workflow import env
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store import orders, runs, search
from scripthut.store.machines import pauses
from scripthut.store.machines.pauses import Kind
from scripthut.store.making import env as environment
from scripthut.store.models import Task
from scripthut.web.costs import cost
from scripthut.web.errors import wants_json
from scripthut.web.extensions import config, database, kept
from scripthut.web.filters import plain
from scripthut.web.htmx import htmx
from scripthut.web.questions import done
from scripthut.web.runs import page as run_pages
from scripthut.web.tasks import environments, logs
from scripthut.web.tasks.shell import shell

bp = Blueprint("tasks", __name__, url_prefix="/runs/<run_id>/tasks/<key>")

TABS = ("details", "script", "env", "output", "error", "both", "outputs", "json")
LISTED = 40  # tasks that it waits for, or that wait for it, which are named
LAST_BYTES, LAST_LINES = 16 * 1024, 40  # of a log, where a task that did not complete says why


@bp.get("")
def show(run_id: str, key: str) -> str:
    """Show a run with this task's panel open; to htmx, the panel alone."""
    panel = _panel(runs.find_task(g.session, run_id, key), request.args.get("tab", TABS[0]))
    if htmx.targets("panel"):
        return render_template("tasks/_panel.html", **panel)
    return run_pages.page(run_id, panel)


def _panel(task: Task, tab: str) -> dict[str, object]:
    tab = tab if tab in TABS and (tab != "outputs" or task.has_outputs) else TABS[0]
    row = runs.tasks_by_id(g.session, [task.id])[0]
    context = CONTEXTS[tab](task) if tab in CONTEXTS else {}
    failures = search.failures(g.session, task.run_id, task.n)
    return {"task": row, "tab": tab, "failures": failures, **context}


@bp.get("/detail/<any(details, script, env, output, error, both, json):tab>")
def detail(run_id: str, key: str, tab: str) -> ResponseReturnValue:
    """Answer with one subtab: a fragment, or JSON where the client asks for it."""
    task = runs.find_task(g.session, run_id, key)
    if wants_json() and tab in AS_JSON:
        return jsonify(AS_JSON[tab](task))
    if "seen" in request.args:
        return _more_of_both(task) if tab == "both" else _more(task, tab)
    row = runs.tasks_by_id(g.session, [task.id])[0]
    return render_template(f"tasks/_{VIEWS[tab]}.html", task=row, **CONTEXTS[tab](task))


def _more(task: Task, tab: str) -> ResponseReturnValue:
    """What a log has grown by since the page's last answer; 204: nothing yet."""
    piece = logs.grown(task, tab)
    if piece is None:
        return "", 204
    return render_template("tasks/_log_more.html", task=task, piece=piece)


def _more_of_both(task: Task) -> ResponseReturnValue:
    both = logs.merged(task)
    if both["is_live"] and both["both_size"] == request.args.get("seen", 0, int):
        return "", 204
    return render_template("tasks/_both.html", task=task, **both)


def _details(task: Task) -> dict[str, object]:
    words_of, words = last_words(task)
    spent = costs.used(task.spec, ran(task.started_at, task.finished_at))
    deps = runs.tasks_by_key(g.session, task.run_id, task.deps)
    return {
        "why": why(task),
        "waiting": waiting(task.state, [dep.state for dep in deps], task.reason, _pause(task)),
        "dependents": runs.dependents(g.session, task.run_id, task.key, LISTED + 1),
        "named": LISTED,
        "shell": _shell(task),
        "took": spent,
        "price": cost(task.run.backend, spent),
        "words": words,
        "words_of": words_of,
        "full": task,
        "spec": task.spec,
        "deps": deps,
        "events": runs.history(g.session, task.id),
    }


def ran(started_at: datetime | None, finished_at: datetime | None) -> float:
    """Seconds that a task ran, or has run so far."""
    if started_at is None:
        return 0.0
    return max(0.0, ((finished_at or utcnow()) - started_at).total_seconds())


def _pause(task: Task) -> str | None:
    """How the backend of a task that may start is paused; None: it is not, or it matters not."""
    if task.state is not State.PENDING:
        return None
    pause = pauses.of(g.session, Kind.BACKEND, runs.pulse(g.session, task.run_id).backend)
    return pauses.said(pause) if pause else None


def _shell(task: Task) -> str | None:
    """A command that opens a shell where a task runs; None: it does not run, or nobody knows."""
    name = runs.pulse(g.session, task.run_id).backend
    backend = next((b for b in config().backends if b.name == name), None)
    if task.state is not State.RUNNING or task.job_id is None or backend is None:
        return None
    return shell(backend, task.job_id, task.node, str(task.spec.get("working_dir") or "~"))


def why(task: Task) -> Ending | None:
    """Why a task did not complete; None for one that did, or may yet."""
    spec = TaskSpec.stored(task.spec)
    known = (task.state, task.reason, task.exit_code, task.signal)
    asked = (spec.time_limit, spec.memory, spec.cpus)
    used = Used(task.memory_used, task.cpu_used)
    return ending(Ended(*known, task.started_at, task.finished_at, *asked, used))


def last_words(task: Task) -> tuple[str, str]:
    """The name of the log that says why, and its last lines: many programs err on their output."""
    for stream in ("error", "output"):
        data = b"" if task.token is None else kept().read_log(task.token, stream, -LAST_BYTES).data
        text = plain(data.decode("utf-8", "replace")).rstrip()
        if text:
            return stream, "\n".join(text.split("\n")[-LAST_LINES:])
    return "error", ""


def shown_spec(task: Task) -> dict[str, object]:
    """What the task runs, without the secrets in its environment."""
    given = {
        name: env.shown(variable.value)
        for name, variable in environment.given(task).variables.items()
        if any(op.op != "seed" for op in variable.ops)
    }
    return without_secrets({**task.spec, "env": given}, config().settings.secret_names)


def _script(task: Task) -> dict[str, object]:
    spec = shown_spec(task)
    command = str(spec["command"]).encode()
    return {"spec": spec, "lines": lines(command, "command.sh").lines}


def _log(stream: str) -> Callable[[Task], dict[str, object]]:
    return lambda task: {"piece": logs.shown(task, stream)}


def _json(task: Task) -> dict[str, object]:
    said = json.dumps({**_details_json(task), "spec": shown_spec(task)}, indent=2)
    return {"lines": lines(said.encode(), "task.js").lines}


def _details_json(task: Task) -> dict[str, object]:
    about = {"task_id": task.key, "status": task.state, "reason": task.reason}
    return {**about, "why": why_json(task), "events": events_json(task)}


def events_json(task: Task) -> list[dict[str, object]]:
    """What happened to a task as the JSON API says it, the oldest first."""
    return [
        {
            "at": rfc3339(e.at),
            "what": e.what,
            "old": e.old,
            "new": e.new,
            "note": e.note,
        }
        for e in runs.history(g.session, task.id)
    ]


def why_json(task: Task) -> dict[str, object] | None:
    """Why a task did not complete, as the JSON API says it; null for one that did, or may yet."""
    found = why(task)
    if found is None:
        return None
    words_of, words = last_words(task)
    return {**asdict(found), "log": words_of, "last_lines": words}


def _log_json(stream: str) -> Callable[[Task], dict[str, object]]:
    def content(task: Task) -> dict[str, object]:
        text = plain(logs.text(task, stream)[-logs.TAIL :].decode("utf-8", "replace"))
        return {"task_id": task.key, "content": text}

    return content


def _spec_json(task: Task) -> dict[str, object]:
    return {"task_id": task.key, "spec": shown_spec(task)}


def _whole_json(task: Task) -> dict[str, object]:
    return {**_details_json(task), "spec": shown_spec(task)}


VIEWS = {
    "details": "details",
    "script": "script",
    "env": "env",
    "output": "log",
    "error": "log",
    "both": "both",
    "json": "json",
}
CONTEXTS: Mapping[str, Callable[[Task], dict[str, object]]] = {
    "details": _details,
    "script": _script,
    "env": lambda task: {"environment": environments.environment(task)},
    "output": _log("output"),
    "error": _log("error"),
    "both": logs.merged,
    "json": _json,
}
AS_JSON: Mapping[str, Callable[[Task], dict[str, object]]] = {
    "details": _details_json,
    "script": _spec_json,
    "env": environments.as_json,
    "output": _log_json("output"),
    "error": _log_json("error"),
    "json": _whole_json,
}


@bp.get("/logs/<any(output, error):stream>")
def log_file(run_id: str, key: str, stream: str) -> Response:
    """Give all of a log that is kept, as a file."""
    task = runs.find_task(g.session, run_id, key)
    name = f"{run_id}_{key}.{'out' if stream == 'output' else 'err'}"
    return send_file(
        BytesIO(logs.text(task, stream)), "text/plain", as_attachment=True, download_name=name
    )


@bp.post("/cancel")
def cancel(run_id: str, key: str) -> ResponseReturnValue:
    """Order a task's cancellation; show it, or tell the open page."""
    with database().writing() as session:
        task = runs.find_task(session, run_id, key)
        orders.ask_cancel_task(session, task, utcnow())
    if wants_json():
        return {"run_id": run_id, "task_id": key}, 202
    address = url_for("tasks.show", run_id=run_id, key=key)
    return done(f"Cancelling {key}", address) if htmx else redirect(address, 303)
