"""A former attempt of a task, with a page of its own: what it wrote and what it said."""

from dataclasses import dataclass

from flask import Blueprint, g, render_template
from flask.typing import ResponseReturnValue

from scripthut.core.errors import NotFound
from scripthut.core.files.lines import Line, lines
from scripthut.core.tokens import token
from scripthut.store import outputs, runs
from scripthut.store.models import Task
from scripthut.web.extensions import kept
from scripthut.web.outputs.page import files_json, shown_files

bp = Blueprint("attempts", __name__)

PAGE = "/runs/<run_id>/tasks/<key>/attempts/<int:attempt>"
TAIL = 64 * 1024  # bytes of a log that are shown
STREAMS = ("output", "error")


@dataclass(frozen=True)
class Said:
    """The end of a log of an attempt; `start`: bytes before it that are not shown."""

    stream: str
    lines: list[Line]
    start: int
    long: int | None = None  # the row of the file that it is, where not all of it is kept


@bp.get(PAGE)
def show(run_id: str, key: str, attempt: int) -> str:
    """Show an attempt: its address is for good, whatever is tried later."""
    task = _task(run_id, key, attempt)
    found = shown_files(task, outputs.files(g.session, task, attempt), attempt != task.attempt)
    return render_template(
        "attempts/show.html",
        run=runs.find_run(g.session, run_id),
        task=task,
        attempt=attempt,
        files=found,
        logs=[_said(task, attempt, stream) for stream in STREAMS],
    )


@bp.get(f"/api/v1{PAGE}/outputs")
def api_outputs(run_id: str, key: str, attempt: int) -> ResponseReturnValue:
    """List the files that an attempt wrote."""
    task = _task(run_id, key, attempt)
    about = {"run_id": run_id, "task_id": key, "attempt": attempt}
    return {**about, "files": files_json(g.session, task, attempt)}


@bp.get(f"/api/v1{PAGE}/logs")
def api_logs(run_id: str, key: str, attempt: int) -> ResponseReturnValue:
    """Give what is kept of the logs of an attempt."""
    task = _task(run_id, key, attempt)
    said = {
        stream: kept().read_log(_token(task, attempt), stream).data.decode("utf-8", "replace")
        for stream in STREAMS
    }
    return {"run_id": run_id, "task_id": key, "attempt": attempt, **said}


def _task(run_id: str, key: str, attempt: int) -> Task:
    task = runs.find_task(g.session, run_id, key)
    if not 1 <= attempt <= task.attempt:
        raise NotFound(f"The task {key} has no attempt {attempt}; it is at its {task.attempt}.")
    return task


def _token(task: Task, attempt: int) -> str:
    own = task.token if attempt == task.attempt else None
    return own or token(task.run_id, task.n, attempt)


def _said(task: Task, attempt: int, stream: str) -> Said:
    chunk = kept().read_log(_token(task, attempt), stream, -TAIL)
    row = outputs.long_log(g.session, task, stream, attempt)
    shown = list(lines(chunk.data, "x.log").lines)
    return Said(stream, shown, chunk.start, row.id if row is not None else None)
