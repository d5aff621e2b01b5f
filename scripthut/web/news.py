"""News for an open page: a run ended, a task failed."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import Blueprint, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.store import news
from scripthut.store.news import News

bp = Blueprint("news", __name__)


@dataclass(frozen=True)
class Toast:
    """A line of news, and where it leads."""

    title: str
    text: str
    address: str
    state: str


@bp.get("/news")
def index() -> ResponseReturnValue:
    """Answer with what happened since an event; without one, with the last. 204: nothing."""
    last = news.last(g.session)
    since = request.args.get("since", None, int)
    if since is not None and last <= since:
        return "", 204
    found = [] if since is None else news.since(g.session, since, last)
    toasts = [toast for told in found for toast in _toasts(told)]
    return render_template("news/_news.html", since=last, toasts=toasts)


def _toasts(told: News) -> Iterator[Toast]:
    run = told.run
    if told.count:
        first = url_for("tasks.show", run_id=run.id, key=told.failed[0])
        more = (
            "" if told.count <= len(told.failed) else f" and {told.count - len(told.failed)} more"
        )
        what = "A task failed" if told.count == 1 else f"{told.count} tasks failed"
        yield Toast(f"{what} in {run.name}", ", ".join(told.failed) + more, first, "failed")
    if told.has_ended:
        text = f"{run.done} tasks on {run.backend}"
        yield Toast(
            f"{run.name}: {run.state}", text, url_for("runs.show", run_id=run.id), run.state
        )
