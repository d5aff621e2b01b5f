"""HTML -> HTML that is safe to show, by the allow-list of policy.py: the only user of bleach."""

import xml.etree.ElementTree as etree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape, unescape
from typing import TypeAlias

from bleach.sanitizer import Cleaner

from scripthut.core import policy

DEPTH = 60  # elements nested deeper are shown without their tags

_Token: TypeAlias = dict[str, object]
Element = etree.Element

_PROTOCOLS = frozenset({"http", "https", "mailto"})
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


@dataclass(frozen=True, slots=True)
class _Start:
    """An allowed element's beginning, with the attributes that it keeps."""

    name: str
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class _End:
    name: str


_Part: TypeAlias = _Start | _End | str
"""A text is as it stands in HTML."""


def _markup(part: _Part) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, _End):
        return f"</{part.name}>"
    if not part.attributes:
        return f"<{part.name}>"
    shown = "".join(f' {name}="{escape(value)}"' for name, value in part.attributes.items())
    return f"<{part.name}{shown}>"


def _token(part: _Part) -> _Token:
    """What bleach passes on; it carries attribute values as they are written in HTML."""
    if isinstance(part, str):
        return {"type": "Characters", "data": part}
    if isinstance(part, _End):
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
        if not isinstance(node, Element):
            depth -= 1
            yield node
            continue
        name = node.tag
        children = True
        if name in policy.ELEMENTS and depth < DEPTH:
            children = name not in _VOID
            shown = policy.filtered(name, _attributes(node), folder)
            if shown is None:
                yield escape(_instead(node), quote=False)
            else:
                yield _Start(name, shown)
                if children:
                    depth += 1
                    stack.append(_End(name))
        elif not isinstance(name, str) or name.startswith("{") or name in policy.DROPPED:
            children = False
        if children:
            _push_content(stack, node)


def _attributes(node: Element) -> dict[str, str]:
    return {k: unescape(v) for k, v in node.attrib.items() if isinstance(k, str)}


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
