"""YAML text -> plain data, and the line on which each part of it stands."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scripthut.config.words import Loc, place
from scripthut.core.errors import Invalid

MOST = 100_000  # parts of a configuration; aliases of aliases can make a small file very large
DEEPEST = 50  # parts within parts
LARGEST = 1024  # bits of a number; larger ones cannot even be shown
BOOL = "tag:yaml.org,2002:bool"
MERGE = "tag:yaml.org,2002:merge"
# What YAML's reader says with a word of the text behind it, which may be a secret.
_QUOTING = re.compile(
    "found undefined (?:alias|tag handle)|found duplicate anchor|duplicate tag handle|"
    "could not determine a constructor for the tag|"
    "failed to convert base64 data"
)

_TOO_DEEP = f"there are more than {DEEPEST} parts within each other"
_KINDS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp"))


class Loader(yaml.SafeLoader):
    """YAML whose only truths are `true` and `false`: `on` is a key, `yes` and `no` are words."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Compose a part and all within it, down to DEEPEST."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ComposerError(None, None, _TOO_DEEP, self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class Constructor(SafeConstructor):
    """Makes plain data; what cannot be made is said by its line, without its value."""

    def construct_object(self, node: Node, deep: bool = False) -> object:
        """Make one part. yaml.MarkedYAMLError, also where YAML's own reader has others."""
        try:
            made: object = super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, TypeError, ArithmeticError) as error:
            kind = node.tag.rpartition(":")[2] if node.tag in _KINDS else "value"
            problem = f"what stands there is no {kind}: correct it, or put it into quotes"
            raise ConstructorError(None, None, problem, node.start_mark) from error
        if isinstance(made, int) and made.bit_length() > LARGEST:
            raise ConstructorError(None, None, "the number is too large", node.start_mark)
        return made


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
        data = Constructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the text"
        raise Invalid(name, [f"{where}: is not YAML: {_problem(error)}"]) from error
    except yaml.YAMLError as error:
        raise Invalid(name, [f"is not YAML: {error}"]) from error
    if not isinstance(data, dict):
        raise Invalid(name, ["must be a mapping with keys like `backends` and `settings`"])
    return Layer(name, {str(key): value for key, value in data.items()}, lines)


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What YAML's reader says, without the words of the text that it quotes."""
    said = error.problem or error.context or "it cannot be read"
    quoting = _QUOTING.match(said)
    return quoting[0] if quoting else said


def _lines(root: Node, name: str) -> dict[Loc, int]:
    found: dict[Loc, int] = {}
    twice: list[str] = []
    for count, (loc, line, is_again) in enumerate(_walk(root, (), ())):
        if count >= MOST:
            raise Invalid(name, [f"has more than {MOST} parts"])
        if is_again:
            twice.append(f"{place(loc)}: stands there twice (lines {found.get(loc)} and {line})")
        elif loc not in found:
            found[loc] = line
    if twice:
        raise Invalid(name, twice)
    return found


def _walk(node: Node, loc: Loc, above: tuple[Node, ...]) -> Iterator[tuple[Loc, int, bool]]:
    """Every part below a node: its place, its line, and whether its key was there before."""
    if node in above:  # nodes are equal when they are the same
        raise ComposerError(None, None, "an alias leads to what it stands in", node.start_mark)
    if len(above) > DEEPEST:
        raise ComposerError(None, None, _TOO_DEEP, node.start_mark)
    above = (*above, node)
    if isinstance(node, SequenceNode):
        for n, item in enumerate(node.value):
            yield (*loc, n), item.start_mark.line + 1, False
            yield from _walk(item, (*loc, n), above)
    elif isinstance(node, MappingNode):
        known: set[str] = set()
        for key, value in node.value:
            if key.tag == MERGE:
                yield from _walk(value, loc, above)
            elif isinstance(key, ScalarNode):
                here = (*loc, key.value)
                yield here, key.start_mark.line + 1, key.value in known
                known.add(key.value)
                yield from _walk(value, here, above)
