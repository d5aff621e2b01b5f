"""A task's panel: what it is, what it runs, what it says, and how it came to be so."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from flask import Blueprint, g, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core import env
from scripthut.core.endings import Ended, Ending, ending
from scripthut.core.jobs import Chunk
from scripthut.core.mask import without_secrets
from scripthut.core.spec import TaskSpec
from scripthut.core.states import State
from scripthut.store import env as environment
from scripthut.store import orders, runs, search, watches
from scripthut.store.models import Task
from scripthut.web import environments
from scripthut.web import runs as run_pages
from scripthut.web.errors import wants_json
from scripthut.web.extensions import config, database, kept
from scripthut.web.filters import plain, whole
from scripthut.web.htmx import htmx

bp = Blueprint("tasks", __name__, url_prefix="/runs/<run_id>/tasks/<key>")

TABS = ("details", "script", "env", "output", "error", "outputs")
TAIL = 64 * 1024  # bytes of a log that a page begins with
PIECE = 256 * 1024  # bytes that one answer adds to it at most
LAST_BYTES, LAST_LINES = 16 * 1024, 40  # of a log, where a task that did not complete says why
SILENCE: Mapping[State, str] = {
    State.PENDING: "The task has not been submitted yet.",
    State.SUBMITTING: "The task is being submitted.",
    State.SUBMITTED: "The task waits in the queue; it has written nothing yet.",
    State.QUEUED: "The task waits in the queue; it has written nothing yet.",
    State.RUNNING: "Nothing has arrived yet; what the task writes appears here within seconds.",
    State.SETTLING: "Nothing has arrived yet.",
    State.LOST: "Nothing had arrived when the task was lost.",
    State.DEP_FAILED: "The task did not run, because a task that it depends on did not complete.",
}


@dataclass(frozen=True)
class Piece:
    """A piece of a log for the page: `after` is the byte that follows it."""

    stream: str
    text: str
    start: int
    after: int
    size: int
    is_live: bool  # more may come
    is_new: bool  # it does not continue what the page has
    note: str | None  # a sentence, when there is nothing to show


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


@bp.get("/detail/<any(details, script, env, output, error):tab>")
def detail(run_id: str, key: str, tab: str) -> ResponseReturnValue:
    """Answer with one subtab: a fragment, or JSON where the client asks for it."""
    task = runs.find_task(g.session, run_id, key)
    if wants_json():
        return jsonify(AS_JSON[tab](task))
    if "from" in request.args:
        return _more(task, tab)
    row = runs.tasks_by_id(g.session, [task.id])[0]
    return render_template(f"tasks/_{VIEWS[tab]}.html", task=row, **CONTEXTS[tab](task))


def _more(task: Task, stream: str) -> ResponseReturnValue:
    """What a log has grown by since byte `from` of the given attempt; 204: nothing yet."""
    start, attempt = request.args.get("from", 0, int), request.args.get("attempt", 1, int)
    piece = _piece(task, stream, start if attempt == task.attempt else None)
    if piece.is_live and not piece.is_new and piece.after == start:
        return "", 204
    return render_template("tasks/_log_more.html", task=task, piece=piece)


def _details(task: Task) -> dict[str, object]:
    words_of, words = last_words(task)
    return {
        "why": why(task),
        "words": words,
        "words_of": words_of,
        "full": task,
        "spec": task.spec,
        "deps": runs.tasks_by_key(g.session, task.run_id, task.deps),
        "events": runs.history(g.session, task.id),
    }


def why(task: Task) -> Ending | None:
    """Why a task did not complete; None for one that did, or may yet."""
    spec = TaskSpec.stored(task.spec)
    known = (task.state, task.reason, task.exit_code, task.signal)
    return ending(Ended(*known, task.started_at, task.finished_at, spec.time_limit, spec.memory))


def last_words(task: Task) -> tuple[str, str]:
    """The name of the log that says why, and its last lines: many programs err on their output."""
    for stream in ("error", "output"):
        data = b"" if task.token is None else kept().read_log(task.token, stream, -LAST_BYTES).data
        text = plain(data.decode("utf-8", "replace")).rstrip()
        if text:
            return stream, "\n".join(text.split("\n")[-LAST_LINES:])
    return "error", ""


def _shown(task: Task) -> dict[str, object]:
    """What the task runs, without the secrets in its environment."""
    given = {
        name: env.shown(variable.value)
        for name, variable in environment.given(task).variables.items()
        if any(op.op != "seed" for op in variable.ops)
    }
    return without_secrets({**task.spec, "env": given}, config().settings.secret_names)


def _script(task: Task) -> dict[str, object]:
    return {"spec": _shown(task)}


def _log(stream: str) -> Callable[[Task], dict[str, object]]:
    return lambda task: {"piece": _piece(task, stream, None)}


def _piece(task: Task, stream: str, start: int | None) -> Piece:
    """A log from byte `start`, or its tail; whoever reads it is somebody who looks."""
    is_live = not runs.is_done(task)
    if is_live:
        watches.renew(database(), task.run_id, task.id, stream, utcnow())
    chunk = Chunk(0, b"", 0)
    if task.token is not None:
        chunk = kept().read_log(task.token, stream, -TAIL if start is None else start, PIECE)
        if start is not None and chunk.start != start:  # begun anew, or its head is not kept
            return _piece(task, stream, None)
    data = chunk.data[: whole(chunk.data)] if is_live else chunk.data
    after = chunk.start + len(data)
    note = None if chunk.size else SILENCE.get(task.state, "The task wrote nothing here.")
    return Piece(
        stream=stream,
        text=plain(data.decode("utf-8", "replace")),
        start=chunk.start,
        after=after,
        size=chunk.size,
        is_live=is_live or after < chunk.size,
        is_new=start is None,
        note=note,
    )


def _details_json(task: Task) -> dict[str, object]:
    events = [
        {"at": e.at.isoformat(), "what": e.what, "old": e.old, "new": e.new, "note": e.note}
        for e in runs.history(g.session, task.id)
    ]
    about = {"task_id": task.key, "status": task.state, "reason": task.reason}
    return {**about, "why": why_json(task), "events": events}


def why_json(task: Task) -> dict[str, object] | None:
    """Why a task did not complete, as the JSON API says it; null for one that did, or may yet."""
    found = why(task)
    if found is None:
        return None
    words_of, words = last_words(task)
    return {**asdict(found), "log": words_of, "last_lines": words}


def _log_json(stream: str) -> Callable[[Task], dict[str, object]]:
    return lambda task: {"task_id": task.key, "content": _piece(task, stream, None).text}


VIEWS = {"details": "details", "script": "script", "env": "env", "output": "log", "error": "log"}
CONTEXTS: Mapping[str, Callable[[Task], dict[str, object]]] = {
    "details": _details,
    "script": _script,
    "env": lambda task: {"environment": environments.environment(task)},
    "output": _log("output"),
    "error": _log("error"),
}
AS_JSON: Mapping[str, Callable[[Task], dict[str, object]]] = {
    "details": _details_json,
    "script": lambda task: {"task_id": task.key, "spec": _shown(task)},
    "env": environments.as_json,
    "output": _log_json("output"),
    "error": _log_json("error"),
}


@bp.post("/cancel")
def cancel(run_id: str, key: str) -> ResponseReturnValue:
    """Order a task's cancellation; answer with its row, and its panel's head if that is open."""
    with database().writing() as session:
        task = runs.find_task(session, run_id, key)
        orders.ask_cancel_task(session, task, utcnow())
    if wants_json():
        return {"run_id": run_id, "task_id": key}, 202
    if not htmx:
        return redirect(url_for("tasks.show", run_id=run_id, key=key), 303)
    rows = runs.tasks_by_key(g.session, run_id, [key])
    return render_template("tasks/_changed.html", tasks=rows, opened=rows)
