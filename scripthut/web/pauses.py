"""Backends and sources are paused and resumed: a question first, then a row in the database."""

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import Conflict, NotFound, Refused
from scripthut.core.survey import Wish
from scripthut.core.units import rfc3339
from scripthut.store.machines import pauses, surveys
from scripthut.store.machines.pauses import Held, Kind, Words
from scripthut.store.models import PauseRow
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx
from scripthut.web.questions import Question, asked, done, some
from scripthut.web.sources.orders import part_of

bp = Blueprint("pauses", __name__)

KINDS = {"backends": Kind.BACKEND, "sources": Kind.SOURCE}
PLURALS = {kind: word for word, kind in KINDS.items()}
WORDS = {"why": "Why, for whoever wonders", "who": "Who you are"}  # of the question
WHERE = "/<any(backends, sources):kinds>/<name>"


@bp.get(f"{WHERE}/ask/<any(pause, resume):what>")
def ask(kinds: str, name: str, what: str) -> str:
    """Ask whether a backend or a source is paused, or goes on."""
    kind = _check(kinds, name) if what == "pause" else _check_resume(kinds, name)
    row = pauses.of(g.session, kind, name)
    held = pauses.held(g.session, kind, name)
    if what == "pause" and row is not None:
        raise Conflict(f"The {kind} {name} {pauses.said(row)}")
    if what == "resume" and row is None:
        raise Conflict(f"The {kind} {name} is not paused.")
    said = _of_pause(kind, held) if row is None else _of_resume(kind, row, held)
    question = Question(
        title=f"{what.capitalize()} {name}?",
        said=said,
        yes="Pause it" if what == "pause" else "Resume it",
        action=url_for(f"pauses.{what}", kinds=kinds, name=name),
        back=_page(kind, name),
        no="Leave it as it is",
        ends=what == "pause",
        texts=WORDS if what == "pause" else {},
    )
    return asked(question)


@bp.post(f"{WHERE}/pause")
def pause(kinds: str, name: str) -> ResponseReturnValue:
    """Pause one, with the words of who does."""
    kind = _check(kinds, name)
    _pause(kind, name, Words(request.form.get("who", ""), request.form.get("why", "")))
    return _shown(kind, name, f"{name} is paused")


@bp.post(f"{WHERE}/resume")
def resume(kinds: str, name: str) -> ResponseReturnValue:
    """Let things begin there again."""
    kind = _check_resume(kinds, name)
    _resume(kind, name)
    return _shown(kind, name, f"{name} goes on")


@bp.post("/api/v1/backends/<name>/pause", endpoint="pause_backends", defaults={"kinds": "backends"})
@bp.post("/api/v1/sources/<name>/pause", endpoint="pause_sources", defaults={"kinds": "sources"})
def api_pause(kinds: str, name: str) -> ResponseReturnValue:
    """Pause one: `who` and `why` are for whoever reads it."""
    kind = _check(kinds, name)
    told = request.get_json(silent=True) or {}
    if not isinstance(told, dict) or not all(isinstance(one, str) for one in told.values()):
        raise Refused('The request is a mapping like {"who": "ada", "why": "maintenance"}.')
    _pause(kind, name, Words(told.get("who", ""), told.get("why", "")))
    with database().reading() as session:
        return {"name": name, "paused": pause_json(pauses.of(session, kind, name))}


@bp.post(
    "/api/v1/backends/<name>/resume", endpoint="resume_backends", defaults={"kinds": "backends"}
)
@bp.post("/api/v1/sources/<name>/resume", endpoint="resume_sources", defaults={"kinds": "sources"})
def api_resume(kinds: str, name: str) -> ResponseReturnValue:
    """Let things begin there again."""
    kind = _check_resume(kinds, name)
    _resume(kind, name)
    return {"name": name, "paused": None}


def pause_json(row: PauseRow | None) -> dict[str, object] | None:
    """A pause as the API tells it; None: there is none."""
    if row is None:
        return None
    return {"at": rfc3339(row.at), "who": row.who, "why": row.why}


def _check(kinds: str, name: str) -> Kind:
    kind = KINDS[kinds]
    if kind is Kind.SOURCE:
        part_of(name)
    elif not _is_backend(name):
        raise NotFound(f"There is no backend {name} in the configuration.")
    return kind


def _check_resume(kinds: str, name: str) -> Kind:
    """What is paused can be resumed when the configuration does not have it any more, too."""
    kind = KINDS[kinds]
    return kind if pauses.of(g.session, kind, name) is not None else _check(kinds, name)


def _is_backend(name: str) -> bool:
    return any(part.name == name for part in config().backends)


def _pause(kind: Kind, name: str, words: Words) -> None:
    with database().writing() as session:
        pauses.pause(session, kind, name, words, utcnow())


def _resume(kind: Kind, name: str) -> None:
    with database().writing() as session:
        pauses.resume(session, kind, name)
    if kind is Kind.BACKEND and _is_backend(name):
        surveys.look(database(), name, Wish(facts=True), utcnow())  # so that it is due at once


def _page(kind: Kind, name: str) -> str:
    if kind is Kind.SOURCE:
        return url_for("sources.index")
    return url_for("backends.show", name=name) if _is_backend(name) else url_for("backends.index")


def _shown(kind: Kind, name: str, said: str) -> ResponseReturnValue:
    if htmx:
        return done(said, _page(kind, name))
    return redirect(_page(kind, name), 303)


def _of_pause(kind: Kind, held: Held) -> tuple[str, ...]:
    if kind is Kind.SOURCE:
        begun = held.live + held.waiting
        go = f"{some(begun, 'task')} of its runs go on as if nothing were." if begun else ""
        return tuple(
            text for text in ("No run of it is started, and it is not looked at.", go) if text
        )
    said = ["Nothing more is submitted there until somebody resumes it."]
    if held.live:
        said.append(
            f"{some(held.live, 'task')} {_is(held.live)} with its scheduler: "
            "what runs goes on, is watched, and can be cancelled."
        )
    if held.waiting:
        said.append(f"{some(held.waiting, 'task')} that {_do(held.waiting)} not begun will wait.")
    return tuple(said)


def _of_resume(kind: Kind, row: PauseRow, held: Held) -> tuple[str, ...]:
    said = [f"It {pauses.said(row)}"]
    if kind is Kind.SOURCE:
        return (*said, "It is looked at, and workflows of it can be started again.")
    if held.waiting:
        said.append(f"{some(held.waiting, 'task')} that {_do(held.waiting)} not begun may start.")
    return tuple(said)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _do(count: int) -> str:
    return "has" if count == 1 else "have"
