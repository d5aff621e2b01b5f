"""A tree of blocks -> elements whose text is still Markdown, and what is outside of the text."""

import re
import xml.etree.ElementTree as etree
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType

from markdown.util import AtomicString

from scripthut.core.markdown.blocks import Block, Kind, cells
from scripthut.core.markdown.inline import Plain, set_text

Element = etree.Element

ALERTS = ("note", "tip", "important", "warning", "caution")
DRAWINGS: Mapping[str, str] = MappingProxyType(
    {
        "mermaid": "Mermaid diagram",
        "geojson": "GeoJSON map",
        "topojson": "TopoJSON map",
        "stl": "STL model",
    }
)
"""Languages of fences that stand for a picture: the source is shown with this above it."""

_ALERT = re.compile(rf"\[!({'|'.join(ALERTS)})\]\s*$", re.IGNORECASE)
_TASK = re.compile(r"\[([ \txX])\](?=\s)")
_WORD = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_ABBREVIATION = re.compile(r"\*\[([^\]\\]{1,100})\]: ?(.+)$")
_MEANING = re.compile(r":[ \t]+(?=\S)")
_SPACES = re.compile(r"\s+")
_REFERENCE = re.compile(
    r"""\[(?P<label>(?:[^\[\]\\]|\\.){1,999})\]:[ \t]*\n?[ \t]*
    (?:<(?P<angle>[^<>\n]*)>|(?P<to>[^\s<]\S*))
    (?:(?:[ \t]+|[ \t]*\n[ \t]*)
    (?P<title>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\((?:[^()\\]|\\.)*\))(?=[ \t]*(?:\n|$)))?
    [ \t]*(?:\n|$)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass
class Holders:
    """What takes the parts that are no Markdown, and answers with a text to stand for them."""

    html: Callable[[str], str]
    code: Callable[[str, str], str]  # (code, language)
    formula: Callable[[str, bool], str]  # (LaTeX, whether it is a block)


@dataclass
class Built:
    """A document: its elements, and what it defines for use anywhere in it."""

    elements: list[Element] = field(default_factory=list)
    references: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: dict[str, Element] = field(default_factory=dict)
    abbreviations: dict[str, str] = field(default_factory=dict)


def build(document: Block, holders: Holders) -> Built:
    """The elements of a document."""
    builder = _Builder(holders)
    root = etree.Element("div")
    builder.content(root, document.children)
    builder.built.elements = list(root)
    return builder.built


class _Builder:
    def __init__(self, holders: Holders) -> None:
        self.holders = holders
        self.built = Built()

    def content(self, parent: Element, blocks: list[Block], is_tight: bool = False) -> None:
        for block in blocks:
            if block.kind is Kind.PARAGRAPH:
                self._paragraph(parent, block, is_tight)
            else:
                _ADD[block.kind](self, parent, block)

    def _paragraph(self, parent: Element, block: Block, is_tight: bool) -> None:
        lines = self._undefined([line.rstrip() for line in block.lines])
        if not lines:
            return
        if any(_MEANING.match(line) for line in lines[1:]):
            _definitions(parent, lines)
        else:
            set_text(etree.SubElement(parent, TIGHT if is_tight else "p"), lines)

    def _undefined(self, lines: list[str]) -> list[str]:
        """A paragraph's lines without what they define: references first, abbreviations."""
        if lines[0].startswith("["):
            text = "\n".join(lines)
            at = 0
            while match := _REFERENCE.match(text, at):
                label = _label(match["label"])
                if not label:
                    break
                href = _unescaped(match["to"] if match["angle"] is None else match["angle"])
                title = _unescaped(match["title"][1:-1]) if match["title"] else ""
                self.built.references.setdefault(label, (href, title))
                at = match.end()
            lines = text[at:].split("\n") if text[at:].strip() else []
        for line in lines:
            if short := _ABBREVIATION.match(line):
                self.built.abbreviations.setdefault(short[1], short[2])
        return [line for line in lines if not _ABBREVIATION.match(line)]

    def _heading(self, parent: Element, block: Block) -> None:
        lines = self._undefined([line.strip() for line in block.lines])
        if lines:
            set_text(etree.SubElement(parent, f"h{block.number}"), lines)

    def _code(self, parent: Element, block: Block) -> None:
        lines = list(block.lines)
        if block.kind is Kind.CODE:
            while lines and not lines[-1].strip():
                lines.pop()
        word = _WORD.match(_unescaped(block.info))
        language = word[0].lower() if word else ""
        code = "".join(f"{line}\n" for line in lines)
        if language == "math":
            self._held(parent, self.holders.formula(code, True))
            return
        if language in DRAWINGS:
            parent = etree.SubElement(parent, "figure", {"class": "drawing"})
            etree.SubElement(parent, "figcaption").text = AtomicString(DRAWINGS[language])
        self._held(parent, self.holders.code(code, language))

    def _math(self, parent: Element, block: Block) -> None:
        self._held(parent, self.holders.formula("\n".join(block.lines), True))

    def _html(self, parent: Element, block: Block) -> None:
        self._held(parent, self.holders.html("\n".join(block.lines)))

    def _held(self, parent: Element, stand_in: str) -> None:
        etree.SubElement(parent, "p").text = AtomicString(stand_in)

    def _rule(self, parent: Element, _block: Block) -> None:
        etree.SubElement(parent, "hr")

    def _quote(self, parent: Element, block: Block) -> None:
        first = block.children[0] if block.children else None
        alert = first and first.kind is Kind.PARAGRAPH and _ALERT.match(first.lines[0])
        if first is None or not alert:
            self.content(etree.SubElement(parent, "blockquote"), block.children)
            return
        name = alert[1].lower()
        box = etree.SubElement(parent, "div", {"class": f"alert alert-{name}"})
        title = etree.SubElement(box, "p", {"class": "alert-title"})
        title.text = AtomicString(name.capitalize())
        first.lines = first.lines[1:]
        self.content(box, block.children if first.lines else block.children[1:])

    def _list(self, parent: Element, block: Block) -> None:
        element = etree.SubElement(parent, "ul" if block.number < 0 else "ol")
        if block.number >= 0 and block.number != 1:
            element.set("start", str(block.number))
        is_tight = not block.is_loose
        for item in block.children:
            self._item(etree.SubElement(element, "li"), item, is_tight)

    def _item(self, element: Element, item: Block, is_tight: bool) -> None:
        first = item.children[0] if item.children else None
        task = first and first.kind is Kind.PARAGRAPH and _TASK.match(first.lines[0])
        if first is None or not task:
            self.content(element, item.children, is_tight)
            return
        element.set("class", "task-list-item")
        first.lines[0] = first.lines[0][task.end() :].lstrip()
        is_checked = task[1] in "xX"
        self.content(element, item.children, is_tight)
        box = etree.Element("input", {"type": "checkbox", "disabled": ""})
        if is_checked:
            box.set("checked", "")
        target = element[0] if len(element) and element[0].tag in ("p", TIGHT) else element
        text = target.text or ""
        box.tail = Plain(" " + text) if isinstance(text, Plain) else " " + text
        target.text = None
        target.insert(0, box)

    def _note(self, _parent: Element, block: Block) -> None:
        element = etree.Element("li")
        self.content(element, block.children)
        self.built.notes.setdefault(block.info.lower(), element)

    def _table(self, parent: Element, block: Block) -> None:
        table = etree.SubElement(parent, "table")
        aligns = [_align(mark) for mark in cells(block.lines[1])]
        head = etree.SubElement(table, "thead")
        _row(head, "th", block.lines[0], aligns)
        if len(block.lines) > 2:
            body = etree.SubElement(table, "tbody")
            for line in block.lines[2:]:
                _row(body, "td", line, aligns)


TIGHT = "tight"
"""A paragraph of a tight list: no element that is allowed, so only its content is shown."""
_ADD: Mapping[Kind, Callable[[_Builder, Element, Block], None]] = MappingProxyType(
    {
        Kind.HEADING: _Builder._heading,
        Kind.CODE: _Builder._code,
        Kind.FENCE: _Builder._code,
        Kind.MATH: _Builder._math,
        Kind.HTML: _Builder._html,
        Kind.RULE: _Builder._rule,
        Kind.QUOTE: _Builder._quote,
        Kind.LIST: _Builder._list,
        Kind.NOTE: _Builder._note,
        Kind.TABLE: _Builder._table,
    }
)


def _row(parent: Element, name: str, line: str, aligns: list[str]) -> None:
    row = etree.SubElement(parent, "tr")
    texts = cells(line)
    for place, align in enumerate(aligns):
        cell = etree.SubElement(row, name, {"align": align} if align else {})
        set_text(cell, [texts[place] if place < len(texts) else ""])


def _align(mark: str) -> str:
    left, right = mark.startswith(":"), mark.endswith(":")
    return "center" if left and right else "left" if left else "right" if right else ""


def _definitions(parent: Element, lines: list[str]) -> None:
    """Terms, and lines that begin with a colon for what they mean."""
    last = parent[-1] if len(parent) else None
    element = last if last is not None and last.tag == "dl" else etree.SubElement(parent, "dl")
    has_meaning = False
    meaning: list[str] = []
    for line in [*lines, ": end"]:
        begins = _MEANING.match(line)
        if has_meaning and begins:
            set_text(etree.SubElement(element, "dd"), meaning)
        if begins:
            has_meaning, meaning = True, [line[begins.end() :]]
        elif has_meaning:
            meaning.append(line)
        else:
            set_text(etree.SubElement(element, "dt"), [line])


def _label(text: str) -> str:
    return _SPACES.sub(" ", text.strip()).lower()


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def escaped_code(code: str, language: str) -> str:
    """A block of code as it is, in HTML; `language` may be ""."""
    name = f' class="language-{language}"' if language else ""
    return f"<pre><code{name}>{escape(code, quote=False)}</code></pre>"
