"""The palette: whatever can be gone to or done, by a few letters."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, g, render_template, request, url_for

from scripthut.core.errors import NotFound
from scripthut.store import runs, search
from scripthut.store.runs import RunRow, Which
from scripthut.store.search import Wish
from scripthut.web.numbers import LONGEST

bp = Blueprint("palette", __name__)

EACH = 8  # of a kind
PAGES: Mapping[str, str] = {
    "Overview": "overview.index",
    "Runs": "runs.index",
    "Queue": "queue.index",
    "Sources": "sources.index",
    "Backends": "backends.index",
    "Disk": "disk.index",
    "Settings": "settings.index",
}
VIEWS = ("table", "graph", "gantt")
RUN = re.compile(r"/runs/([a-z0-9]{8})(?:/|$)")


@dataclass(frozen=True)
class Entry:
    """Something to go to, or (`asks`) to do once a question is answered."""

    kind: str
    name: str
    address: str
    about: str = ""
    asks: bool = False
    downloads: bool = False


@bp.get("/palette")
def index() -> str:
    """Answer with what the letters may mean, on the page that asks."""
    words = request.args.get("find", "").strip()[:LONGEST]
    run = _here()
    fixed = [*(_of_run(run) if run else ()), *_pages()]
    wanted = words.casefold().split()
    found = [entry for entry in fixed if all(w in entry.name.casefold() for w in wanted)]
    if words:
        found = [*_tasks(run, words), *_runs(words), *_files(run, words), *found]
    else:
        found += _runs("")
    return render_template("palette/_found.html", found=found, run=run)


def _here() -> RunRow | None:
    """The run whose page is looked at; None: it is another page."""
    match = RUN.search(urlsplit(request.headers.get("HX-Current-URL", "")).path)
    if match is None:
        return None
    try:
        return runs.one(g.session, match[1])
    except NotFound:
        return None


def _pages() -> Iterator[Entry]:
    for name, endpoint in PAGES.items():
        yield Entry("page", name, url_for(endpoint))


def _of_run(run: RunRow) -> Iterator[Entry]:
    for view in VIEWS:
        address = url_for("runs.show", run_id=run.id, view=view)
        yield Entry("view", f"{view.capitalize()} of {run.name}", address)
    first = search.failures(g.session, run.id).first
    if first:
        address = url_for("tasks.show", run_id=run.id, key=first)
        yield Entry("go", "First failure", address, first)
    yield Entry("go", "Report of this run", url_for("takeaway.report", run_id=run.id))
    zipped = url_for("takeaway.run_zip", run_id=run.id)
    yield Entry("get", "Outputs as a zip", zipped, downloads=True)
    for name, what in _orders(run, first):
        address = url_for("questions.of_run", run_id=run.id, what=what)
        yield Entry("do", name, address, asks=True)


def _orders(run: RunRow, first: str | None) -> Iterator[tuple[str, str]]:
    if not run.is_over:
        yield "Cancel run", "cancel"
        return
    if first:
        yield "Retry failed", "retry"
    yield "Run again", "rerun"


def _runs(words: str) -> Iterator[Entry]:
    for run in runs.newest(g.session, EACH, None, Which(find=words)):
        address = url_for("runs.show", run_id=run.id)
        yield Entry("run", run.name, address, f"{run.id} · {run.state}")


def _tasks(run: RunRow | None, words: str) -> Iterator[Entry]:
    if run is None:
        return
    for task in runs.tasks_by_id(g.session, search.found(g.session, run.id, Wish(words), 0, EACH)):
        address = url_for("tasks.show", run_id=run.id, key=task.key)
        yield Entry("task", task.key, address, task.state.value.replace("_", " "))


def _files(run: RunRow | None, words: str) -> Iterator[Entry]:
    if run is None:
        return
    for key, row in search.files(g.session, run.id, words, EACH):
        address = url_for("views.show", run_id=run.id, key=key, row=row.id)
        yield Entry("file", row.path, address, key)
