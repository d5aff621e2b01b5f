"""A task's environment: what a chain of rules yields, and where each part of it came from.

`${NAME}` is replaced by what the rules know. A name that they do not know is the job's own
variable: the job's shell expands it, once, as it is before any of ours is set. Everything else in
a value is text and stays text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripthut.core.errors import Refused
from scripthut.core.jobs import Own, Value
from scripthut.core.workflow.rules import OURS, EnvRule, Groups, Layer

MOST = 20_000  # rules of one task, groups included: more is a group that includes itself manifold
_REFERENCE = re.compile(r"\$\{((?:params\.)?[A-Za-z_][A-Za-z0-9_]*)\}")
# What a shell would have read anew if it got the value as source text, as older versions had it.
_SHELL = re.compile(r"\$(?:[A-Za-z_]\w*|\()|`")


@dataclass(frozen=True)
class Op:
    """What one rule did to a variable."""

    source: str  # "seed", "server", "task", "server via group:gpu"
    op: str  # seed | set | append
    contribution: str


@dataclass(frozen=True)
class Variable:
    """A variable of the job, and how it came to be so, the oldest first."""

    value: Value
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class Resolved:
    """What a job gets. `init`: lines of bash with where they came from."""

    variables: Mapping[str, Variable] = field(default_factory=dict)
    init: tuple[tuple[str, str], ...] = ()  # (source, text)

    @property
    def values(self) -> dict[str, Value]:
        return {name: variable.value for name, variable in self.variables.items()}

    @property
    def script(self) -> str:
        return "\n".join(text for _, text in self.init)

    def kept(self) -> dict[str, Any]:
        """It as plain data."""
        return {
            "vars": {
                name: {
                    "value": [
                        p if isinstance(p, str) else [p.name, p.then]
                        for p in pieces(variable.value)
                    ],
                    "ops": [[op.source, op.op, op.contribution] for op in variable.ops],
                }
                for name, variable in self.variables.items()
            },
            "init": [list(part) for part in self.init],
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Resolved":
        """It from what `kept` gave."""
        variables = {
            name: Variable(
                _joined([p if isinstance(p, str) else Own(*p) for p in of["value"]]),
                tuple(Op(*op) for op in of["ops"]),
            )
            for name, of in kept["vars"].items()
        }
        return cls(variables, tuple((source, text) for source, text in kept["init"]))


def resolve(
    seed: Mapping[str, str], layers: Sequence[Layer], params: Mapping[str, str] | None = None
) -> Resolved:
    """What the layers' rules yield, in order, each judged by what the ones before it yielded.

    `params` can be asked for and referred to as `params.NAME`, and are no variables by themselves.
    Refused, with the path, when groups include each other in a circle.
    """
    chain = _Chain({f"params.{name}": text for name, text in (params or {}).items()})
    notices: list[str] = []
    for name, text in seed.items():
        chain.variables[name] = Variable(text, (Op("seed", "seed", text),))
    for step in flatten(layers, notices):
        if all(chain.holds(condition) for condition in step.when):
            chain.apply(step)
    return Resolved(chain.variables, tuple(chain.init))


@dataclass(frozen=True)
class Step:
    """A rule with the conditions of all the groups that it stands in."""

    when: tuple[Mapping[str, str | list[str]], ...]
    rule: EnvRule
    source: str


def flatten(layers: Sequence[Layer], notices: list[str]) -> list[Step]:
    """All rules in order, groups put in where they are included; what is odd goes to `notices`.

    Of groups of one name the last layer's counts, everywhere.
    """
    groups: dict[str, Sequence[EnvRule]] = {}
    for layer in layers:
        groups |= layer.groups
    steps: list[Step] = []
    for layer in layers:
        for rule in layer.rules:
            for step in _unfold(rule, layer.source, layer.source, (), (), groups, notices):
                steps.append(step)
                if len(steps) > MOST:
                    raise Refused(f"env: more than {MOST} rules, counting those that are included")
    return steps


def _unfold(  # noqa: PLR0913
    rule: EnvRule,
    origin: str,
    source: str,
    when: tuple[Mapping[str, str | list[str]], ...],
    path: tuple[str, ...],
    groups: Groups,
    notices: list[str],
) -> Iterator[Step]:
    guards = (*when, rule.when) if rule.when else when
    for name in rule.include:
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name])
            raise Refused(f"env_groups: the groups include each other in a circle: {circle}")
        if name not in groups:
            notices.append(f"{source}: there is no env group {name!r}: it is left out.")
            continue
        for inner in groups[name]:
            via = f"{origin} via group:{name}"
            yield from _unfold(inner, origin, via, guards, (*path, name), groups, notices)
    if rule.stacks:
        names = ", ".join(rule.stacks)
        notices.append(f"{source}: stacks ({names}) are kept, and not used by this version.")
    if rule.set or rule.append or rule.init:
        notices += _doubts(rule, source)
        yield Step(guards, rule, source)


def _doubts(rule: EnvRule, source: str) -> Iterator[str]:
    """What a rule does not do though one may think so."""
    for name, text in (*rule.set.items(), *rule.append.items()):
        found = _SHELL.search(text)
        if name.startswith(OURS):
            yield (
                f"{source}: {name} is left as it is: names beginning with {OURS} are set by the "
                "server."
            )
        elif found is not None:
            bare = found[0][1:]
            remedy = f": write ${{{bare}}} for the job's own" if bare.isidentifier() else ""
            yield f"{source}: {name} holds {found[0]}, which reaches the job as written{remedy}."


class _Chain:
    """What is known so far."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self._params = params
        self.variables: dict[str, Variable] = {}
        self.init: list[tuple[str, str]] = []

    def holds(self, condition: Mapping[str, str | list[str]]) -> bool:
        """Whether all of a condition's variables have (one of) the values; unknown ones never."""
        for name, wanted in condition.items():
            value = self._known(name)
            if not isinstance(value, str):
                return False
            if value not in ([wanted] if isinstance(wanted, str) else wanted):
                return False
        return True

    def apply(self, step: Step) -> None:
        """Let a rule do what it says."""
        for name, text in step.rule.set.items():
            if not name.startswith(OURS):
                self._change(name, self._substituted(text), step.source, "set")
        for name, text in step.rule.append.items():
            if not name.startswith(OURS):
                self._change(name, self._substituted(text), step.source, "append")
        if step.rule.init:
            self.init.append((step.source, shown(self._substituted(step.rule.init))))

    def _change(self, name: str, value: Value, source: str, op: str) -> None:
        known = self.variables.get(name)
        done = (*(known.ops if known is not None else ()), Op(source, op, shown(value)))
        if op == "append":
            # The job's own value is continued where the rules have not set one.
            before = [Own(name, ":")] if known is None else [*pieces(known.value)]
            colon = [":"] if known is not None and known.value else []
            value = _joined([*before, *colon, *pieces(value)])
        self.variables[name] = Variable(value, done)

    def _known(self, name: str) -> Value | None:
        variable = self.variables.get(name)
        return variable.value if variable is not None else self._params.get(name)

    def _substituted(self, text: str) -> Value:
        parts: list[str | Own] = []
        for at, part in enumerate(_REFERENCE.split(text)):
            if at % 2 == 0:
                parts.append(part)
                continue
            value = self._known(part)
            if value is not None:
                parts += pieces(value)
            elif part.startswith("params."):
                parts.append("${" + part + "}")
            else:
                parts.append(Own(part))
        return _joined(parts)


def pieces(value: Value) -> tuple[str | Own, ...]:
    """A value's pieces."""
    return ((value,) if value else ()) if isinstance(value, str) else value


def shown(value: Value) -> str:
    """A value for people: what the job's shell fills in stands as `${NAME}`.

    >>> shown((Own("PATH", ":"), "/opt/bin"))
    '${PATH}:/opt/bin'
    """
    return "".join(p if isinstance(p, str) else "${" + p.name + "}" + p.then for p in pieces(value))


def _joined(parts: Sequence[str | Own]) -> Value:
    """Pieces as one value, neighbouring texts put together."""
    found: list[str | Own] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    if not found:
        return ""
    first = found[0]
    return first if len(found) == 1 and isinstance(first, str) else tuple(found)
