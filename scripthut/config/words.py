"""Where in a configuration something is, and what is wrong there, in words."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel

from scripthut.config.hiding import hidden
from scripthut.core import wrong
from scripthut.core.mask import is_secret

Loc = tuple[int | str, ...]

KINDS = (
    "slurm",
    "pbs",
    "local",
    "git",
    "path",
    "mail",
    "ntfy",
    "slack",
    "webhook",
)  # of entries; pydantic puts them into a place
GONE = {
    ("projects",): "was removed in 0.6: name the repository under `sources` instead",
    ("workflows",): "is no section: name where the workflow files are under `sources` instead",
}
SENTENCES = {
    "list_type": "must be a list, each entry behind a dash",
    "union_tag_not_found": "needs a `type`: {kinds}",
    "union_tag_invalid": "the type {tag} is not one of {kinds}",
}
INNER = ("later", "later_backends")  # fields of the whole that are no keys of a file


def place(loc: Sequence[int | str]) -> str:
    """Where in a document something is, by its bare place.

    >>> place(bare(("backends", 0, "slurm", "ssh", "host"))), place(("sources", 1, "path"))
    ('backends[0].ssh.host', 'sources[1].path')
    """
    text = "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in loc)
    return text.removeprefix(".") or "the whole"


def bare(loc: Sequence[int | str]) -> Loc:
    """A place as it stands in the file: without the kind of entry that pydantic puts into it.

    >>> bare(("sources", 1, "path", "path"))
    ('sources', 1, 'path')
    """
    words = tuple(w for n, w in enumerate(loc) if not (n == 2 and w in KINDS))
    return words[:-1] if words and words[-1] == "[key]" else words


def say(error: Mapping[str, object], root: type[BaseModel] | None = None) -> str:
    """What is wrong, in a sentence; a key that nobody knows is answered with the nearest one."""
    loc, kind = error["loc"], str(error["type"])
    loc = loc if isinstance(loc, tuple) else ()
    if kind == "extra_forbidden":
        return GONE.get(loc) or "is not a known key" + _nearest(loc, root)
    if kind in SENTENCES and error.get("input") is not None:
        context = error.get("ctx")
        words = {str(k): str(v) for k, v in context.items()} if isinstance(context, dict) else {}
        kinds = (str(k) for model in _at(root, loc) for k in _tags(model)) if root else ()
        return SENTENCES[kind].format_map(words | {"kinds": ", ".join(kinds)})
    said = wrong.sentence(error, _given(error.get("input"), loc))
    if said is not None:
        return said
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:] if kind != "value_error" else message


def _given(value: object, loc: Loc) -> str:
    """What stands at a place, as it may be said."""
    if any(is_secret(word) for word in loc if isinstance(word, str)):
        return "what stands there"
    return repr(hidden(value)) if isinstance(value, str) else hidden(str(value))


def _nearest(loc: Loc, root: type[BaseModel] | None) -> str:
    """A hint at the key that was meant: a similar one there, or the same one in `settings`."""
    if root is None:
        return ""
    known = keys(root, loc[:-1])
    near = get_close_matches(str(loc[-1]), known, 1, 0.6)
    if near:
        return f": did you mean {near[0]}?"
    if len(loc) == 1 and loc[0] in keys(root, ("settings",)):
        return f": it belongs under settings, as settings.{loc[0]}"
    return f": known here are {', '.join(sorted(known))}" if known else ""


def keys(root: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys that a section of the configuration may have.

    >>> from scripthut.config.backends import SSH
    >>> keys(SSH, ())[:2]
    ['host', 'port']
    """
    found = [model.model_fields.items() for model in _at(root, loc)]
    return [f.alias or name for fields in found for name, f in fields if name not in INNER]


def _at(root: type[BaseModel], loc: Sequence[int | str]) -> list[type[BaseModel]]:
    """The sections that may stand at a place."""
    models: list[type[BaseModel]] = [root]
    for word in loc:
        if isinstance(word, int):
            continue
        tagged = [model for model in models if word in _tags(model)]
        fields = [f for m in models for k, f in m.model_fields.items() if word in (k, f.alias)]
        if tagged:
            models = tagged
        elif fields:
            models = [found for field in fields for found in _models(field.annotation)]
    return models


def _tags(model: type[BaseModel]) -> Sequence[object]:
    kind = model.model_fields.get("type")
    return get_args(kind.annotation) if kind is not None else ()


def _models(annotation: object) -> list[type[BaseModel]]:
    """The sections within a type: `list[Annotated[A | B, ...]]` holds A and B."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
