"""LaTeX formulas -> MathML that does nothing but show: the only user of the converter."""

import re
from collections.abc import Mapping
from html import escape, unescape
from types import MappingProxyType
from xml.etree.ElementTree import Element

from latex2mathml import exceptions
from latex2mathml.converter import convert_to_element

LENGTH = 4000  # characters of one formula; a longer one is shown as its source
NESTING = 40  # braces within braces, likewise
_SHOWN = (
    "math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow "
    "mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none"
)
ELEMENTS = frozenset(_SHOWN.split())
"""Presentation alone: nothing that links, annotates, or holds other markup."""

_WORD = r"[a-z-]{1,24}"
_LENGTH = r"[+-]?[0-9]{0,3}(?:\.[0-9]{1,6})?(?:em|ex|pt|px|mu|%)?"
_LENGTHS = rf"{_LENGTH}(?: {_LENGTH}){{0,15}}"
_WORDS = rf"{_WORD}(?: {_WORD}){{0,31}}"
ATTRIBUTES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("accent", "accentunder", "displaystyle", "fence", "largeop", "movablelimits",
             "separator", "stretchy", "symmetric"),
            re.compile("true|false"),
        ),
        **dict.fromkeys(
            ("columnspacing", "depth", "height", "linethickness", "lspace", "maxsize", "minsize",
             "rowspacing", "rspace", "voffset", "width"),
            re.compile(_LENGTHS),
        ),
        **dict.fromkeys(
            ("columnalign", "columnlines", "form", "mathvariant", "notation", "rowalign",
             "rowlines", "display"),
            re.compile(_WORDS),
        ),
        "mathcolor": re.compile(r"[a-zA-Z]{1,24}|#[0-9a-fA-F]{3,8}"),
        "scriptlevel": re.compile("[+-]?[0-9]"),
    }
)  # fmt: skip
_WRONG: tuple[type[Exception], ...] = (
    *(e for e in vars(exceptions).values() if isinstance(e, type) and issubclass(e, Exception)),
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),  # its slips on half a formula
)


def mathml(source: str, is_block: bool) -> str:
    """The HTML of a formula; its source as code when it cannot be read.

    >>> mathml("x_1", False)
    '<math><mrow><msub><mi>x</mi><mn>1</mn></msub></mrow></math>'
    >>> mathml("x_", False)
    '<code class="math">x_</code>'
    """
    source = source.strip()
    html = None
    if source and len(source) <= LENGTH and _nesting(source) <= NESTING:
        try:
            tree = convert_to_element(source, display="block" if is_block else "inline")
        except _WRONG:
            html = None
        else:
            html = _written(tree)
    if html is None:
        html = f'<code class="math">{escape(source, quote=False)}</code>'
        return f"<pre>{html}</pre>" if is_block else html
    return html


def _nesting(source: str) -> int:
    depth = deepest = 0
    for sign in re.findall(r"[{}]|\\left|\\right|\\begin|\\end|\^|_", source):
        depth += {"}": -1, "\\right": -1, "\\end": -1, "^": 0, "_": 0}.get(sign, 1)
        deepest = max(deepest, depth)
    return deepest


def _written(element: Element) -> str:
    """An element's markup, of which only what is allowed is left."""
    inside = _text(element.text)
    inside += "".join(_written(child) + _text(child.tail) for child in element)
    if element.tag not in ELEMENTS:
        return inside
    shown = "".join(
        f' {name}="{value}"'
        for name, value in element.attrib.items()
        if name in ATTRIBUTES and ATTRIBUTES[name].fullmatch(value) and value != "inline"
    )
    return f"<{element.tag}{shown}>{inside}</{element.tag}>"


def _text(text: str | None) -> str:
    return escape(unescape(text or ""), quote=False)  # signs are entities in the converter's tree
