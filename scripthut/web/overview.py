"""The first page: what needs a person, what runs, what ended lately, and what was spent."""

from dataclasses import dataclass
from datetime import timedelta
from zlib import crc32

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core import usage as charts
from scripthut.core.states import RunState, State
from scripthut.store import runs, search, usage
from scripthut.store.lease import leader
from scripthut.store.runs import RunRow
from scripthut.web.backends import page as backends
from scripthut.web.costs import total
from scripthut.web.extensions import config

bp = Blueprint("overview", __name__)

NOW, LATELY, NEEDS = 50, 8, 12  # runs that are shown of each kind
FRESH = timedelta(days=3)  # how long a run that failed asks for a person
YEAR, MONTH = timedelta(days=53 * 7), timedelta(days=30)


@dataclass(frozen=True)
class Need:
    """A run that asks for a person, and the first of its tasks that does."""

    run: RunRow
    task: str | None
    count: int


@bp.get("/")
def index() -> ResponseReturnValue:
    """Show what a person wants to know first."""
    if "before" in request.args:  # the list of runs was here
        return redirect(url_for("runs.index", before=request.args["before"]), 301)
    now = utcnow()
    spent = usage.by_hour(g.session, now - YEAR, now)
    year = charts.year(usage.by_day(spent), now.date())
    return render_template(
        "overview/index.html",
        **_runs(),
        year=year,
        day=charts.columns(spent, now),
        month=total(usage.by_backend(g.session, now - MONTH)),
    )


@bp.get("/overview/changes")
def changes() -> ResponseReturnValue:
    """Answer with what runs, ended and needs a person, when the page has seen something else."""
    found = _runs()
    if request.args.get("seen") == found["seen"]:
        return "", 204
    return render_template("overview/_changes.html", **found)


def _runs() -> dict[str, object]:
    active = runs.active(g.session, NOW)
    ended = runs.ended(g.session, LATELY)
    recent = runs.ended(g.session, 10 * NEEDS, utcnow() - FRESH)
    needs = [need for run in (*active, *recent) if (need := _need(run))][:NEEDS]
    cards = backends.look()
    acting = leader(g.session) is not None
    health = [
        (card.row.failing_since, card.row.message, card.row.notice) for card in cards if card.row
    ]
    facts = [
        (card.known.facts.line, card.known.facts.yours, card.pause.at if card.pause else None)
        for card in cards
    ]
    versions = [(run.id, run.version) for run in (*active, *recent, *ended)]
    seen = f"{crc32(repr((versions, health, facts, acting)).encode()):08x}"
    return {
        "active": active,
        "ended": ended,
        "needs": needs,
        "cards": cards,
        "has_engine": acting,
        "seen": seen,
        "backend": config().backends[0].name,
    }


def _need(run: RunRow) -> Need | None:
    count = sum(run.counts.get(state, 0) for state in search.FAILURES)
    if not count and run.state is not RunState.STALLED:
        return None
    return Need(run, search.failures(g.session, run.id).first, count or run.counts[State.LOST])
