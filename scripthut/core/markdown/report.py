"""A document's HTML for a page that stands alone: images inside it, nothing fetched, nothing run.

What comes in was sanitised when it was rendered. It is taken apart and written anew here by the
same allow-list, by a parser of its own: a report has no server that could hold a second wall.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import unquote

from scripthut.core.markdown import formula, policy

VOID = frozenset({"br", "hr", "img", "input", "wbr"})
_SIGNS = re.compile("[\ue000-\uf8ff]")
_OUTSIDE = re.compile(r"(https?://|mailto:)[^\s]", re.IGNORECASE)

Find = Callable[[str], str | None]
"""A path in the task's output directory -> what stands for that file; None: it is not here."""


@dataclass(frozen=True)
class Place:
    """Where a document stands: what keeps its ids apart, and how its files are found."""

    anchor: str
    image: Find  # gives a data: address
    link: Find  # gives the id of a place in the page


def data_url(kind: str, data: bytes) -> str:
    """An address that holds the file itself.

    >>> data_url("image/png", b"png")
    'data:image/png;base64,cG5n'
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def alone(html: str, place: Place) -> str:
    """A document's HTML, such that a page that holds it needs no other file."""
    writer = _Writer(place)
    writer.feed(html)
    writer.close()
    return writer.done()


@dataclass
class _Open:
    """The elements that are open, and the one whose content is dropped."""

    names: list[str] = field(default_factory=list)
    dropped: str | None = None
    depth: int = 0


class _Writer(HTMLParser):
    def __init__(self, place: Place) -> None:
        super().__init__(convert_charrefs=True)
        self._place = place
        self._open = _Open()
        self._parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._open.dropped is not None:
            self._open.depth += tag == self._open.dropped
            return
        if tag == "math" or "math" in self._open.names:
            self._formula(tag, attrs)
            return
        if tag not in policy.ELEMENTS:
            if tag in policy.DROPPED:
                self._open.dropped, self._open.depth = tag, 1
            return
        given = {name: value or "" for name, value in reversed(attrs)}
        kept = self._attributes(tag, given)
        if tag == "img" and "src" not in kept:
            words = given.get("alt") or "an image"
            self._parts.append(escape(f"[{_plain(words)}: not in this report]"))
            return
        words = "".join(f' {name}="{escape(value)}"' for name, value in kept.items())
        self._parts.append(f"<{tag}{words}>")
        if tag not in VOID:
            self._open.names.append(tag)

    def _formula(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Inside of a formula nothing stands but a formula's own elements, and text."""
        if tag not in formula.ELEMENTS:
            return
        given = [(name, value or "") for name, value in attrs if name in formula.ATTRIBUTES]
        fine = [(n, v) for n, v in given if formula.ATTRIBUTES[n].fullmatch(v)]
        words = "".join(f' {name}="{escape(value)}"' for name, value in dict(fine).items())
        self._parts.append(f"<{tag}{words}>")
        self._open.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open.dropped is not None:
            self._open.depth -= tag == self._open.dropped
            self._open.dropped = self._open.dropped if self._open.depth else None
        elif tag in self._open.names:
            while self._close() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._open.dropped is None:
            self._parts.append(escape(_plain(data), quote=False))

    def done(self) -> str:
        while self._open.names:
            self._close()
        return "".join(self._parts)

    def _close(self) -> str:
        name = self._open.names.pop()
        self._parts.append(f"</{name}>")
        return name

    def _attributes(self, tag: str, given: dict[str, str]) -> dict[str, str]:
        kept = {}
        for name in policy.ATTRIBUTES.get(tag, ()):
            value = self._value(name, given[name]) if name in given else None
            if value is not None:
                kept[name] = value
        if tag == "input":
            kept |= {"type": "checkbox", "disabled": ""}
        if tag == "a" and _OUTSIDE.match(kept.get("href", "")):
            kept["rel"] = policy.REL
        return kept

    def _value(self, name: str, value: str) -> str | None:
        own = unquote(value[1:].partition("#")[0]) if value.startswith(policy.BASE) else None
        if name == "src":
            return self._place.image(own) if own else None
        if name == "href" and own is not None:
            found = self._place.link(own)
            return f"#{found}" if found else None
        if name == "class":
            return (policy.filtered("span", {"class": value}, "") or {}).get("class")
        value = value.replace(policy.ANCHOR, self._place.anchor)
        if name == "href":
            is_ours = value.startswith("#" + policy.PREFIX) or _OUTSIDE.match(value)
            return _plain(value) if is_ours else None
        if name == "id" and not value.startswith(policy.PREFIX):
            return None
        return _plain(value)


def _plain(text: str) -> str:
    return _SIGNS.sub("", text)
