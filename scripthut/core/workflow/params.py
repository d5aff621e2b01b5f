"""A document's parameters: what may be chosen when a run is started, and where it is put in.

`${params.NAME}` in a task is replaced by what was chosen, before the task is read. In a command,
which is bash, only by what means the same in every kind of quotes; anything else reaches the job
as `$SCRIPTHUT_PARAM_NAME`, exactly. Environment rules know parameters by themselves (env.py).
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from scripthut.core import wrong
from scripthut.core.errors import Invalid
from scripthut.core.workflow.rules import NAME

Chosen = str | int | float | bool
PREFIX = "SCRIPTHUT_PARAM_"  # of the variable that holds a parameter in the job
LONGEST = 10_000  # characters of a text

_REFERENCE = re.compile(r"(\$?)\$\{params\.([^}\s]*)\}")
_PLAIN = re.compile(r"[\w@%+=:,./-]*")  # means the same in every kind of quotes
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CODE = ("command",)  # fields that a shell reads
_OWN = ("env",)  # fields whose references are resolved later, value by value
_TYPES = {bool: "boolean", int: "number", float: "number", str: "string"}


class Param(BaseModel):
    """One parameter. Without a default it must be chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["string", "number", "boolean", "choice"] = "string"
    default: Chosen | None = None
    choices: list[Chosen] = []
    description: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: object) -> object:
        """A bare value is the default, a list the choices with the first as the default."""
        if isinstance(data, str | int | float | bool):
            return {"type": _TYPES[type(data)], "default": data}
        if isinstance(data, list):
            return {"type": "choice", "choices": data, "default": data[0] if data else None}
        if isinstance(data, Mapping) and "type" not in data:
            default = data.get("default")
            kind = "choice" if data.get("choices") else _TYPES.get(type(default), "string")
            return {**data, "type": kind}
        return data

    @model_validator(mode="after")
    def _is_consistent(self) -> "Param":
        if self.type == "choice" and not self.choices:
            raise ValueError("a choice needs `choices`, a list of what can be chosen")
        if self.type != "choice" and self.choices:
            raise ValueError(f"`choices` are for a choice, and this is a {self.type}")
        if self.default is not None:
            self.read(self.default)
        return self

    def read(self, given: object) -> Chosen:
        """A value of this parameter's type. ValueError, the end of a sentence, when it is none."""
        if self.type == "choice":
            for choice in self.choices:
                if given == choice or text(given) == text(choice):
                    return choice
            shown = ", ".join(text(choice) for choice in self.choices)
            raise ValueError(f"{text(given)!r} is not one of {shown}")
        return _READERS[self.type](given)


def _string(given: object) -> Chosen:
    value = text(given)
    if "\x00" in value or len(value) > LONGEST:
        raise ValueError(f"is not a text of at most {LONGEST} characters without NUL")
    return value


def _number(given: object) -> Chosen:
    if isinstance(given, bool):
        raise ValueError(f"{text(given)!r} is not a number")
    if isinstance(given, int | float):
        return given
    for kind in (int, float):
        try:
            return kind(str(given))
        except ValueError:
            continue
    raise ValueError(f"{text(given)!r} is not a number")


def _boolean(given: object) -> Chosen:
    found = _BOOLEANS.get(text(given).lower())
    if found is None:
        raise ValueError(f"{text(given)!r} is neither true nor false")
    return found


_READERS = {"string": _string, "number": _number, "boolean": _boolean}


def text(value: object) -> str:
    """A value as a job and a person see it.

    >>> [text(v) for v in (True, 3, 0.1, "a b")]
    ['true', '3', '0.1', 'a b']
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def declared(data: object, what: str) -> dict[str, Param]:
    """A document's `params`. Invalid names every problem."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise Invalid(what, ["params: is not a mapping of names to parameters"])
    found: dict[str, Param] = {}
    problems: list[str] = []
    for name, param in data.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            problems.append(f'params.{name}: "{name}" cannot be a name: letters, digits and _')
            continue
        try:
            found[name] = Param.model_validate(param)
        except ValidationError as error:
            problems += [f"params.{name}{_place(e['loc'])}: {_words(e)}" for e in error.errors()]
    if problems:
        raise Invalid(what, problems)
    return found


def choose(
    params: Mapping[str, Param], given: Mapping[str, object], what: str
) -> dict[str, Chosen]:
    """What counts: what was given, else the defaults. Invalid names every problem."""
    problems: list[str] = []
    chosen: dict[str, Chosen] = {}
    for name in given.keys() - params.keys():
        near = get_close_matches(name, list(params), 1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        problems.append(f"params.{name}: the document has no such parameter{hint}")
    for name, param in params.items():
        value = given.get(name, param.default)
        if value is None:
            problems.append(f"params.{name}: is required, it has no default")
            continue
        try:
            chosen[name] = param.read(value)
        except ValueError as error:
            problems.append(f"params.{name}: {error}")
    if problems:
        raise Invalid(what, sorted(problems))
    return chosen


def put_in(task: object, chosen: Mapping[str, Chosen], place: str) -> tuple[object, list[str]]:
    """A task as it was written with what was chosen put in, and what is wrong with that."""
    problems: list[str] = []
    if not isinstance(task, Mapping):
        return task, problems
    filled = {
        name: value if name in _OWN else _filled(value, chosen, f"{place}.{name}", problems)
        for name, value in task.items()
    }
    return filled, problems


def _filled(value: object, chosen: Mapping[str, Chosen], place: str, problems: list[str]) -> object:
    if isinstance(value, list):
        return [_filled(v, chosen, f"{place}[{i}]", problems) for i, v in enumerate(value)]
    if not isinstance(value, str) or "${params." not in value:
        return value
    is_code = place.rpartition(".")[2] in _CODE

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]  # `$${params.x}` is the text `${params.x}`
        name = match[2]
        if name not in chosen:
            known = ", ".join(chosen) or "none"
            problems.append(f"{place}: there is no parameter {name!r} (there are: {known})")
            return match[0]
        found = text(chosen[name])
        if is_code and not _PLAIN.fullmatch(found):
            problems.append(
                f"{place}: {found[:60]!r} would be read by bash here, not taken as it is: write "
                f'"${PREFIX}{name}" instead of ${{params.{name}}}'
            )
        return found

    whole = _REFERENCE.fullmatch(value)
    if whole and not whole[1] and whole[2] in chosen and not is_code:
        return chosen[whole[2]]
    return _REFERENCE.sub(one, value)


def exported(chosen: Mapping[str, Chosen]) -> Iterator[tuple[str, str]]:
    """The variables that hold the parameters in a job."""
    return ((f"{PREFIX}{name}", text(value)) for name, value in chosen.items())


def _place(loc: tuple[int | str, ...]) -> str:
    words = [w for w in loc if w not in ("str", "int", "float", "bool")]
    return "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in words)


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a known key"
    message = str(error["msg"]).removeprefix("Value error, ")
    return wrong.sentence(error, repr(error["input"])) or message
