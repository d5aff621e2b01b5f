"""Markdown -> HTML that is safe to show: the only user of the Markdown library and of bleach."""

import re
import xml.etree.ElementTree as etree
from collections.abc import Iterator
from html import escape, unescape
from typing import TypeAlias

from bleach.sanitizer import Cleaner
from markdown import Extension, Markdown
from markdown.blockprocessors import HashHeaderProcessor
from markdown.extensions.abbr import AbbrExtension
from markdown.extensions.def_list import DefListExtension
from markdown.extensions.footnotes import FootnoteExtension
from markdown.extensions.nl2br import Nl2BrExtension
from markdown.extensions.sane_lists import SaneListExtension
from markdown.extensions.tables import TableProcessor
from markdown.extensions.toc import TocExtension, slugify_unicode
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString
from pymdownx.magiclink import MagiclinkExtension
from pymdownx.tasklist import TasklistExtension
from pymdownx.tilde import DeleteSubExtension

from scripthut.core import policy
from scripthut.core.layout import layout

ROWS = 200  # a table of more rows is cleaned cell by cell
DEPTH = 60  # elements nested deeper are shown without their tags
_TABLE = "\ue002"  # stands for a long table while the rest is cleaned
_TABLES = re.compile(f"<p>{_TABLE}([0-9]+){_TABLE}</p>|{_TABLE}([0-9]+){_TABLE}")
_PLAIN = re.compile(r"[ A-Za-z0-9.,;%()+−±=/°-]*")  # nothing that Markdown or HTML could read
_ADDRESS = re.compile(r"://|www\.")

_Token: TypeAlias = dict[str, object]
_Element: TypeAlias = etree.Element


def render(text: str, folder: str = "") -> str:
    """A document's HTML, with policy.BASE and policy.ANCHOR where the page puts its own.

    `folder` is the document's, relative to the output directory: relative addresses begin there.
    May take long, or more stack than there is, on text made for that: see engine/rendering.py.
    """
    tables = _LongTables()
    markdown = _markdown(tables)
    cleaner = _cleaner(folder)
    html = cleaner.clean(markdown.convert(policy.without_signs(text)))
    if not tables.found:
        return html

    def table(match: re.Match[str]) -> str:
        number = int(match[1] or match[2])
        return _table(markdown, cleaner, tables.found[number])

    return _TABLES.sub(table, html)


class _Layout(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return layout(lines, self.md.htmlStash.store)


class _Tables(TableProcessor):
    """Tables whose plain cells are not searched for Markdown again: most cells are numbers."""

    def _build_row(self, row: str, parent: _Element, align: list[str | None]) -> None:
        super()._build_row(row, parent, align)  # type: ignore[misc]
        for cell in parent[-1]:
            text = cell.text or ""
            if _PLAIN.fullmatch(text) and not _ADDRESS.search(text):
                cell.text = AtomicString(text)


class _Headings(HashHeaderProcessor):
    """Headings whose # signs are followed by a space: `#1` is no heading."""

    RE = re.compile(
        r"(?:^|\n)(?P<level>#{1,6})(?P<header>(?:[ \t][^\n]*?)?)(?:[ \t]#+)?[ \t]*(?:\n|$)"
    )


class _LongTables(Treeprocessor):
    """Takes long tables out of the tree, after everything else was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Element] = []

    def run(self, root: _Element) -> None:
        for parent in list(root.iter()):
            for place, child in enumerate(parent):
                if child.tag == "table" and len(child) == 2 and len(child[1]) > ROWS:
                    stand_in = etree.Element("p")
                    stand_in.text = f"{_TABLE}{len(self.found)}{_TABLE}"
                    stand_in.tail = child.tail
                    parent[place] = stand_in
                    self.found.append(child)


class _Dialect(Extension):
    """GitHub's block structure instead of the library's own."""

    def __init__(self, tables: _LongTables) -> None:
        super().__init__()
        self.tables = tables

    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.deregister("html_block")
        md.preprocessors.register(_Layout(md), "layout", 20)
        md.ESCAPED_CHARS.append("|")
        processor = _Tables(md.parser, {"use_align_attribute": True})
        md.parser.blockprocessors.register(processor, "table", 75)
        md.parser.blockprocessors.register(_Headings(md.parser), "hashheader", 70)
        self.tables.md = md
        md.treeprocessors.register(self.tables, "long_tables", -10)


def _markdown(tables: _LongTables) -> Markdown:
    return Markdown(
        output_format="html",
        extensions=[
            AbbrExtension(),
            DefListExtension(),
            FootnoteExtension(BACKLINK_TEXT="↩"),
            Nl2BrExtension(),
            SaneListExtension(),
            TocExtension(marker="", slugify=slugify_unicode),
            DeleteSubExtension(subscript=False),
            TasklistExtension(),
            MagiclinkExtension(),
            _Dialect(tables),
        ],
    )


def _cleaner(folder: str) -> Cleaner:
    """Bleach with our walk of the tree, which filters, and its own filter behind that."""
    cleaner = Cleaner(
        tags=policy.ELEMENTS,
        attributes=policy.ATTRIBUTES,
        protocols=frozenset({"http", "https", "mailto"}),
        strip=True,
    )
    # Dropped elements must reach the tree, so that their content is known and goes with them.
    cleaner.parser.tags = policy.ELEMENTS | policy.DROPPED  # type: ignore[assignment]
    cleaner.walker = lambda root: _walk(root, folder)  # type: ignore[assignment]
    return cleaner


def _walk(root: _Element, folder: str) -> Iterator[_Token]:
    """The tokens of what may be shown of a tree; the time grows with its size alone."""
    stack: list[tuple[_Element | str, bool]] = [(root, True)]
    depth = 0
    while stack:
        node, opens = stack.pop()
        if isinstance(node, str):
            yield {"type": "Characters", "data": node}
            continue
        name = node.tag
        if not opens:
            depth -= 1
            yield {"type": "EndTag", "name": name, "namespace": None}
            continue
        children = True
        if name in policy.ELEMENTS and depth < DEPTH:
            children = name not in _VOID
            shown = policy.filtered(name, {k: unescape(v) for k, v in _named(node)}, folder)
            if shown is None:
                yield {"type": "Characters", "data": escape(_instead(node), quote=False)}
            else:
                yield _opening(name, shown)
                if children:
                    depth += 1
                    stack.append((node, False))
        elif not isinstance(name, str) or name.startswith("{") or name in policy.DROPPED:
            children = False
        if children:
            _push_content(stack, node)


_VOID = frozenset({"br", "hr", "img", "input", "wbr"})


def _named(node: _Element) -> Iterator[tuple[str, str]]:
    return ((k, v) for k, v in node.attrib.items() if isinstance(k, str))


def _push_content(stack: list[tuple[_Element | str, bool]], node: _Element) -> None:
    for child in reversed(node):
        if child.tail:
            stack.append((child.tail, True))
        stack.append((child, True))
    if node.text:
        stack.append((node.text, True))


def _opening(name: str, attributes: dict[str, str]) -> _Token:
    # Bleach carries attribute values as they are written in HTML, entities and all.
    data = {(None, key): escape(value, quote=False) for key, value in attributes.items()}
    kind = "EmptyTag" if name in _VOID else "StartTag"
    return {"type": kind, "name": name, "namespace": None, "data": data}


def _instead(node: _Element) -> str:
    """What is shown in place of an image that is not the task's own."""
    return unescape(node.get("alt") or "") if node.tag == "img" else ""


def _table(markdown: Markdown, cleaner: Cleaner, table: _Element) -> str:
    """A long table's HTML, cell by cell: bleach's parser would take long over it."""

    def inside(cell: _Element) -> str:
        if not len(cell) and _PLAIN.fullmatch(cell.text or ""):
            return cell.text or ""
        html = markdown.serializer(cell).strip()
        html = html[html.index(">") + 1 : html.rindex("<")]
        for processor in markdown.postprocessors:
            html = processor.run(html)
        return cleaner.clean(html)

    def row(tr: _Element) -> str:
        cells = (f"<{c.tag}{_aligned(c)}>{inside(c)}</{c.tag}>" for c in tr)
        return f"<tr>{''.join(cells)}</tr>\n"

    head, body = ("".join(row(tr) for tr in part) for part in table)
    return f"<table>\n<thead>\n{head}</thead>\n<tbody>\n{body}</tbody>\n</table>"


def _aligned(cell: _Element) -> str:
    align = cell.get("align")
    return f' align="{align}"' if align in ("left", "center", "right") else ""
