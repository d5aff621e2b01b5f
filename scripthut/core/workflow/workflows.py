"""The workflows that a source holds: what each is called, and what is wrong with some."""

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from scripthut.core import wrong
from scripthut.core.errors import BROKEN, Invalid, NotFound, Refused
from scripthut.core.workflow import document, params
from scripthut.core.workflow.notation import read
from scripthut.core.workflow.params import Chosen, Param
from scripthut.core.workflow.rules import EnvRule, Layer

OVERLAY = "scripthut.yaml"  # a repository's own rules for the environment
ALLOWED = ("env", "env_groups", "stacks")
SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Workflow:
    """A document of a source, as it stands in a list."""

    path: str  # relative to the source; its identity
    title: str | None = None
    tasks: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)  # core.params.Param, as JSON
    problem: str | None = None  # why it cannot be started


def look(path: str, content: bytes) -> Workflow:
    """What is in a document, or what is wrong with it, by place."""
    try:
        text = text_of(path, content)
        data = read(text, path)
        declared = params.declared(data.get("params") if isinstance(data, dict) else None, path)
        given = {name: _sample(p) for name, p in declared.items() if p.default is None}
        parsed = document.parse_text(text, path, given)
    except Invalid as error:
        return Workflow(path, problem="; ".join(error.problems))
    except Refused as error:
        return Workflow(path, problem=str(error))
    except BROKEN as error:  # one document must not hide the others
        return Workflow(path, problem=f"{path}: cannot be read: {error}")
    fields = {name: param.model_dump(mode="json") for name, param in declared.items()}
    return Workflow(path, parsed.title, len(parsed.tasks), fields)


def _sample(param: Param) -> Chosen:
    """Something that a parameter without a default may be, to see whether the rest is well."""
    if param.type == "choice":
        return param.choices[0]
    return {"number": 1, "boolean": True}.get(param.type, "x")


def text_of(path: str, content: bytes) -> str:
    """A document's text. Invalid when it is none."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(path, [f"byte {error.start}: is not UTF-8"]) from None


def find(paths: Collection[str], wanted: str) -> str:
    """The path that is meant: the whole of it, or its last part where only one has it.

    The suffix may be left out. NotFound; Refused when several are meant.

    >>> find(["a/x.json", "b/x.json", "b/y.yaml"], "y"), find(["a/x.json", "b/x.json"], "b/x")
    ('b/y.yaml', 'b/x.json')
    """
    if wanted in paths:
        return wanted
    names = {f"{wanted}{suffix}" for suffix in ("", *SUFFIXES)}
    whole = [path for path in paths if path in names]
    meant = whole or sorted(path for path in paths if posixpath.basename(path) in names)
    if not meant:
        raise NotFound(missing(wanted))
    if len(meant) > 1:
        raise Refused(f"{wanted!r} may be any of {', '.join(meant)}: write the whole path.")
    return meant[0]


def missing(wanted: str) -> str:
    """What is said, and written into a refused order, where no workflow is meant by this."""
    return f"There is no workflow {wanted!r}."


def run_name(source: str, path: str, glob: str) -> str:
    """What a run of a workflow is called: its source, and its path as far as it tells it apart.

    >>> run_name("study", ".hut/workflows/deep/fit.json", ".hut/workflows/**/*.json")
    'study/deep/fit'
    """
    fixed = []
    for part in glob.split("/")[:-1]:
        if any(c in part for c in "*?["):
            break
        fixed.append(part)
    relative = path.removeprefix("/".join([*fixed, ""]))
    stem, suffix = posixpath.splitext(relative)
    return f"{source}/{stem if suffix in SUFFIXES else relative}"


def stacks(content: bytes | None) -> list[object]:
    """The stacks that a source's own file, which is valid, names; they are kept, and not used."""
    data = read(text_of(OVERLAY, content), OVERLAY) if content is not None else None
    found = data.get("stacks") if isinstance(data, Mapping) else None
    return list(found) if isinstance(found, list) else []


class _Overlay(BaseModel):
    env: list[EnvRule] = []
    env_groups: dict[str, list[EnvRule]] = {}


def overlay(source: str, content: bytes | None) -> Layer:
    """The environment rules that a source brings along. Invalid says what is wrong with them."""
    label = f"source:{source}"
    if content is None:
        return Layer(label)
    data = read(text_of(OVERLAY, content), OVERLAY)
    if data is None:
        return Layer(label)
    if not isinstance(data, Mapping):
        raise Invalid(OVERLAY, [f"must be a mapping with {_listed(ALLOWED)}"])
    others = sorted(str(key) for key in data if key not in ALLOWED)
    if others:
        why = f"may hold {_listed(ALLOWED)} alone: the rest is the server's"
        raise Invalid(OVERLAY, [f"{name}: a repository's file {why}" for name in others])
    written = {key: data[key] for key in ("env", "env_groups") if data.get(key) is not None}
    try:
        rules = _Overlay.model_validate(written)
    except ValidationError as error:
        raise Invalid(OVERLAY, [_problem(e) for e in error.errors()]) from None
    return Layer(label, rules.env, rules.env_groups)


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _problem(error: Mapping[str, Any]) -> str:
    place = "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    said = wrong.sentence(error, "what stands there") or message
    return f"{place.removeprefix('.')}: {said}"
