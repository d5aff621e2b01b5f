"""The workflow document: parse it, validate it, and say where it is wrong.

A document is `{"tasks": [...]}` or a bare list of tasks. A wrong one is refused whole: `parse`
raises Invalid with every problem, each with its place (`tasks[3].memory: "4 bananas" is not a
size`), so that nothing is created from half a document.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from scripthut.core import graph, units
from scripthut.core.errors import Invalid

ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=:,-]{0,127}")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Fields that older documents carry and that change nothing here.
KEPT = frozenset({"inputs", "outputs", "cache", "cache_scope", "image"})
# Fields that would change what the run means: refused until they are kept.
LATER = {
    "generates_source": "generators are not supported by this version: write the tasks out",
    "environment": "was removed long ago: use env, a list of rules [{'set': {'NAME': 'value'}}]",
    "env_vars": "was removed long ago: use env, a list of rules [{'set': {'NAME': 'value'}}]",
}


def _line(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError(f"{_shown(text)} holds a line break or another control character")
    return text


def _words(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which no shell can carry")
    return text


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError(
            f"{_shown(text)} cannot be an id: use letters, digits and . _ + = : , - (at most 128), "
            "beginning with a letter, a digit or _"
        )
    if text == "_run" or text.startswith("_run@"):
        raise ValueError(
            "`_run` is the name of the run summaries' own directory: choose another id"
        )
    return text


def _memory(value: object) -> object:
    return units.memory(str(value)) if isinstance(value, str | int | float) else value


def _time_limit(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    return units.time_limit(str(value)) if isinstance(value, str | int) else value


def _shown(text: str) -> str:
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"'


Line = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_line)]
Words = Annotated[str, Field(min_length=1), AfterValidator(_words)]


class TaskSpec(BaseModel):
    """One task as its document wants it. Memory in bytes, time limit in seconds, None: no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, AfterValidator(_id)]
    name: Line
    command: Words
    deps: list[str] = []
    working_dir: Line = "~"
    partition: Line | None = None
    cpus: int = Field(1, ge=1)
    memory: Annotated[int | None, BeforeValidator(_memory)] = 4 * 1024**3
    time_limit: Annotated[int | None, BeforeValidator(_time_limit)] = 3600
    gres: Line | None = None
    output_file: Line | None = None
    error_file: Line | None = None
    env: dict[str, Words | Annotated[str, Field(max_length=0)]] = {}

    @classmethod
    def stored(cls, spec: Mapping[str, Any]) -> "TaskSpec":
        """A spec as it was kept: in bytes and seconds, and valid, so nothing is read anew."""
        return cls.model_construct(**spec)

    @model_validator(mode="before")
    @classmethod
    def _old_spellings(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            raise ValueError("is not a mapping with id, name and command")
        task = {k: v for k, v in data.items() if k not in KEPT and not str(k).startswith("x-")}
        for field, why in LATER.items():
            if task.get(field) is None:
                task.pop(field, None)
            elif field in task:
                raise ValueError(f"{field}: {why}")
        older = task.pop("dependencies", None)
        if "deps" not in task and older is not None:
            task["deps"] = older
        task.setdefault("name", task.get("id"))
        return task

    @field_validator("cpus", mode="before")
    @classmethod
    def _a_count(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError(f"{value} is not a number of CPUs")
        return value

    @field_validator("env", mode="before")
    @classmethod
    def _rules(cls, value: object) -> object:
        return _settings(value)

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not ENV_NAME.fullmatch(name):
                raise ValueError(f"{_shown(name)} cannot be the name of a variable")
            if name.startswith("SCRIPTHUT_"):
                raise ValueError(f"{name}: names beginning with SCRIPTHUT_ are set by the server")
        return env


def _settings(value: object) -> object:
    """The variables that a list of env rules sets, the later rule winning."""
    if value is None:
        return {}
    if not isinstance(value, list):
        return value
    merged: dict[object, object] = {}
    for i, rule in enumerate(value):
        if not isinstance(rule, Mapping) or not isinstance(rule.get("set", {}), Mapping):
            raise ValueError(f"rule {i} is not of the form {{'set': {{'NAME': 'value'}}}}")
        other = sorted(str(k) for k in rule if k != "set")
        if other:
            raise ValueError(f"rule {i}: {other[0]!r} is not supported by this version, only 'set'")
        merged |= rule.get("set", {})
    return merged


@dataclass(frozen=True)
class Document:
    """A valid document: tasks in its order, and each one's dependencies with wildcards resolved."""

    tasks: tuple[TaskSpec, ...]
    deps: tuple[tuple[str, ...], ...]
    title: str | None = None


def parse(data: object, what: str = "the document") -> Document:
    """Make a Document of plain data (what `json.loads` gives). Invalid names every problem."""
    tasks, title, env = _top(data, what)
    specs: list[TaskSpec] = []
    problems: list[str] = []
    for i, item in enumerate(tasks):
        try:
            specs.append(TaskSpec.model_validate(item))
        except ValidationError as error:
            problems += [_problem(i, e) for e in error.errors()]
    if problems:
        raise Invalid(what, problems + _graph_problems(tasks))
    ids = [spec.id for spec in specs]
    deps, problems = graph.resolve(ids, [spec.deps for spec in specs])
    if problems:
        raise Invalid(what, problems)
    if env:
        specs = [spec.model_copy(update={"env": {**env, **spec.env}}) for spec in specs]
    return Document(tuple(specs), tuple(deps), title)


def _graph_problems(tasks: Sequence[object]) -> list[str]:
    """What is wrong between tasks some of which are wrong themselves: all is said at once."""
    ids: list[str] = []
    deps: list[list[str]] = []
    for i, task in enumerate(tasks):
        fields = task if isinstance(task, Mapping) else {}
        own, wanted = fields.get("id"), fields.get("deps", fields.get("dependencies"))
        ids.append(own if isinstance(own, str) else f"\0{i}")  # no dependency can mean this one
        deps.append([d for d in wanted if isinstance(d, str)] if isinstance(wanted, list) else [])
    return graph.resolve(ids, deps)[1]


def _top(data: object, what: str) -> tuple[Sequence[object], str | None, dict[str, str]]:
    """The list of tasks, the title and the variables for all tasks."""
    title, env = None, {}
    if isinstance(data, Mapping):
        title = data.get("title")
        if title is not None and not isinstance(title, str):
            raise Invalid(what, ["title: is not a text"])
        env = _document_env(data.get("env"), what)
        data = data.get("tasks")
    if not isinstance(data, list):
        raise Invalid(what, ['must be {"tasks": [...]} or a list of tasks'])
    if not data:
        raise Invalid(what, ["tasks: is empty, there is nothing to run"])
    return data, title, env


def _document_env(value: object, what: str) -> dict[str, str]:
    probe = {"id": "x", "command": "x", "env": value}
    try:
        return dict(TaskSpec.model_validate(probe).env)
    except ValidationError as error:
        problems = [_problem(None, e) for e in error.errors()]
        raise Invalid(what, problems) from None


def _problem(task: int | None, error: Mapping[str, Any]) -> str:
    """One problem as `place: sentence`."""
    loc = [part for part in error["loc"] if not str(part).startswith("constrained-str")]
    words = "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in loc)
    where = words.removeprefix(".") if task is None else f"tasks[{task}]{words}"
    kind, message = error["type"], str(error["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        message = "is required"
    elif kind == "extra_forbidden":
        near = get_close_matches(str(loc[-1]), list(TaskSpec.model_fields), 1)
        message = "is not a known field" + (f": did you mean {near[0]!r}?" if near else "")
    elif kind == "value_error" and not loc and message.split(":")[0] in LATER:
        field, message = message.split(": ", 1)
        where = f"{where}.{field}"
    elif kind != "value_error":
        message = f"{_given(error['input'])} is wrong: {message[:1].lower()}{message[1:]}"
    return f"{where}: {message}"


def _given(value: object) -> str:
    return _shown(value) if isinstance(value, str) else _shown(repr(value)).strip('"')
