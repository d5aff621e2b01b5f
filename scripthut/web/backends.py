"""The backends: does each answer, since when not, and what the engine asks of it."""

from flask import Blueprint, g, render_template
from flask.typing import ResponseReturnValue

from scripthut.store import backends
from scripthut.store.lease import leader
from scripthut.web.extensions import config
from scripthut.web.htmx import htmx

bp = Blueprint("backends", __name__)


@bp.get("/backends")
def index() -> ResponseReturnValue:
    """Show every configured backend as the engine last knew it."""
    known = {row.name: row for row in backends.every(g.session)}
    cards = [(backend, known.get(backend.name)) for backend in config().backends]
    name = "backends/_cards.html" if htmx else "backends/index.html"
    return render_template(name, cards=cards, leader=leader(g.session))
