"""One task as its document wants it: every field, its default, and what is wrong with a value."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from scripthut.core import units
from scripthut.core.causes import Cause
from scripthut.core.workflow.rules import EnvRule, rules_of

ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=:,-]{0,127}")
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")  # three more end a line to some readers

# Fields of other versions: read, kept, and named once for a run that has them.
KEPT = {
    "image": "container images are for AWS, which this version does not run on",
    "inputs": "there is no result cache in this version",
    "outputs": "there is no result cache in this version: files that a task writes below "
    "$SCRIPTHUT_OUTPUT_DIR are collected",
    "cache": "there is no result cache in this version",
    "cache_scope": "there is no result cache in this version",
}
NO_LIMIT = frozenset({"memory", "time_limit"})  # of these, null is a value; else it is no value
GONE = {
    "environment": "was removed long ago: use env, a list of rules [{'set': {'NAME': 'value'}}]",
    "env_vars": "was removed long ago: use env, a list of rules [{'set': {'NAME': 'value'}}]",
}


def _line(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError(f"{shown(text)} holds a line break or another control character")
    return text


def _words(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which no shell can carry")
    return text


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError(
            f"{shown(text)} cannot be an id: use letters, digits and . _ + = : , - (at most 128), "
            "beginning with a letter, a digit or _"
        )
    if text == "_run" or text.startswith("_run@"):
        raise ValueError(
            "`_run` is the name of the run summaries' own directory: choose another id"
        )
    return text


def _number_as_text(value: object) -> object:
    """YAML makes a number of an id like 7."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole else value


def _memory(value: object) -> object:
    if isinstance(value, bool):
        return value
    return units.memory(str(value)) if isinstance(value, str | int | float) else value


def _time_limit(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    return units.time_limit(str(value)) if isinstance(value, str | int) else value


def _duration(value: object) -> object:
    return units.duration(str(value)) if isinstance(value, str | int) else value


def shown(text: str) -> str:
    """A text within a sentence, cut where it is long."""
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"'


Line = Annotated[
    str, BeforeValidator(_number_as_text), Field(min_length=1, max_length=1024),
    AfterValidator(_line),
]  # fmt: skip
Words = Annotated[str, Field(min_length=1), AfterValidator(_words)]
Memory = Annotated[int, BeforeValidator(_memory)]
Seconds = Annotated[int, BeforeValidator(_duration), Field(ge=1)]


class Retry(BaseModel):
    """When a failed task is tried again by itself. Times in seconds, memory in bytes.

    `memory` and `time` are factors: after an end for that reason, the next attempt asks for so
    much more, up to `max_memory` and `max_time`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(2, ge=0, le=20)  # attempts after the first
    on: list[Cause] = [Cause.NODE_FAILURE, Cause.PREEMPTED]
    wait: Annotated[int, BeforeValidator(_duration), Field(ge=0, le=86400)] = 60  # before the first
    backoff: float = Field(2.0, ge=1, le=10)  # each wait is so many times the one before
    memory: float = Field(2.0, ge=1, le=16)
    max_memory: Memory | None = None
    time: float = Field(2.0, ge=1, le=16)
    max_time: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_count_alone(cls, data: object) -> object:
        """`"retry": 3` is three more attempts, for whatever reason."""
        if isinstance(data, int) and not isinstance(data, bool):
            return {"count": data, "on": [Cause.ANY]}
        return data

    @field_validator("on", mode="before")
    @classmethod
    def _one_reason(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class TaskSpec(BaseModel):
    """One task as its document wants it. Memory in bytes, times in seconds, None: no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_id)]
    name: Line
    command: Words
    deps: list[Annotated[str, BeforeValidator(_number_as_text)]] = []
    working_dir: Line = "~"
    partition: Line | None = None
    cpus: int = Field(1, ge=1, le=10_000_000)
    memory: Annotated[int | None, BeforeValidator(_memory)] = 4 * 1024**3
    time_limit: Annotated[int | None, BeforeValidator(_time_limit)] = 3600
    timeout: Seconds | None = None  # that the command itself may run, on every backend
    gres: Line | None = None
    extra_args: list[Line] = []
    array: bool = False
    output_file: Line | None = None
    error_file: Line | None = None
    env: list[EnvRule] = []
    generates_source: Line | None = None
    retry: Retry | None = None
    image: str | None = None
    inputs: list[str] = []
    outputs: list[str] = []
    cache: bool = True
    cache_scope: Literal["commit", "inputs"] = "commit"

    @classmethod
    def stored(cls, spec: Mapping[str, Any]) -> "TaskSpec":
        """A spec as it was kept: in bytes and seconds, and valid, so nothing is read anew."""
        words = {**spec, "env": list(rules_of(spec.get("env")))}
        if isinstance(spec.get("retry"), Mapping):
            words["retry"] = Retry.model_construct(**spec["retry"])
        return cls.model_construct(**words)

    def kept(self) -> dict[str, Any]:
        """The spec as plain data."""
        return {
            **self.model_dump(mode="json", exclude={"env"}),
            "env": [rule.kept() for rule in self.env],
        }

    @model_validator(mode="before")
    @classmethod
    def _old_spellings(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            raise ValueError("is not a mapping with id, name and command")
        task = {
            key: value
            for key, value in data.items()
            if not str(key).startswith("x-") and (value is not None or key in NO_LIMIT)
        }
        for field, why in GONE.items():
            if field in task:
                raise ValueError(f"{field}: {why}")
        older = task.pop("dependencies", None)
        if "deps" not in task and older is not None:
            task["deps"] = older
        task.setdefault("name", task.get("id", "?"))  # a missing id is one problem, not two
        return task

    @field_validator("cpus", mode="before")
    @classmethod
    def _a_count(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError(f"{value} is not a number of CPUs")
        return value

    @field_validator("env", mode="before")
    @classmethod
    def _plain_variables(cls, value: object) -> object:
        """Variables alone are one rule that sets them."""
        if isinstance(value, Mapping):
            return [{"set": value}]
        return [] if value is None else value


def unused(specs: Mapping[str, TaskSpec] | list[TaskSpec]) -> list[str]:
    """A sentence for each kind of field that tasks have and this version keeps without using."""
    tasks = list(specs.values()) if isinstance(specs, Mapping) else specs
    found: dict[str, list[str]] = {}
    for field in KEPT:
        default = TaskSpec.model_fields[field].get_default(call_default_factory=True)
        for spec in tasks:
            if getattr(spec, field) != default:
                found.setdefault(KEPT[field], [])
                if field not in found[KEPT[field]]:
                    found[KEPT[field]].append(field)
                break
    return [f"{', '.join(fields)}: kept, and not used: {why}." for why, fields in found.items()]
