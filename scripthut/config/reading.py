"""YAML text -> plain data, and the line on which each part of it stands."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scripthut.config.words import Loc, place
from scripthut.core.errors import Invalid

MOST = 100_000  # parts of a configuration; aliases of aliases can make a small file very large
BOOL = "tag:yaml.org,2002:bool"
MERGE = "tag:yaml.org,2002:merge"


class Loader(yaml.SafeLoader):
    """YAML whose only truths are `true` and `false`: `on` is a key, `yes` and `no` are words."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


@dataclass(frozen=True)
class Layer:
    """What one file says. `lines`: place -> line, from 1."""

    name: str
    data: Mapping[str, object]
    lines: Mapping[Loc, int] = field(default_factory=dict)


def read(text: str, name: str) -> Layer:
    """Read the text of a configuration. Invalid names the line of what is wrong."""
    try:
        node = yaml.compose(text, Loader=Loader)
        if node is None:
            return Layer(name, {})
        lines = _lines(node, name)
        data = SafeConstructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the text"
        raise Invalid(name, [f"{where}: is not YAML: {error.problem or error.context}"]) from error
    except yaml.YAMLError as error:
        raise Invalid(name, [f"is not YAML: {error}"]) from error
    if not isinstance(data, dict):
        raise Invalid(name, ["must be a mapping with keys like `backends` and `settings`"])
    return Layer(name, {str(key): value for key, value in data.items()}, lines)


def _lines(root: Node, name: str) -> dict[Loc, int]:
    found: dict[Loc, int] = {}
    twice: list[str] = []
    for loc, line, is_again in _walk(root, ()):
        if is_again:
            twice.append(f"{place(loc)}: stands there twice (lines {found.get(loc)} and {line})")
        elif loc not in found:
            found[loc] = line
        if len(found) > MOST:
            raise Invalid(name, [f"has more than {MOST} parts"])
    if twice:
        raise Invalid(name, twice)
    return found


def _walk(node: Node, loc: Loc) -> Iterator[tuple[Loc, int, bool]]:
    """Every part below a node: its place, its line, and whether its key was there before."""
    if isinstance(node, SequenceNode):
        for n, item in enumerate(node.value):
            yield (*loc, n), item.start_mark.line + 1, False
            yield from _walk(item, (*loc, n))
    elif isinstance(node, MappingNode):
        known: set[str] = set()
        for key, value in node.value:
            if key.tag == MERGE:
                yield from _walk(value, loc)
            elif isinstance(key, ScalarNode):
                here = (*loc, key.value)
                yield here, key.start_mark.line + 1, key.value in known
                known.add(key.value)
                yield from _walk(value, here)
