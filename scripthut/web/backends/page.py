"""The backends: does each answer, since when not, what it has, and what the user may have of it."""

from dataclasses import dataclass

from flask import Blueprint, g, render_template
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.config import AnyBackend
from scripthut.core.errors import NotFound
from scripthut.core.survey import Wish, facts_as_json
from scripthut.core.units import rfc3339
from scripthut.store.lease import leader
from scripthut.store.machines import backends, logins, pauses, surveys
from scripthut.store.machines.logins import Login
from scripthut.store.machines.pauses import Kind
from scripthut.store.machines.surveys import Known
from scripthut.store.models import BackendRow, PauseRow
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx
from scripthut.web.pauses import pause_json

bp = Blueprint("backends", __name__)


@dataclass(frozen=True)
class Card:
    """A configured backend, as the engine last knew it (None: never asked)."""

    backend: AnyBackend
    row: BackendRow | None
    known: Known
    login: Login | None = None  # None: a key is enough
    pause: PauseRow | None = None  # None: it is not paused


@bp.get("/backends")
def index() -> ResponseReturnValue:
    """Show every configured backend as the engine last knew it."""
    name = "backends/_cards.html" if htmx else "backends/index.html"
    return render_template(name, cards=look(), leader=leader(g.session))


@bp.get("/backends/<name>")
def show(name: str) -> ResponseReturnValue:
    """Show one backend: its partitions, its nodes, limits, shares and disks."""
    (card,) = look(name)
    template = "backends/_whole.html" if htmx else "backends/show.html"
    return render_template(template, card=card, leader=leader(g.session))


@bp.get("/api/v1/backends")
def every() -> ResponseReturnValue:
    """Give what is known of every backend; to ask is to look, so it is fresh a moment later."""
    return {"backends": [_json(card) for card in look()]}


@bp.get("/api/v1/backends/<name>")
def one(name: str) -> ResponseReturnValue:
    """Give what is known of one backend."""
    (card,) = look(name)
    return _json(card)


def look(name: str | None = None) -> list[Card]:
    """All backends, or one; and the engine is told that somebody looks at them."""
    parts = [part for part in config().backends if name in (None, part.name)]
    if not parts:
        raise NotFound(f"There is no backend {name} in the configuration.")
    rows = {row.name: row for row in backends.every(g.session)}
    known = surveys.every(g.session, [part.name for part in parts])
    for part in parts:
        surveys.look(database(), part.name, Wish(facts=True), utcnow())
    asked, paused = logins.every(g.session), pauses.every(g.session, Kind.BACKEND)
    return [
        Card(part, rows.get(name), known[name], asked.get(name), paused.get(name))
        for part in parts
        for name in [part.name]
    ]


def _json(card: Card) -> dict[str, object]:
    row, known = card.row, card.known
    facts = None
    if known.facts_at is not None:
        ranks = {partition.name: rank for rank, partition in enumerate(known.facts.soonest)}
        facts = facts_as_json(known.facts) | {"line": known.facts.line, "soonest": list(ranks)}
    return {
        "name": card.backend.name,
        "type": card.backend.type,
        "max_concurrent": card.backend.max_concurrent,
        "connected": row is not None and row.answered_at is not None and not row.failing_since,
        "answered_at": rfc3339(row.answered_at) if row else None,
        "failing_since": rfc3339(row.failing_since) if row else None,
        "message": row.message if row else None,
        "notice": row.notice if row else None,
        "watched": row.watched if row else 0,
        "paused": pause_json(card.pause),
        "login": _login(card.login) if card.login else None,
        "facts_at": rfc3339(known.facts_at),
        "facts": facts,
    }


def _login(login: Login) -> dict[str, object]:
    question = login.question
    return {
        "is_begun": login.is_wanted,
        "question": login.key if question else None,
        "title": question.title if question else None,
        "instructions": question.instructions if question else None,
        "prompts": [text for text, _ in question.prompts] if question else [],
        "is_answered": login.is_answered,
    }
