"""What tasks wrote: their panels, the run's summary, and the files themselves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from flask import Blueprint, Response, g, jsonify, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut import __version__
from scripthut.clock import utcnow
from scripthut.core.files.previews import Kind
from scripthut.core.markdown import policy
from scripthut.store import collected, outputs, runs, watches
from scripthut.store.db import Session
from scripthut.store.files import fetches
from scripthut.store.models import Fetch, Output, Run, Task
from scripthut.web import arrivals
from scripthut.web.errors import wants_json
from scripthut.web.extensions import database, kept, recent
from scripthut.web.outputs import files, views
from scripthut.web.outputs.fetching import fetch_json

bp = Blueprint("outputs", __name__, url_prefix="/runs/<run_id>")

SHOWN = 4 * 1024 * 1024  # bytes of HTML in one fragment; documents beyond are links
TEXT = 1024 * 1024  # bytes of a section's Markdown in JSON
HEADS = 12  # files of which a task's panel shows the beginning


@dataclass(frozen=True)
class File:
    """A file as a page shows it. `url` None: it is not kept, and `note` says why if it is known.

    `html` is a document's, with the addresses put in; None: not a document, or not shown here.
    `head` is the beginning of a table or of text; None: neither, or not shown here.
    """

    id: int
    path: str
    size: int
    kind: str
    url: str | None
    note: str | None
    was_sha256: str | None  # of what was kept and is removed
    is_within_reach: bool
    html: str | None
    head: views.Content | None
    is_summary: bool

    @property
    def place(self) -> str:
        """Where in the panel it stands: what can be seen there goes before what is only named."""
        if self.html is not None:
            return "documents"
        if self.kind == Kind.IMAGE and self.url is not None:
            return "images"
        return "rest" if self.head is None else "heads"


@dataclass(frozen=True)
class Part:
    """One task's part of the run's summary; `html` None: it is not shown here, for `note`."""

    id: int
    key: str
    name: str
    html: str | None
    note: str | None


@bp.get("/tasks/<key>/outputs/file/<path:path>", merge_slashes=False)
def file(run_id: str, key: str, path: str) -> Response:
    """Send a listed file by its path, as it is listed."""
    files.refuse_to_run()
    return files.sent(outputs.file(g.session, run_id, key, path.encode("utf-8", "surrogatepass")))


@bp.get("/tasks/<key>/attempts/<int:attempt>/outputs/file/<path:path>", merge_slashes=False)
def file_of(run_id: str, key: str, attempt: int, path: str) -> Response:
    """Send a listed file of one attempt by its path."""
    files.refuse_to_run()
    raw = path.encode("utf-8", "surrogatepass")
    return files.sent(outputs.file_of(g.session, run_id, key, attempt, raw))


@bp.get("/tasks/<key>/outputs/id/<int:row>")
def file_by_row(run_id: str, key: str, row: int) -> Response:
    """Send a listed file by its number: no name is too odd for that."""
    files.refuse_to_run()
    return files.sent(outputs.file_by_row(g.session, run_id, key, row))


@bp.get("/tasks/<key>/detail/outputs")
def panel(run_id: str, key: str) -> ResponseReturnValue:
    """Show what a task wrote. Whoever asks is somebody who looks."""
    task = runs.find_task(g.session, run_id, key)
    is_live = not arrivals.is_done(task)
    if is_live:
        watches.renew(database(), run_id, task.id, "outputs", utcnow())
    tag = _tag(task.id, task.version)
    if _is_known(tag):
        return _tagged(make_response("", 304), tag)
    if wants_json():
        run = runs.find_run(g.session, run_id)
        return _tagged(jsonify(outputs_json(g.session, run, task)), tag)
    found = shown_files(task, outputs.files(g.session, task))
    page = render_template(
        "outputs/_panel.html",
        task=task,
        files=found,
        is_live=is_live,
        why_not=arrivals.why_not(task),
    )
    return _tagged(make_response(page), tag)


@bp.get("/summary")
def summary(run_id: str) -> ResponseReturnValue:
    """Show what the tasks wrote for the run as a whole."""
    run = runs.find_run(g.session, run_id)
    tag = _tag(run.id, run.version)
    if _is_known(tag):
        return _tagged(make_response("", 304), tag)
    if wants_json():
        return _tagged(jsonify(summary_json(g.session, run)), tag)
    page = recent().get(tag)
    if page is None:
        parts = _parts(run.id, outputs.sections(g.session, run.id))
        made = render_template("outputs/_run_summary.html", run=run, parts=parts)
        page = recent().put(tag, made.encode())
    return _tagged(make_response(page), tag)


def files_json(session: Session, task: Task, attempt: int) -> list[dict[str, object]]:
    """The files of an attempt as the JSON API gives them; sizes in bytes."""
    rows = outputs.files(session, task, attempt)
    asked = fetches.of(session, [row.id for row in rows if row.sha256 is None])
    return _files(task.run_id, task.key, rows, asked, attempt != task.attempt)


def _files(
    run_id: str,
    key: str,
    rows: Iterable[Output],
    asked: Mapping[int, Fetch],
    is_former: bool = False,
) -> list[dict[str, object]]:
    return [
        {
            "id": row.id,
            "path": row.path,
            "size": row.size,
            "kind": row.kind,
            "sha256": row.sha256,
            "url": files.url_of(run_id, key, row, is_former),
            "page": url_for("views.show", run_id=run_id, key=key, row=row.id),
            "note": row.note,
            "was_sha256": row.was_sha256,
            "within_reach": outputs.is_within_reach(row),
            "fetch": fetch_json(asked.get(row.id)),
        }
        for row in rows
    ]


def outputs_json(session: Session, run: Run, task: Task) -> dict[str, object]:
    """The files of a task as the JSON API gives them."""
    rows = outputs.files(session, task)
    asked = fetches.of(session, [row.id for row in rows if row.sha256 is None])
    listing = outputs.Listing(task.key, task.outputs_more, task.outputs_problem, rows)
    return _listing(run.id, listing, asked)


def run_outputs_json(session: Session, run: Run) -> dict[str, object]:
    """The files of all tasks of a run; tasks that wrote none are left out."""
    asked = fetches.of_run(session, run.id)
    listed = [_listing(run.id, found, asked) for found in outputs.of_run(session, run.id)]
    return {"run_id": run.id, "tasks": listed}


def _listing(run_id: str, found: outputs.Listing, asked: Mapping[int, Fetch]) -> dict[str, object]:
    return {
        "run_id": run_id,
        "task_id": found.key,
        "files": _files(run_id, found.key, found.files, asked),
        "truncated": found.more > 0,
        "more": found.more,
        "problem": found.problem,
    }


def summary_json(session: Session, run: Run) -> dict[str, object]:
    """A run's summary as the JSON API gives it, in the order of submission."""
    sections = [
        {
            "task_id": section.key,
            "task_name": section.name,
            "markdown": _text(section.file),
            "html": files.html_of(run.id, section.key, section.file),
            "note": section.file.note,
        }
        for section in outputs.sections(session, run.id)
    ]
    left = collected.uncollected(session, run.id)
    return {"run_id": run.id, "sections": sections, "uncollected": left}


def shown_files(task: Task, rows: Iterable[Output], is_former: bool = False) -> list[File]:
    """The files of one attempt as a page shows them."""
    left, heads = SHOWN, HEADS
    found = []
    for row in rows:
        html = files.html_of(task.run_id, task.key, row, is_former) if left > 0 else None
        left -= len(html or "")
        url = files.url_of(task.run_id, task.key, row, is_former)
        is_summary = row.raw == outputs.SUMMARY
        head = views.head(row) if heads > 0 and html is None else None
        heads -= head is not None
        facts = (row.id, row.path, row.size, row.kind, url, row.note, row.was_sha256)
        found.append(File(*facts, outputs.is_within_reach(row), html, head, is_summary))
    return found


def _parts(run_id: str, sections: Iterable[outputs.Section]) -> list[Part]:
    left = SHOWN
    parts = []
    for section in sections:
        html = files.html_of(run_id, section.key, section.file) if left > 0 else None
        if html is not None and not html.strip():
            continue
        left -= len(html or "")
        row = section.file
        why = f"is not shown: it {row.note}" if row.note else _why_not(left)
        parts.append(Part(row.id, section.key, section.name, html, None if html else why))
    return parts


def _why_not(left: int) -> str:
    return "will be here in a moment" if left > 0 else "is not shown: the page is long enough"


def _text(row: Output) -> str | None:
    if row.sha256 is None:
        return None
    try:
        return kept().read(row.sha256, limit=TEXT).decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _tag(*what: object) -> str:
    """An ETag: what a fragment is made of, and by whom, for whom, under which addresses."""
    parts = (*what, __version__, policy.VERSION, request.script_root, wants_json())
    return sha256(repr(parts).encode()).hexdigest()[:20]


def _is_known(tag: str) -> bool:
    return request.if_none_match.contains_weak(tag)


def _tagged(response: Response, tag: str) -> Response:
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response
