"""Which HTML a user may show: elements, attributes and their values, addresses.

An allow-list throughout: what is not named here is gone. Values come decoded and leave decoded.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import quote, unquote, urlsplit

VERSION = "3"
"""Of the renderer and this policy: what an older one made is never shown by a newer one."""
BASE = "\ue000"
"""Stands where the address of the task's files goes; the page puts it in."""
ANCHOR = "\ue001"
"""Stands where a page with several documents puts what keeps their ids apart."""
PREFIX = "user-content-"
REL = "nofollow noopener noreferrer ugc"

_SHOWN = (
    "a abbr b blockquote br caption code dd del details dfn div dl dt em figcaption figure h1 h2 "
    "h3 h4 h5 h6 hr i img input ins kbd li mark ol p pre q rp rt ruby s samp small span strong "
    "sub summary sup table tbody td tfoot th thead tr tt u ul var wbr"
)
_DROPPED = (
    "script style template noscript iframe textarea title svg math object embed applet audio "
    "video canvas select xmp noembed noframes plaintext frameset"
)
ELEMENTS = frozenset(_SHOWN.split())
DROPPED = frozenset(_DROPPED.split())
"""Elements that go together with what is in them; of any other one the content stays."""

_CLASS_NAMES = (
    "alert alert-caution alert-important alert-note alert-tip alert-title alert-warning anchor "
    "drawing footnote footnote-backref footnote-ref hl-comment hl-deleted hl-inserted hl-keyword "
    "hl-name hl-number hl-string hl-type hl-variable math task-list task-list-item"
)
_CLASSES = frozenset(_CLASS_NAMES.split())
_LANGUAGE = re.compile(r"language-[a-z0-9_+#-]{1,32}")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST = re.compile(r"""[^\s@"'<>`^{}]+""")  # without a user's name, which hides the host's
_ENDS = "".join(map(chr, range(0x21)))  # what a browser strips from both ends of an address

Attributes = Mapping[str, str]
Rule = Callable[[str, str], str | None]
"""(value, folder) -> the value to show, None: not at all."""


def filtered(element: str, attributes: Attributes, folder: str) -> dict[str, str] | None:
    """The attributes that an allowed element keeps; None: the element itself must not stand.

    `folder` is the document's own, relative to the output directory, "" for the top.
    """
    if not attributes:
        return None if element in ("img", "input") else {}
    if element == "input":
        return _checkbox(attributes)
    kept = {}
    for name, rule in _ALL_RULES.get(element, _EVERYWHERE).items():
        value = attributes.get(name)
        shown = None if value is None else rule(_without_signs(value), folder)
        if shown is not None:
            kept[name] = shown
    if element == "a" and not kept.get("href", "#").startswith("#"):
        kept["rel"] = REL
    return None if element == "img" and "src" not in kept else kept


def key(sha: str, folder: str) -> str:
    """The name under which the HTML made of a document is kept: 64 hexadecimal digits."""
    return sha256(f"{VERSION}\n{sha}\n{folder}".encode()).hexdigest()


def address(text: str, folder: str) -> str | None:
    """Where a link may lead: out, to a place in the document, or to a file of the task.

    >>> [address(t, "sub") for t in ("#Top", "../a b.png", "../../x", "/runs", "https://x.org/")]
    ['#user-content-\\ue001Top', '\\ue000a%20b.png', None, None, 'https://x.org/']
    """
    text = _as_browsers_read(text)
    if text.startswith("#"):
        return "#" + _identifier(unquote(text[1:])) if len(text) > 1 else None
    return _outside(text) if _SCHEME.match(text) else file_address(text, folder)


def file_address(text: str, folder: str) -> str | None:
    """The address of one of the task's own files, None for anything else.

    Decoded once; nothing leads out of the output directory, nothing carries a query.
    """
    path = _as_browsers_read(text).partition("#")[0]
    if _SCHEME.match(path) or "?" in path:
        return None
    try:
        name = unquote(path, errors="strict")
    except UnicodeDecodeError:  # such names have an address by number only
        return None
    if not name or name.startswith("/") or "\\" in name or "\x00" in name or _PRIVATE.search(name):
        return None
    parts: list[str] = []
    for part in [*folder.split("/"), *name.split("/")]:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return BASE + quote("/".join(parts)) if parts else None


def without_signs(text: str) -> str:
    """A text in which none of our own signs occur, nor characters that no text should hold."""
    return _CONTROL.sub("", _PRIVATE.sub("\ufffd", text))


def _without_signs(value: str) -> str:
    return _PRIVATE.sub("", _CONTROL.sub("", value))


def _as_browsers_read(text: str) -> str:
    return re.sub(r"[\t\n\r]", "", text.strip(_ENDS))


def _outside(text: str) -> str | None:
    scheme = text.partition(":")[0].lower()
    if scheme == "mailto":
        return text
    if scheme not in ("http", "https") or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
        host = parts.netloc if parts.hostname else ""
    except ValueError:
        return None
    return text if _HOST.fullmatch(host) else None


def _identifier(text: str) -> str:
    return PREFIX + ANCHOR + re.sub(r"\s+", "-", text.strip())[:200]


def _checkbox(attributes: Attributes) -> dict[str, str] | None:
    if attributes.get("type", "").lower() != "checkbox":
        return None
    checked = {"checked": ""} if "checked" in attributes else {}
    return {"type": "checkbox", "disabled": "", **checked}


def _any_text(value: str, _folder: str) -> str | None:
    return value


def _classes(value: str, _folder: str) -> str | None:
    known = [w for w in value.split() if w in _CLASSES or _LANGUAGE.fullmatch(w)]
    return " ".join(known) or None


def _id(value: str, _folder: str) -> str | None:
    return _identifier(value) if value.strip() else None


def _matching(pattern: str) -> Rule:
    compiled = re.compile(pattern, re.ASCII | re.IGNORECASE)

    def rule(value: str, _folder: str) -> str | None:
        return value.lower() if compiled.fullmatch(value) else None

    return rule


_ALIGN = {"align": _matching("left|center|right")}
_LENGTH = _matching(r"[0-9]{1,4}%?")
_SPAN = _matching("[1-9][0-9]?")
_CELL = {**_ALIGN, "colspan": _SPAN, "rowspan": _SPAN}
_EVERYWHERE: Mapping[str, Rule] = {"class": _classes, "title": _any_text, "id": _id}
_RULES: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "a": {"href": address},
        "img": {
            "src": file_address,
            "alt": _any_text,
            "width": _LENGTH,
            "height": _LENGTH,
            **_ALIGN,
        },
        "td": _CELL,
        "th": _CELL,
        "ol": {"start": _matching("[0-9]{1,9}")},
        "details": {"open": lambda _value, _folder: ""},
        **{f"h{n}": _ALIGN for n in range(1, 7)},
        "p": _ALIGN,
        "div": _ALIGN,
        "table": _ALIGN,
    }
)
_ALL_RULES = {name: {**_EVERYWHERE, **rules} for name, rules in _RULES.items()}
ATTRIBUTES = {
    name: sorted({*_EVERYWHERE, *_RULES.get(name, {})})
    + {"a": ["rel"], "input": ["type", "checked", "disabled"]}.get(name, [])
    for name in ELEMENTS
}
