"""JSON -> a tree to fold, with limits: a place says which part of it, a budget how much."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from scripthut.core.files.pieces import whole

MANY = 100  # parts of one array or object that are shown at once
NODES = 2000  # on a page
DEPTH = 8  # levels on a page; deeper ones have a page of their own
TEXT = 2000  # characters of a string that are shown
PARTS = 300_000  # arrays, objects and commas in all: memory is their price
BYTES = 8 * 1024 * 1024

Value: TypeAlias = "bool | str | Number | list[Value] | dict[str, Value] | None"
Place: TypeAlias = tuple[int, ...]
"""The way from the top to a part: each time, which one of its parts, from 0."""


class Number(str):
    """A number as it is written."""


class NotJson(ValueError):
    """The text is not JSON, or more than can be shown; says which."""


@dataclass(frozen=True)
class Node:
    """A part as a page shows it: `name` in its object or array, `kind`, and a line of text.

    `count` is how many parts it has; `nodes` are those that are shown, from number `first`.
    """

    name: str | None
    kind: str
    text: str
    place: Place
    count: int = 0
    first: int = 0
    nodes: Sequence["Node"] = ()

    @property
    def after(self) -> int | None:
        """The number of the first part behind those that are shown; None: there is none."""
        end = self.first + len(self.nodes)
        return end if end < self.count else None


@dataclass
class Budget:
    """How many nodes may still be made, and how long the way to one may be."""

    left: int = NODES
    deepest: int = DEPTH


@dataclass(frozen=True)
class Record:
    """A line that holds a value; `node` None: it is not JSON, and `text` is how it begins."""

    number: int | None
    node: Node | None
    text: str


@dataclass(frozen=True)
class Records:
    """The lines of a page; `after` is the byte that follows them, as counted from its start."""

    records: Sequence[Record]
    after: int


def parse(data: bytes) -> Value:
    """The value of a JSON text. NotJson when it is none, or is too large or too deep."""
    if len(data) > BYTES or sum(map(data.count, (b"[", b"{", b","))) > PARTS:
        raise NotJson("has too many parts to be folded")
    try:
        found: Value = json.loads(data, parse_int=Number, parse_float=Number, parse_constant=Number)
    except RecursionError:
        raise NotJson("is nested too deeply to be folded") from None
    except ValueError as error:
        raise NotJson(f"is not JSON: {error}") from None
    return found


def part(value: Value, place: Place) -> tuple[str | None, Value]:
    """The part at a place with its name. LookupError when there is none."""
    name: str | None = None
    for number in place:
        name, value = next(islice(_parts(value), number, None), (None, None))
        if name is None:
            raise LookupError(place)
    return name, value


def folded(
    value: Value,
    place: Place = (),
    name: str | None = None,
    first: int = 0,
    budget: Budget | None = None,
) -> Node:
    """A value as a tree: as much of it as the budget allows."""
    budget = budget or Budget(deepest=len(place) + DEPTH)
    budget.left -= 1
    if not isinstance(value, list | dict):
        return Node(name, _kind(value), _text(value), place)
    nodes: list[Node] = []
    if len(place) < budget.deepest:
        for number, (inner, child) in enumerate(islice(_parts(value), first, first + MANY), first):
            if budget.left <= 0:
                break
            nodes.append(folded(child, (*place, number), inner, 0, budget))
    return Node(name, _kind(value), _glance(value), place, len(value), first, nodes)


def records(data: bytes, first: int | None = 1, is_end: bool = True) -> Records:
    """The values of the lines at the beginning of a piece, at most MANY, as the budget allows."""
    budget, after = Budget(deepest=3), 0
    found: list[Record] = []
    for line in whole(data, MANY, is_end):
        if budget.left <= 0:
            break
        after += len(line)
        number = None if first is None else first + len(found)
        found.append(Record(number, _record(line, budget), line[:TEXT].decode("utf-8", "replace")))
    return Records(found, after)


def _record(line: bytes, budget: Budget) -> Node | None:
    try:
        return folded(parse(line), budget=budget)
    except NotJson:
        budget.left -= 1
        return None


def _parts(value: Value) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping):
        return iter(value.items())
    return ((str(n), v) for n, v in enumerate(value)) if isinstance(value, list) else iter(())


_KINDS: Mapping[type, str] = {
    dict: "object",
    list: "array",
    Number: "number",
    str: "string",
    bool: "word",
    type(None): "word",
}
_WORDS: Mapping[object, str] = {None: "null", True: "true", False: "false"}


def _kind(value: Value) -> str:
    return _KINDS[type(value)]


def _text(value: "bool | str | Number | None") -> str:
    if isinstance(value, Number):
        return value[:TEXT]
    if isinstance(value, str):
        cut = f" … {len(value) - TEXT} more characters" if len(value) > TEXT else ""
        return json.dumps(value[:TEXT], ensure_ascii=False) + cut
    return _WORDS[value]


def _glance(value: "list[Value] | dict[str, Value]") -> str:
    """The beginning of what is in it, in one line."""
    words = []
    for name, child in islice(_parts(value), 4):
        said = {"object": "{…}", "array": "[…]"}.get(_kind(child))
        if said is None and not isinstance(child, list | dict):
            said = _text(child)[:40]
        words.append(f"{name[:40]}: {said}" if isinstance(value, dict) else str(said))
    more = ", …" if len(value) > len(words) else ""
    return ", ".join(words) + more
