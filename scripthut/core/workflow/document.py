"""The workflow document: parse it, validate it, and say where it is wrong.

A document is `{"tasks": [...]}` or a bare list of tasks. A wrong one is refused whole: `parse`
raises Invalid with every problem, each with its place (`tasks[3].memory: "4 bananas" is not a
size`), so that nothing is created from half a document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from scripthut.core import wrong
from scripthut.core.errors import Invalid, Refused
from scripthut.core.workflow import env, graph, params
from scripthut.core.workflow.notation import read, with_lines
from scripthut.core.workflow.params import Chosen, Param
from scripthut.core.workflow.rules import ALL, EnvRule, Layer, weights
from scripthut.core.workflow.spec import GONE, Retry, TaskSpec, shown, unused

__all__ = ["Document", "TaskSpec", "parse", "parse_text", "read"]

LABEL = "workflow-doc"  # of the document's own layer of environment rules
# Sections of other versions: read, and named once.
LATER = {"stacks": "stacks are kept, and not used by this version."}


class _Env(BaseModel):
    env: list[EnvRule] = []
    env_groups: dict[str, list[EnvRule]] = {}


WRITTEN = ("title", "params", "env", "env_groups", "tasks")  # what a document is begun again from


@dataclass(frozen=True)
class Document:
    """A valid document: tasks in its order, and each one's dependencies with wildcards resolved.

    `open`: of each task, the wildcards that match nothing yet and wait for generators.
    """

    tasks: tuple[TaskSpec, ...]
    deps: tuple[tuple[str, ...], ...]
    title: str | None = None
    open: tuple[tuple[str, ...], ...] = ()
    env: tuple[EnvRule, ...] = ()
    env_groups: Mapping[str, tuple[EnvRule, ...]] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)  # as they are declared
    chosen: Mapping[str, Chosen] = field(default_factory=dict)  # what counts in this run
    notices: tuple[str, ...] = ()  # sentences: what is kept and not used
    written: Mapping[str, Any] | None = None  # before parameters were put in; None: it has none

    @property
    def layer(self) -> Layer:
        """The document's environment rules."""
        return Layer(LABEL, self.env, self.env_groups)


def parse_text(
    text: str,
    name: str,
    given: Mapping[str, object] | None = None,
    beside: graph.Beside = graph.NOTHING,
    inherited: Mapping[str, Chosen] | None = None,
) -> Document:
    """Make a Document of a file's text, JSON or YAML; Invalid names places and lines.

    `name`: what the file is called; the rest as for `parse`.
    """
    data = read(text, name)
    try:
        return parse(data, name, given, beside, inherited)
    except Invalid as error:
        raise Invalid(error.what, with_lines(text, error.problems)) from None


def parse(
    data: object,
    what: str = "the document",
    given: Mapping[str, object] | None = None,
    beside: graph.Beside = graph.NOTHING,
    inherited: Mapping[str, Chosen] | None = None,
) -> Document:
    """Make a Document of plain data (what `json.loads` gives). Invalid names every problem.

    `given`: what is chosen for its parameters. For a document that joins a run: `beside` are the
    tasks that the run has already, and `inherited` its parameters.
    """
    top = _top(data, what)
    declared = params.declared(top.get("params"), what)
    chosen: dict[str, Chosen] = dict(inherited or {})
    own = {name: param for name, param in declared.items() if name not in chosen}
    chosen |= params.choose(own, given or {}, what)
    rules, problems = _rules(top)
    tasks = top["tasks"]
    specs, wrong = _specs(tasks, chosen)
    problems += wrong
    problems += _too_heavy(rules.env, specs)
    if problems:
        raise Invalid(what, problems + _graph_problems(tasks, beside))
    found = graph.resolve(
        [spec.id for spec in specs],
        [spec.deps for spec in specs],
        [spec.id for spec in specs if spec.generates_source is not None],
        beside,
    )
    if found.problems:
        raise Invalid(what, list(found.problems))
    return Document(
        tasks=tuple(specs),
        deps=found.deps,
        title=top["title"],
        open=found.open,
        env=tuple(rules.env),
        env_groups={name: tuple(group) for name, group in rules.env_groups.items()},
        params=declared,
        chosen=chosen,
        notices=(*_kept(top), *unused(specs)),
        written={key: top[key] for key in WRITTEN if key in top} if declared else None,
    )


def _specs(
    tasks: Sequence[object], chosen: Mapping[str, Chosen]
) -> tuple[list[TaskSpec], list[str]]:
    specs: list[TaskSpec] = []
    problems: list[str] = []
    for i, item in enumerate(tasks):
        if chosen:
            item, wrong = params.put_in(item, chosen, f"tasks[{i}]")
            problems += wrong
        try:
            specs.append(TaskSpec.model_validate(item))
        except ValidationError as error:
            problems += [_problem(f"tasks[{i}]", e) for e in error.errors()]
    return specs, problems


def _rules(top: Mapping[str, Any]) -> tuple[_Env, list[str]]:
    """The document's environment rules, and what is wrong with them."""
    written = {key: top[key] for key in ("env", "env_groups") if top.get(key) is not None}
    try:
        rules = _Env.model_validate(written)
        env.flatten([Layer(LABEL, rules.env, rules.env_groups)], [])
    except ValidationError as error:
        return _Env(), [_problem("", e) for e in error.errors()]
    except Refused as error:
        return _Env(), [str(error)]
    return rules, []


def _too_heavy(above: Sequence[EnvRule], specs: Sequence[TaskSpec]) -> list[str]:
    """What no program can be started with: the variables of one task are too many, or too long."""
    ours = weights(above)
    found = [(i, sum({**ours, **weights(spec.env)}.values())) for i, spec in enumerate(specs)]
    return [
        f"tasks[{i}].env: its variables hold {total} bytes, and no program can be started with "
        f"more than {ALL}: put the texts into files"
        for i, total in found
        if total > ALL
    ]


def _graph_problems(tasks: Sequence[object], beside: graph.Beside) -> list[str]:
    """What is wrong between tasks some of which are wrong themselves: all is said at once."""
    ids: list[str] = []
    deps: list[list[str]] = []
    generators: list[str] = []
    for i, task in enumerate(tasks):
        fields = task if isinstance(task, Mapping) else {}
        own, wanted = fields.get("id"), fields.get("deps", fields.get("dependencies"))
        ids.append(own if isinstance(own, str) else f"\0{i}")  # no dependency can mean this one
        deps.append([d for d in wanted if isinstance(d, str)] if isinstance(wanted, list) else [])
        generators += ids[-1:] if fields.get("generates_source") else []
    return list(graph.resolve(ids, deps, generators, beside).problems)


def _top(data: object, what: str) -> dict[str, Any]:
    """The document's sections: a list of tasks at least."""
    if isinstance(data, list):
        data = {"tasks": data}
    if not isinstance(data, Mapping) or not isinstance(data.get("tasks"), list):
        raise Invalid(what, ['must be {"tasks": [...]} or a list of tasks'])
    title = data.get("title")
    if title is not None and not isinstance(title, str):
        raise Invalid(what, ["title: is not a text"])
    if not data["tasks"]:
        raise Invalid(what, ["tasks: is empty, there is nothing to run"])
    return {**{str(key): value for key, value in data.items()}, "title": title}


def _kept(top: Mapping[str, Any]) -> list[str]:
    return [why for section, why in LATER.items() if top.get(section)]


def _problem(above: str, error: Mapping[str, Any]) -> str:
    """One problem as `place: sentence`."""
    loc = [part for part in error["loc"] if not _is_a_kind(part)]
    words = "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in loc)
    where = f"{above}{words}".removeprefix(".")
    kind, message = error["type"], str(error["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        message = "is required"
    elif kind == "extra_forbidden":
        near = get_close_matches(str(loc[-1]), _fields(loc), 1)
        message = "is not a known field" + (f": did you mean {near[0]!r}?" if near else "")
    elif kind == "value_error" and not loc and message.split(":")[0] in GONE:
        gone, message = message.split(": ", 1)
        where = f"{where}.{gone}"
    elif kind != "value_error":
        other = f"{_given(error['input'])} is wrong: {message[:1].lower()}{message[1:]}"
        message = wrong.sentence(error, _given(error["input"])) or other
    return f"{where}: {message}"


def _is_a_kind(part: object) -> bool:
    """What pydantic puts into a place to say which of several types it tried."""
    text = str(part)
    return text in ("str", "[key]") or text.startswith(("constrained-str", "function-", "list["))


def _fields(loc: Sequence[object]) -> list[str]:
    """The fields that could stand where an unknown one does."""
    if "retry" in loc:
        return list(Retry.model_fields)
    if "env" in loc or "env_groups" in loc:
        return [f.alias or name for name, f in EnvRule.model_fields.items()]
    return list(TaskSpec.model_fields)


def _given(value: object) -> str:
    return shown(value) if isinstance(value, str) else shown(repr(value)).strip('"')
