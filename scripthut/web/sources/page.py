"""The sources: what each holds, starting a workflow, and how a run of it would look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from zlib import crc32

from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.config import AnySource, GitSource
from scripthut.core.errors import Invalid
from scripthut.core.refs import shown, web_page
from scripthut.ids import new_nonce
from scripthut.store import source_orders, sources
from scripthut.store.lease import leader
from scripthut.store.machines import pauses
from scripthut.store.machines.pauses import Kind
from scripthut.store.models import PauseRow, SourceOrder, SourceRow, WorkflowRow
from scripthut.store.source_orders import What
from scripthut.web.extensions import config
from scripthut.web.htmx import htmx
from scripthut.web.sources.orders import Wish, ask_start, ask_sync, await_end, backends_of, part_of
from scripthut.web.tasks.retries import PREFIX, fields

bp = Blueprint("sources", __name__)

PAGE = 100  # tasks of a preview on a page
MOMENT = 1.0  # seconds that a page waits for what is usually there by then


@bp.get("/sources")
def index() -> ResponseReturnValue:
    """Show every configured source; to htmx, the cards where they are not those it has seen."""
    cards = _cards()
    if not htmx:
        return render_template("sources/index.html", **cards)
    if request.args.get("seen") == cards["seen"]:
        return "", 204
    return render_template("sources/_cards.html", **cards)


@dataclass(frozen=True)
class Commit:
    """The commit of a git source as its card shows it."""

    short: str
    is_changed: bool  # a working copy with changes
    page: str | None  # on the forge; None: it is on none
    subject: str | None
    at: datetime | None


@dataclass(frozen=True)
class Card:
    """A source as the page shows it. `row`: None before the first look."""

    part: AnySource
    row: SourceRow | None
    workflows: Sequence[WorkflowRow]
    is_busy: bool
    pause: PauseRow | None = None  # None: it is not paused

    @property
    def address(self) -> str:
        """Where it is."""
        if isinstance(self.part, GitSource):
            return shown(self.part.url)
        return f"{self.part.backend}:{self.part.path}"

    @property
    def commit(self) -> Commit | None:
        """What was brought last; None: nothing yet, or it is a directory."""
        row = self.row
        if row is None or row.label is None or not isinstance(self.part, GitSource):
            return None
        sha, _, changes = row.label.partition("-")
        page = web_page(self.part.url, sha)
        return Commit(sha[:10], bool(changes), page, row.subject, row.committed_at)

    @property
    def mark(self) -> tuple[object, ...]:
        """Differs when what the page says of it does."""
        row = self.row
        said = (row.label, row.ref, row.looked_at, row.message, row.notice) if row else ()
        pause = self.pause.at if self.pause else None
        return (self.part.name, said, self.is_busy, len(self.workflows), pause)


def _cards() -> dict[str, object]:
    known, held = sources.every(g.session), sources.workflows(g.session)
    busy = source_orders.busy(g.session)
    paused = pauses.every(g.session, Kind.SOURCE)
    cards = [
        Card(part, known.get(name), held.get(name, ()), name in busy, paused.get(name))
        for part in config().sources
        for name in [part.name]
    ]
    leads = leader(g.session) is not None
    seen = f"{crc32(repr((leads, [card.mark for card in cards])).encode()):08x}"
    return {"cards": cards, "leader": leads, "seen": seen, "backend": config().backends[0].name}


@bp.post("/sources/<name>/sync")
def sync(name: str) -> ResponseReturnValue:
    """Ask for a look at a source; answer with the cards, or with the page."""
    await_end(ask_sync(part_of(name)), MOMENT)
    if not htmx:
        return redirect(url_for("sources.index"), 303)
    return render_template("sources/_cards.html", **_cards())


@bp.get("/sources/<name>/start")
def form(name: str) -> str:
    """Show how a workflow can be started."""
    part = part_of(name)
    row = sources.workflow(g.session, name, request.args.get("workflow", ""))
    return _form(part, row, request.args, None)


def _form(
    part: AnySource,
    row: WorkflowRow,
    given: Mapping[str, str],
    problems: list[str] | None,
) -> str:
    return render_template(
        "sources/start.html",
        part=part,
        workflow=row,
        known=sources.one(g.session, part.name),
        backends=backends_of(part),
        given=given,
        key=given.get("request_key") or new_nonce(),
        problems=problems,
    )


@bp.post("/sources/<name>/start")
def start(name: str) -> ResponseReturnValue:
    """Write the order down to start a workflow, or to show how that would look."""
    part, given = part_of(name), request.form
    what = What.PREVIEW if given.get("then") == What.PREVIEW else What.RUN
    wish = Wish(
        workflow=given.get("workflow"),
        backend=given.get("backend"),
        branch=given.get("branch", "").strip(),
        params=fields(given),
        request_key=given.get("request_key") if what is What.RUN else None,
    )
    try:
        order_id = ask_start(part, wish, what)
    except Invalid as error:
        row = sources.workflow(g.session, name, given.get("workflow", ""))
        return _form(part, row, given, error.problems), 422
    await_end(order_id, MOMENT)
    return redirect(url_for("sources.order", order_id=order_id), 303)


@bp.get("/source-orders/<order_id>")
def order(order_id: str) -> ResponseReturnValue:
    """Show what came of an order: a run's page, how it would look, or why nothing did."""
    row = source_orders.one(g.session, order_id)
    if row.ended_at is None:
        if htmx:
            return "", 204
        return render_template("sources/waiting.html", order=row, leader=leader(g.session))
    here = url_for("sources.order", order_id=order_id)
    target = url_for("runs.show", run_id=row.run_id) if row.run_id else here
    if htmx:
        response = make_response("")
        response.headers["HX-Redirect"] = target
        return response
    if row.run_id:
        return redirect(target, 303)
    if row.what == What.SYNC:
        return redirect(url_for("sources.index"), 303)
    if row.problems:
        return render_template("sources/refused.html", order=row, again=_again(row)), 422
    return _preview(row)


def _preview(row: SourceOrder) -> str:
    found = source_orders.result_of(row) or {"tasks": []}
    first = max(0, request.args.get("from", 0, int))
    count = len(found["tasks"])
    return render_template(
        "sources/preview.html",
        order=row,
        run=found,
        tasks=found["tasks"][first : first + PAGE],
        count=count,
        first=first,
        following=first + PAGE if first + PAGE < count else None,
        again=_again(row),
        key=new_nonce(),
    )


def _again(row: SourceOrder) -> str:
    """The address of the form that asked for an order, filled in as it was."""
    asked = {"workflow": row.workflow, "backend": row.backend, "branch": row.ref}
    chosen = {f"{PREFIX}{name}": value for name, value in row.params.items()}
    kept = {key: value for key, value in (asked | chosen).items() if value}
    return f"{url_for('sources.form', name=row.source)}?{urlencode(kept)}"
