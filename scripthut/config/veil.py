"""A configuration's text without its secrets, for an editor; and with them again.

Each secret's place is taken by a word of its own, at the very positions that YAML's reader tells,
so that all the rest of the text stays as it is. A word is put back only where it stood: anywhere
else it would show the secret, or hand it to somebody.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scripthut.config import reading
from scripthut.config.shown import masked
from scripthut.config.words import Loc, place
from scripthut.core.errors import Refused

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")  # an anchor, a tag: they are no part of a value
NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class Secret:
    """One secret of a text: the word that stands for it, where, and its own characters."""

    word: str
    there: frozenset[Loc]  # several, where an alias leads to it
    place: str
    raw: str


@dataclass(frozen=True)
class Veiled:
    """A text as it may be shown."""

    text: str
    secrets: tuple[Secret, ...]
    prefix: str  # begins each of the words


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    there: frozenset[Loc]
    places: frozenset[Loc]
    value: str


def veil(text: str, name: str, secret_names: Collection[str] = ()) -> Veiled:
    """Put words in the place of secrets. Invalid when the text is not YAML: nobody could tell."""
    own = reading.read(text, name).data.get("settings")
    listed = own.get("secret_names") if isinstance(own, Mapping) else None
    names = frozenset([*secret_names, *(listed if isinstance(listed, list) else ())])
    prefix = "kept-secret-"
    while prefix in text:
        prefix += "x-"
    spans = [span for span in _spans(text) if _is_secret(span, names)]
    secrets: list[Secret] = []
    parts: list[str] = []
    at = 0
    for span in sorted(spans, key=lambda span: span.start):
        word = f"{prefix}{len(secrets) + 1}"
        where = place(min(span.places, key=lambda loc: (len(loc), str(loc))))
        secrets.append(Secret(word, span.there, where, text[span.start : span.end]))
        parts += [text[at : span.start], word]
        at = span.end
    return Veiled("".join([*parts, text[at:]]), tuple(secrets), prefix)


def unveil(text: str, name: str, before: Veiled) -> str:
    """Put the secrets back where their words still stand. Refused when one stands elsewhere.

    Invalid when the text is not YAML. A word that is gone takes its secret with it.
    """
    reading.read(text, name)
    spans = {span.start: span for span in _spans(text)}
    known = {secret.word: secret for secret in before.secrets}
    parts: list[str] = []
    at = 0
    for match in re.finditer(re.escape(before.prefix) + r"[0-9]+", text):
        secret, span = known.get(match[0]), spans.get(match.start())
        is_there = span is not None and span.end == match.end()
        if secret is None or span is None or not is_there or span.there != secret.there:
            raise Refused(_moved(match, secret, text.count("\n", 0, match.start()) + 1))
        parts += [text[at : match.start()], secret.raw]
        at = match.end()
    return "".join([*parts, text[at:]])


def _moved(match: re.Match[str], secret: Secret | None, line: int) -> str:
    if secret is None:
        return f"line {line}: {match[0]} stands for no secret of this file: write the value itself."
    return (
        f"line {line}: {match[0]} stands for the value of {secret.place}, which is not shown. It "
        "can stand nowhere else: put it back there, or write the value itself."
    )


def _is_secret(span: _Span, names: frozenset[str]) -> bool:
    return any(masked(loc, span.value, names) != span.value for loc in span.places)


def _spans(text: str) -> Iterator[_Span]:
    """The values of a text, with where they stand and every place that they are the value of."""
    root = yaml.compose(text, Loader=reading.Loader)
    found: dict[int, tuple[ScalarNode, set[Loc], set[Loc]]] = {}
    for there, loc, node in _scalars(root, (), ()) if root is not None else ():
        _, theres, places = found.setdefault(id(node), (node, set(), set()))
        theres.add(there)
        places.add(loc)
    for node, theres, places in found.values():
        start, end = node.start_mark.index, node.end_mark.index
        properties = _PROPERTIES.match(text, start, end)
        start = properties.end() if properties else start
        end = start + len(text[start:end].rstrip())  # a block's last line ends are not its own
        if end > start and node.tag != NULL:
            yield _Span(start, end, frozenset(theres), frozenset(places), node.value)


def _scalars(node: Node, there: Loc, loc: Loc) -> Iterator[tuple[Loc, Loc, ScalarNode]]:
    """Every value below a node: where it belongs, and its place.

    An entry of a list belongs to its name, wherever it stands among the others.
    """
    if isinstance(node, ScalarNode):
        yield there, loc, node
    elif isinstance(node, SequenceNode):
        for n, item in enumerate(node.value):
            yield from _scalars(item, (*there, _name(item)), (*loc, n))
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            words: Loc = (key.value,) if isinstance(key, ScalarNode) else ("?",)
            words = () if key.tag == reading.MERGE else words
            yield from _scalars(value, (*there, *words), (*loc, *words))


def _name(node: Node) -> str:
    pairs = node.value if isinstance(node, MappingNode) else ()
    named = (value for key, value in pairs if isinstance(key, ScalarNode) and key.value == "name")
    found = next(named, None)
    return f"named {found.value}" if isinstance(found, ScalarNode) else "any"
