"""What a program asks to be started, read into what a run is made of."""

import json
from collections.abc import Mapping
from dataclasses import replace

from flask import request

from scripthut.core.errors import Invalid, Refused
from scripthut.core.workflow import document
from scripthut.core.workflow.document import Document
from scripthut.core.workflow.notation import half_characters
from scripthut.store.making.create import NewRun, request_key
from scripthut.web.extensions import config

NAME_LENGTH = 200
KNOWN = ("backend", "name", "document", "document_text", "params", "request_key")


def asked_for(is_optional: bool = False) -> dict[str, object]:
    """The body of a request, a mapping in JSON; nothing at all where that is allowed."""
    body = request.get_data(cache=False)
    if is_optional and not body.strip():
        return {}
    try:
        asked = json.loads(body)
    except RecursionError:
        raise Refused("The body is nested too deeply to be a document.") from None
    except ValueError as error:
        raise Invalid("The body", [f"is not JSON: {error}"]) from None
    if halves := half_characters(asked):
        raise Invalid("The body", halves)
    if not isinstance(asked, dict):
        raise Invalid("The body", ['is not a mapping {"backend", "name", "document"}'])
    return asked


def new_run(asked: Mapping[str, object]) -> NewRun:
    """A run of `{"backend", "name", "document"}`. Invalid says everything that is wrong.

    `document_text` is a document as a file holds it, JSON or YAML, in the place of `document`;
    `params` are chosen values; a `request_key` never makes a second run.
    """
    problems: list[str] = []
    backend = _backend(asked, problems)
    wrong = -len(problems)
    parsed = _document(asked, problems)
    wrong += len(problems)  # of the document alone
    name = asked.get("name") or (parsed.title if parsed else None) or "untitled"
    if not isinstance(name, str) or len(name) > NAME_LENGTH or not name.isprintable():
        problems.append(f"name: is not one line of at most {NAME_LENGTH} characters")
    key = None
    try:
        key = request_key(asked.get("request_key"))
    except Refused as error:
        problems.append(str(error))
    if problems or parsed is None:
        is_documents = parsed is None and len(problems) == wrong
        raise Invalid("The document" if is_documents else "What was asked", problems)
    notices = (*parsed.notices, *config().beyond(backend, parsed.tasks))
    return NewRun(
        name=str(name),
        backend=backend,
        document=replace(parsed, notices=notices),
        layers=config().layers(backend),
        request_key=key,
    )


def _backend(asked: Mapping[str, object], problems: list[str]) -> str:
    names = [backend.name for backend in config().backends]
    backend = asked.get("backend") or (names[0] if len(names) == 1 else None)
    if backend not in names:
        problems.append(f"backend: {backend!r} is not one of {', '.join(names)}")
    return str(backend)


def _document(asked: Mapping[str, object], problems: list[str]) -> Document | None:
    given, text = asked.get("params") or {}, asked.get("document_text")
    if not isinstance(given, Mapping):
        problems.append('params: is not a mapping like {"NAME": value}')
        given = {}
    try:
        if isinstance(text, str):
            return document.parse_text(text, "the document", given)
        return document.parse(asked.get("document"), given=given)
    except Invalid as error:
        problems += error.problems
    return None
