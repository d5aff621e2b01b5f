"""Logins that ask a person: the button that begins one, and the answer on its way."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound, Refused
from scripthut.core.survey import Wish
from scripthut.store.machines import logins, surveys
from scripthut.web.backends.page import look
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx

bp = Blueprint("logins", __name__)
ANSWERS = "answer"  # the name of the fields of an answer


@bp.post("/backends/<name>/login")
def begin(name: str) -> ResponseReturnValue:
    """Say that a person is there: the login is begun, and what it asks appears on the page."""
    _begin(name)
    return _shown(name)


@bp.post("/backends/<name>/answer")
def answer(name: str) -> ResponseReturnValue:
    """Hand an answer over to the login that waits for it."""
    _answer(name, request.form.get("question", ""), request.form.getlist(ANSWERS))
    return _shown(name)


@bp.post("/api/v1/backends/<name>/login")
def api_begin(name: str) -> ResponseReturnValue:
    """Say that a person is there."""
    _begin(name)
    return {"name": name, "asked": True}, 202


@bp.post("/api/v1/backends/<name>/answer")
def api_answer(name: str) -> ResponseReturnValue:
    """Hand an answer over: `question` (its key) and `answers`, a list of texts."""
    told = request.get_json(silent=True)
    given = told if isinstance(told, dict) else {}
    answers = given.get("answers")
    if not isinstance(answers, list) or not all(isinstance(one, str) for one in answers):
        raise Refused("`answers` is a list of texts, one for each prompt.")
    _answer(name, str(given.get("question", "")), answers)
    return {"name": name, "answered": True}, 202


def _check(name: str) -> None:
    if name not in {part.name for part in config().backends}:
        raise NotFound(f"There is no backend {name} in the configuration.")


def _begin(name: str) -> None:
    _check(name)
    with database().writing() as session:
        logins.want(session, name)
    surveys.look(database(), name, Wish(facts=True), utcnow())  # so that there is something to ask


def _answer(name: str, key: str, answers: list[str]) -> None:
    _check(name)
    with database().writing() as session:
        logins.answer(session, name, key, answers)


def _shown(name: str) -> ResponseReturnValue:
    if not htmx:
        return redirect(url_for("backends.show", name=name), 303)
    (card,) = look(name)
    return render_template("backends/_card.html", card=card)
