"""Environment rules as people write them: steps of a chain, in layers, with named groups.

What a chain of them yields is in core/workflow/env.py.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OURS = "SCRIPTHUT_"  # names beginning so are set by the server alone
# Linux starts no program with more: execve(2), "Limits on size of arguments and environment".
ONE = 128 * 1024  # bytes of a variable, with its name, the sign between them and the end
ALL = 2 * 1024**2 - 128 * 1024  # of all of a task's; the rest is for what the job itself has
# bash does not let anybody set these, so their values could not reach a job.
_READ_ONLY = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})


def _variable(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f'"{name[:60]}" cannot be the name of a variable')
    if name in _READ_ONLY:
        raise ValueError(f"{name}: bash lets nobody set this variable")
    if name.startswith("hut_"):
        raise ValueError(f"{name}: names beginning with hut_ are the job script's own")
    return name


def _value(value: object) -> object:
    """A whole number is a text too; what YAML made of anything else cannot be told."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bool | float):
        raise ValueError(f"{value} is not a text: put it in quotes")
    return value


def _text(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which no shell can carry")
    return text


def _names(value: object) -> object:
    return [value] if isinstance(value, str) else value


Variable = Annotated[str, AfterValidator(_variable)]
Text = Annotated[str, BeforeValidator(_value), AfterValidator(_text)]
Names = Annotated[list[str], BeforeValidator(_names)]


class EnvRule(BaseModel):
    """One step of an ordered chain: where `when` holds, what is included, set, appended, run."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    when: dict[str, Text | list[Text]] = Field({}, alias="if")  # all of them; of a list, any
    include: Names = []  # names of groups, put in here, under the same conditions
    stacks: Names = []  # of later versions: kept, not used
    set: dict[Variable, Text] = {}
    append: dict[Variable, Text] = {}  # joined to what is there by a colon
    init: Text = ""  # lines of bash, run before the variables are set

    @field_validator("set", "append")
    @classmethod
    def _that_fits(cls, variables: dict[str, str]) -> dict[str, str]:
        for name, text in variables.items():
            if weight(name, text) > ONE:
                raise ValueError(
                    f"{name} holds {weight(name, text)} bytes, and no program can be started with "
                    f"more than {ONE} in one variable: put the text into a file"
                )
        return variables

    def kept(self) -> dict[str, Any]:
        """The rule as plain data."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


Rules = Sequence[EnvRule]
Groups = Mapping[str, Rules]


@dataclass(frozen=True)
class Layer:
    """Rules of one origin, and the groups that it brings along. Later layers come later."""

    source: str  # "backend:hpc", "server", "source:study", "workflow-doc", "task"
    rules: Rules = ()
    groups: Groups = field(default_factory=dict)

    def kept(self) -> dict[str, Any]:
        """The layer as plain data."""
        groups = {name: [rule.kept() for rule in rules] for name, rules in self.groups.items()}
        return {
            "source": self.source,
            "rules": [rule.kept() for rule in self.rules],
            "groups": groups,
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Layer":
        """A layer from what `kept` gave."""
        groups = {name: rules_of(rules) for name, rules in kept["groups"].items()}
        return cls(kept["source"], rules_of(kept["rules"]), groups)


def weight(name: str, text: str) -> int:
    """How many bytes a variable takes of what a program is started with."""
    return len(name) + len(text.encode("utf-8", "replace")) + 2


def weights(rules: Rules) -> dict[str, int]:
    """The bytes of each variable that rules set whatever holds."""
    return {
        name: weight(name, text)
        for rule in rules
        if not rule.when
        for name, text in rule.set.items()
    }


def rules_of(kept: object) -> tuple[EnvRule, ...]:
    """Rules as they were kept; older databases kept the variables of one `set` alone."""
    if isinstance(kept, Mapping):
        return (EnvRule.model_construct(set=dict(kept)),) if kept else ()
    if not isinstance(kept, Sequence):
        return ()
    return tuple(
        rule if isinstance(rule, EnvRule) else EnvRule.model_construct(**_by_field(rule))
        for rule in kept
    )


def _by_field(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {("when" if key == "if" else key): value for key, value in rule.items()}
