"""Errors become sentences: a page, a fragment for htmx, or JSON for programs."""

from collections.abc import Mapping
from http import HTTPStatus

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from scripthut.core.errors import Conflict, HutError, Invalid, NotFound, Refused, Unreachable
from scripthut.ids import new_nonce
from scripthut.store.db import DatabaseDown
from scripthut.web import aliases
from scripthut.web.auth import Forbidden, Malformed, Misdirected
from scripthut.web.htmx import htmx

STATUS: Mapping[type[Exception], int] = {
    Malformed: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Misdirected: 421,
    Invalid: 422,
    Refused: 422,
    Unreachable: 503,
    DatabaseDown: 503,
}

SENTENCES: Mapping[int, str] = {
    400: "The request cannot be understood.",
    404: "There is no such page. The list of runs is a good place to go on from.",
    405: "This address does not take this kind of request.",
    413: "What was sent is too large: at most 64 MiB are taken.",
    415: "This kind of content is not taken here: send JSON.",
    500: "Something went wrong on the server, and its log says what. Nothing was changed.",
}


def init_app(app: Flask) -> None:
    """Answer every error of the app with a sentence."""
    app.register_error_handler(HutError, _told)
    app.register_error_handler(HTTPException, _of_http)


def _told(error: HutError) -> Response:
    problems = error.problems if isinstance(error, Invalid) else None
    said = f"{error.what} cannot be used." if isinstance(error, Invalid) else str(error)
    return _answer(_status(error), said, problems)


def _of_http(error: HTTPException) -> Response:
    code = error.code or 500
    if code < 400:  # a redirect to the address with or without its last slash
        return make_response(error.get_response())
    said = SENTENCES.get(code) or error.description or HTTPStatus(code).phrase
    return _answer(code, said)


def _status(error: Exception) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def wants_json() -> bool:
    """Whether the client is a program: it asked below /api/, or for JSON before HTML."""
    if request.path.startswith("/api/"):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html")
    return best == "application/json"


def as_json(said: str, problems: list[str] | None = None) -> dict[str, object]:
    """An error as programs are told it; `problems` where there are several."""
    body = {"error": said, **aliases.of_error(said)}
    return body if problems is None else {**body, "problems": problems}


def _answer(status: int, said: str, problems: list[str] | None = None) -> Response:
    if wants_json():
        return _with(status, jsonify(as_json(said, problems)))
    g.setdefault("nonce", new_nonce())
    if htmx:
        page = render_template("errors/_notice.html", said=said, problems=problems)
        response = _with(status, make_response(page))
        response.headers["HX-Retarget"] = "#notice"
        # A page that only asks for news says by itself that no answer came (static/app.js).
        is_news = status >= 500 and request.method == "GET"
        response.headers["HX-Reswap"] = "none" if is_news else "innerHTML"
        return response
    title = HTTPStatus(status).phrase
    page = render_template("errors/page.html", title=title, said=said, problems=problems)
    return _with(status, make_response(page))


def _with(status: int, response: Response) -> Response:
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = "2"
    return response
