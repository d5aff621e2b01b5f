"""HTML -> HTML that is safe to show, by the allow-list of policy.py: the only user of bleach."""

import xml.etree.ElementTree as etree
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from html import escape, unescape
from typing import NamedTuple, TypeAlias

from bleach.sanitizer import Cleaner

from scripthut.core.markdown import policy

DEPTH = 60  # elements nested deeper are shown without their tags

_Token: TypeAlias = dict[str, object]
Element = etree.Element

_PROTOCOLS = frozenset({"http", "https", "mailto"})
_CELLS, _SHORT = ("td", "th"), range(1, 16)
_VOID = frozenset({"br", "hr", "img", "input", "wbr"})


class Sanitiser:
    """For one document; `folder` is its own, relative to the output directory."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._cleaner = Cleaner(
            tags=policy.ELEMENTS, attributes=policy.ATTRIBUTES, protocols=_PROTOCOLS, strip=True
        )
        # Dropped elements must reach the tree, so that their content is known and goes with them.
        self._cleaner.parser.tags = policy.ELEMENTS | policy.DROPPED  # type: ignore[assignment]
        self._cleaner.walker = self._tokens  # type: ignore[assignment]

    def html(self, html: str) -> str:
        """What is allowed of any HTML. The time is quadratic in the size of one element."""
        return self._cleaner.clean(html)

    def _tokens(self, root: Element) -> Iterator[_Token]:
        return map(_token, _walk(root, self._folder, str))

    def tree(self, root: Element, written: Callable[[str], str]) -> str:
        """What is allowed of a tree in which there is no HTML, only text; `root` itself is not.

        `written` says how a text stands in HTML. Nothing is parsed, so the time is the size's.
        """
        return "".join(map(_markup, _walk(root, self._folder, written)))


class _Tag(NamedTuple):
    """An allowed element's beginning, with the attributes that it keeps; None: its end."""

    name: str
    attributes: dict[str, str] | None
    text: str  # as it stands in HTML


_Part: TypeAlias = _Tag | str
"""A text is as it stands in HTML."""

# Most elements have no attributes: one value for all of a name.
_BARE = {name: _Tag(name, {}, f"<{name}>") for name in policy.ELEMENTS}
_ENDS = {name: _Tag(name, None, f"</{name}>") for name in policy.ELEMENTS}


def _start(name: str, attributes: dict[str, str]) -> _Tag:
    shown = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return _Tag(name, attributes, f"<{name}{shown}>")


def _markup(part: _Part) -> str:
    return part if isinstance(part, str) else part.text


def _token(part: _Part) -> _Token:
    """What bleach passes on; it carries attribute values as they are written in HTML."""
    if isinstance(part, str):
        return {"type": "Characters", "data": part}
    if part.attributes is None:
        return {"type": "EndTag", "name": part.name, "namespace": None}
    data = {(None, key): escape(value, quote=False) for key, value in part.attributes.items()}
    kind = "EmptyTag" if part.name in _VOID else "StartTag"
    return {"type": kind, "name": part.name, "namespace": None, "data": data}


def _walk(root: Element, folder: str, written: Callable[[str], str]) -> Iterator[_Part]:
    """What may be shown of a tree; the time grows with its size alone."""
    stack: list[Element | _Part] = [root]
    depth = 0
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            yield written(node)
            continue
        if isinstance(node, _Tag):
            depth -= 1
            yield node
            continue
        name = node.tag
        if name in policy.ELEMENTS and depth < DEPTH:
            tag = _shown(name, node.attrib, folder)
            yield escape(_instead(node), quote=False) if tag is None else tag
            if name in _VOID:
                continue
            if tag is not None and not len(node):
                if node.text:
                    yield written(node.text)
                yield _ENDS[name]
                continue
            if tag is not None:
                depth += 1
                stack.append(_ENDS[name])
        elif not isinstance(name, str) or name.startswith("{") or name in policy.DROPPED:
            continue
        _push_content(stack, node)


def _shown(name: str, given: Mapping[str, str], folder: str) -> _Tag | None:
    """How an allowed element begins; None: it must not stand."""
    if len(given) == 1 and name in _CELLS and len(align := given.get("align", "")) in _SHORT:
        return _cell(name, align)
    attributes = {k: unescape(v) for k, v in given.items() if isinstance(k, str)}
    kept = policy.filtered(name, attributes, folder)
    return _start(name, kept) if kept else None if kept is None else _BARE[name]


@lru_cache(256)
def _cell(name: str, align: str) -> _Tag:
    """Most of the elements with an attribute, in a document of tables, are these few."""
    return _start(name, policy.filtered(name, {"align": unescape(align)}, "") or {})


def _push_content(stack: list[Element | _Part], node: Element) -> None:
    for child in reversed(node):
        if child.tail:
            stack.append(child.tail)
        stack.append(child)
    if node.text:
        stack.append(node.text)


def _instead(node: Element) -> str:
    """What is shown in place of an image that is not the task's own."""
    return unescape(node.get("alt") or "") if node.tag == "img" else ""
