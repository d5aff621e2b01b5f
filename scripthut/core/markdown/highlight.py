"""Source code -> HTML with classes by what each word is: the only user of Pygments."""

from collections.abc import Iterator, Mapping
from html import escape
from types import MappingProxyType

from pygments.lexers import find_lexer_class_by_name
from pygments.token import (
    Comment,
    Error,
    Generic,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    String,
    Token,
    _TokenType,
)
from pygments.util import ClassNotFound

LIMIT = 100_000  # characters of one piece; a longer one stays plain

CLASSES: Mapping[_TokenType, str] = MappingProxyType(
    {
        Comment: "hl-comment",
        Comment.Preproc: "hl-keyword",
        Error: "",
        Generic.Deleted: "hl-deleted",
        Generic.Inserted: "hl-inserted",
        Generic.Heading: "hl-name",
        Generic.Subheading: "hl-name",
        Generic.Prompt: "hl-comment",
        Generic.Output: "",
        Keyword: "hl-keyword",
        Keyword.Constant: "hl-number",
        Keyword.Type: "hl-type",
        Literal: "hl-number",
        Name.Attribute: "hl-name",
        Name.Builtin: "hl-type",
        Name.Class: "hl-type",
        Name.Constant: "hl-number",
        Name.Decorator: "hl-name",
        Name.Exception: "hl-type",
        Name.Function: "hl-name",
        Name.Tag: "hl-keyword",
        Name.Variable: "hl-variable",
        Number: "hl-number",
        Operator.Word: "hl-keyword",
        String: "hl-string",
        String.Interpol: "hl-variable",
        Token: "",
    }
)
"""The class of a kind of word and of all kinds below it; "": none."""
KNOWN = frozenset(CLASSES.values()) - {""}


def highlight(code: str, language: str) -> str | None:
    """The code's HTML, a line feed at its end; None for a language that is not known.

    >>> highlight("x = 1", "python")
    'x = <span class="hl-number">1</span>\\n'
    """
    if len(code) > LIMIT:
        return None
    try:
        lexer = find_lexer_class_by_name(language)(stripnl=False)
    except ClassNotFound:
        return None
    return "".join(_merged(lexer.get_tokens(code)))


def _merged(tokens: Iterator[tuple[_TokenType, str]]) -> Iterator[str]:
    """Neighbours of one class share an element, and no element goes over the end of a line."""
    before, text = "", ""
    for kind, value in tokens:
        name = _class(kind)
        if name == before or not value.strip():
            text += value
            continue
        yield _span(before, text)
        before, text = name, value
    yield _span(before, text)


def _class(kind: _TokenType) -> str:
    while kind not in CLASSES:
        kind = kind.parent or Token
    return CLASSES[kind]


def _span(name: str, text: str) -> str:
    if not name:
        return escape(text, quote=False)
    lines = (escape(line, quote=False) for line in text.split("\n"))
    return "\n".join(f'<span class="{name}">{line}</span>' if line else "" for line in lines)
