"""What a program asks to be started, read into what a run is made of."""

from collections.abc import Mapping

from scripthut.core import document
from scripthut.core.document import Document
from scripthut.core.errors import Invalid
from scripthut.store.create import KEY_LENGTH, NewRun
from scripthut.web.extensions import config

NAME_LENGTH = 200
KNOWN = ("backend", "name", "document", "document_text", "params", "request_key")


def new_run(asked: Mapping[str, object]) -> NewRun:
    """A run of `{"backend", "name", "document"}`. Invalid says everything that is wrong.

    `document_text` is a document as a file holds it, JSON or YAML, in the place of `document`;
    `params` are chosen values; a `request_key` never makes a second run.
    """
    problems: list[str] = []
    backend = _backend(asked, problems)
    parsed = _document(asked, problems)
    name = asked.get("name") or (parsed.title if parsed else None) or "untitled"
    if not isinstance(name, str) or len(name) > NAME_LENGTH or not name.isprintable():
        problems.append(f"name: is not one line of at most {NAME_LENGTH} characters")
    key = asked.get("request_key")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= KEY_LENGTH):
        problems.append(f"request_key: is not a text of at most {KEY_LENGTH} characters")
    if problems or parsed is None:
        raise Invalid("The document", problems)
    return NewRun(
        name=str(name),
        backend=backend,
        document=parsed,
        layers=config().layers(backend),
        request_key=str(key) if key is not None else None,
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
