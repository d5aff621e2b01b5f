"""A configuration's text without its secrets, for an editor; and with them again.

Each secret's place is taken by a word of its own, at the very positions that YAML's reader tells,
so that all the rest of the text stays as it is. A word is put back only where it stood: anywhere
else it would show the secret, or hand it to somebody.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.tokens import ScalarToken

from scripthut.config import hiding, reading
from scripthut.config.shown import masked
from scripthut.config.words import Loc, place
from scripthut.core.errors import Invalid, Refused

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")  # an anchor, a tag: they are no part of a value
_SIGN = re.compile(r"[ \t]*(&|#(?=\S))")
_COMMENT = re.compile(r"(?<![^\s])#[^\r\n]*")
COMMENT = "a comment"
NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class Secret:
    """One secret of a text: the word that stands for it, where, and its own characters."""

    word: str
    there: frozenset[Loc]  # several, where an alias leads to it; none, in a comment
    place: str
    raw: str
    value: str  # what its characters say
    comment: str | None = None  # the comment that it ends, with the word


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
    befores: frozenset[str] = frozenset()  # the words that stand before it in lists
    comment: str | None = None  # the line of it, where it is a comment's


def veil(text: str, name: str, secret_names: Collection[str] = ()) -> Veiled:
    """Put words in the place of secrets. Invalid when the text is not YAML: nobody could tell."""
    own = reading.read(text, name).data.get("settings")
    listed = own.get("secret_names") if isinstance(own, Mapping) else None
    listed = listed if isinstance(listed, list) else []
    names = frozenset([*secret_names, *(name for name in listed if isinstance(name, str))])
    prefix = "kept-secret-"
    while prefix in text:
        prefix += "x-"
    _check_signs(text, name, names)
    spans = [span for span in _spans(text) if _is_secret(span, names)]
    spans += _of_comments(text, names)
    secrets: list[Secret] = []
    parts: list[str] = []
    at = 0
    for span in sorted(spans, key=lambda span: span.start):
        if span.start < at:
            continue  # a comment behind the sign of a block, which is not shown either
        word = f"{prefix}{len(secrets) + 1}"
        where = min(span.places, key=lambda loc: (len(loc), str(loc)), default=None)
        what = place(where) if where else COMMENT
        raw = text[span.start : span.end]
        comment = span.comment and f"{span.comment[: -len(raw)]}{word}"
        secrets.append(Secret(word, span.there, what, raw, span.value, comment))
        parts += [text[at : span.start], word]
        at = span.end
    return Veiled("".join([*parts, text[at:]]), tuple(secrets), prefix)


def unveil(text: str, name: str, before: Veiled) -> str:
    """Put the secrets back where their words still stand. Refused when one stands elsewhere.

    Refused, too, when one would say something else there: `a,b` is two within braces. Invalid
    when the text is not YAML. A word that is gone takes its secret with it.
    """
    reading.read(text, name)
    spans = {span.start: span for span in _spans(text)}
    comments = {start + len(line): line for start, line in _comments(text)}
    known = {secret.word: secret for secret in before.secrets}
    found: list[tuple[int, Secret]] = []
    for match in re.finditer(re.escape(before.prefix) + r"[0-9]+", text):
        secret, span = known.get(match[0]), spans.get(match.start())
        if secret is None or span is None:
            is_there = secret is not None and comments.get(match.end(), "") == secret.comment
        else:
            is_there = span.end == match.end() and span.there == secret.there
        if secret is None or not is_there:
            raise Refused(_moved(match, secret, text.count("\n", 0, match.start()) + 1))
        found.append((match.start(), secret))
    new = _with(text, found)
    if not _says(new, text, found):
        alone = (one for one in found if not _says(_with(text, [one]), text, [one]))
        at, secret = next(alone, found[0])
        line = text.count("\n", 0, at) + 1
        raise Refused(
            f"line {line}: the value of {secret.place}, which is not shown, would be read as "
            "another one in the way it is written there: write the value itself."
        )
    return new


def _with(text: str, found: Sequence[tuple[int, Secret]]) -> str:
    """A text with secrets in the place of their words."""
    parts: list[str] = []
    at = 0
    for start, secret in found:
        parts += [text[at:start], secret.raw]
        at = start + len(secret.word)
    return "".join([*parts, text[at:]])


def _says(new: str, text: str, found: Sequence[tuple[int, Secret]]) -> bool:
    """Whether a text says what the one with words does, and the former values where they stood."""
    former = {secret.word: secret.value for _, secret in found}
    try:
        reading.read(new, "")
    except Invalid:
        return False
    wanted = [
        (span.there, span.places, former.get(span.value, span.value)) for span in _spans(text)
    ]
    return wanted == [(span.there, span.places, span.value) for span in _spans(new)]


def _moved(match: re.Match[str], secret: Secret | None, line: int) -> str:
    if secret is None:
        return f"line {line}: {match[0]} stands for no secret of this file: write the value itself."
    return (
        f"line {line}: {match[0]} stands for the value of {secret.place}, which is not shown. It "
        "can stand nowhere else: put it back there, or write the value itself."
    )


def _is_secret(span: _Span, names: frozenset[str]) -> bool:
    return any(
        masked(loc, span.value, names, before) != span.value
        for loc in span.places
        for before in span.befores or ("",)
    )


def _check_signs(text: str, name: str, names: frozenset[str]) -> None:
    """Invalid where a sign of YAML's stands in place of a secret, and may be its beginning."""
    root = yaml.compose(text, Loader=reading.Loader)
    for _, loc, node, _ in _scalars(root, (), ()) if root is not None else ():
        found = _SIGN.match(text, node.start_mark.index) if node.tag == NULL else None
        if found and masked(loc, "a value", names) != "a value":
            line = text.count("\n", 0, found.end()) + 1
            what = "names a place" if found[1] == "&" else "begins a comment"
            said = f"line {line}: {place(loc)} has no value, since `{found[1]}` {what}"
            raise Invalid(name, [f"{said}: put what stands there into quotes"])


def _spans(text: str) -> Iterator[_Span]:
    """The values of a text, with where they stand and every place that they are the value of."""
    root = yaml.compose(text, Loader=reading.Loader)
    found: dict[int, tuple[ScalarNode, set[Loc], set[Loc], set[str]]] = {}
    for there, loc, node, before in _scalars(root, (), ()) if root is not None else ():
        _, theres, places, befores = found.setdefault(id(node), (node, set(), set(), set()))
        theres.add(there)
        places.add(loc)
        befores.add(before)
    for node, theres, places, befores in found.values():
        start, end = node.start_mark.index, node.end_mark.index
        properties = _PROPERTIES.match(text, start, end)
        start = properties.end() if properties else start
        end = start + len(text[start:end].rstrip())  # a block's last line ends are not its own
        if end > start and node.tag != NULL:
            sets = frozenset(theres), frozenset(places)
            yield _Span(start, end, *sets, node.value, frozenset(befores))


def _of_comments(text: str, names: frozenset[str]) -> Iterator[_Span]:
    for start, line in _comments(text):
        begins = hiding.secret_from(line, names)
        if begins is not None:
            end = start + len(line)
            said = line[begins:]
            yield _Span(start + begins, end, frozenset(), frozenset(), said, comment=line)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """The comments of a text, and where each begins."""
    covered: list[tuple[int, int]] = []
    for token in yaml.scan(text, Loader=reading.Loader):
        if isinstance(token, ScalarToken):
            start, end = token.start_mark.index, token.end_mark.index
            if token.style in ("|", ">"):  # a comment may stand behind the sign
                start = text.find("\n", start, end)
            covered.append((start, end))
    at = 0
    for start, end in [*covered, (len(text), len(text))]:
        for match in _COMMENT.finditer(text, at, start):
            yield match.start(), match[0].rstrip()
        at = end


def _scalars(
    node: Node, there: Loc, loc: Loc, before: str = ""
) -> Iterator[tuple[Loc, Loc, ScalarNode, str]]:
    """Every value below a node: where it belongs, its place, and the word before it in a list.

    An entry of a list belongs to its name, wherever it stands among the others.
    """
    if isinstance(node, ScalarNode):
        yield there, loc, node, before
    elif isinstance(node, SequenceNode):
        before = ""
        for n, item in enumerate(node.value):
            yield from _scalars(item, (*there, _name(item)), (*loc, n), before)
            before = item.value if isinstance(item, ScalarNode) else ""
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
