"""Markdown -> HTML that is safe to show: the Markdown library with GitHub's reading of blocks.

Blocks are read by reading.py, the text in them by the library, and what comes of it passes the
sanitiser piece by piece. Code, formulas and long tables are made apart, safe by how they are made,
and put in at the end, so that nothing has to parse them.
"""

import re
import xml.etree.ElementTree as etree
from collections.abc import Iterator

from markdown import Markdown
from markdown.extensions.abbr import AbbrTreeprocessor
from markdown.util import STX, AtomicString

from scripthut.core.markdown import inline, policy
from scripthut.core.markdown.elements import Built, Holders, build, escaped_code
from scripthut.core.markdown.formula import mathml
from scripthut.core.markdown.highlight import highlight
from scripthut.core.markdown.reading import read
from scripthut.core.markdown.sanitise import Sanitiser

ROWS = 200  # a table of more rows is sanitised cell by cell
PIECE = 4096  # characters; neighbours with HTML of a user are parsed together up to this
COLOURED = 200_000  # characters of code in a document that are highlighted

_Element = etree.Element
_DONE = "\ue002"  # stands for finished HTML while the rest is sanitised
_RAW = "\ue003"  # stands for a block of HTML that a user wrote
_DONES = re.compile(f"<p>{_DONE}([0-9]+){_DONE}</p>|{_DONE}([0-9]+){_DONE}")
_RAWS = re.compile(f"<p>{_RAW}([0-9]+){_RAW}</p>")
_AMP = re.compile(r"&(?!(?:#[0-9]+|#x[0-9a-f]+|[0-9a-z]+);)", re.IGNORECASE)
_NO_SLUG = re.compile(r"[^\w\- ]")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?(/?)>")
_NO_END = "area base br col embed hr img input link meta source track wbr"
_END_LEFT_OUT = "p li td th tr dt dd thead tbody tfoot colgroup option"
_UNCOUNTED = frozenset(f"{_NO_END} {_END_LEFT_OUT}".split())


def render(text: str, folder: str = "") -> str:
    """A document's HTML, with policy.BASE and policy.ANCHOR where the page puts its own.

    `folder` is the document's, relative to the output directory: relative addresses begin there.
    May take long, or more stack than there is, on text made for it: engine/outputs/rendering.py.
    """
    return _Document(folder).html(policy.without_signs(text))


class _Document:
    def __init__(self, folder: str) -> None:
        self.sanitiser = Sanitiser(folder)
        self.raw: list[str] = []
        self.done: list[str] = []
        self.left = COLOURED
        self.notes: dict[str, _Element] = {}
        self.markdown = Markdown(output_format="html")
        inline.extend(self.markdown, self.notes, self._formula)
        self.patterns = inline.patterns(self.markdown)

    def html(self, text: str) -> str:
        built = build(read(text), Holders(self._raw_html, self._code, self._formula))
        self.markdown.references.update(built.references)
        self.notes.update(built.notes)
        for element in [*built.elements, *built.notes.values()]:
            self._read(element, built)
        elements = [*built.elements, *_footnotes(built)]
        _mark_headings(elements)
        return self._filled("\n".join(self._pieces(elements)))

    # What is kept apart.

    def _hold(self, html: str) -> str:
        self.done.append(html)
        return f"{_DONE}{len(self.done) - 1}{_DONE}"

    def _raw_html(self, html: str) -> str:
        self.raw.append(html)
        return f"{_RAW}{len(self.raw) - 1}{_RAW}"

    def _formula(self, source: str, is_block: bool) -> str:
        return self._hold(mathml(source, is_block))

    def _code(self, code: str, language: str) -> str:
        html = None
        if language and len(code) <= self.left:
            html = highlight(code, language)
        if html is None:
            return self._hold(escaped_code(code, language))
        self.left -= len(code)
        return self._hold(f'<pre><code class="language-{language}">{html}</code></pre>')

    def _filled(self, html: str) -> str:
        def one(match: re.Match[str]) -> str:
            return self._filled(self.done[int(match[1] or match[2])])

        return _DONES.sub(one, html) if _DONE in html else html

    # The text in the elements.

    def _read(self, element: _Element, built: Built) -> None:
        if all(map(_is_read, element.iter())) and not built.abbreviations:
            return
        root = _wrapped(element)
        processors = self.markdown.treeprocessors
        inline.find_only(self.markdown, self.patterns, element)
        processors["inline"].run(root)
        processors["unescape"].run(root)
        for one in root.iter("br"):
            one.tail = "\n" + (one.tail or "").lstrip("\n")
        if built.abbreviations:
            for one in element.iter():
                one.text = str(one.text) if isinstance(one.text, inline.Plain) else one.text
                one.tail = str(one.tail) if isinstance(one.tail, inline.Plain) else one.tail
            AbbrTreeprocessor(self.markdown, built.abbreviations).run(root)

    # From elements to HTML.

    def _pieces(self, elements: list[_Element]) -> Iterator[str]:
        """The elements' HTML; those between the tags of a user's own element are one piece."""
        held: list[str] = []
        opened: list[str] = []
        size = 0
        for element in elements:
            self._take_long_tables(element)
            is_ours = not opened and self._is_ours(element)
            if held and not opened and (is_ours or size > PIECE):
                yield self.sanitiser.html("\n".join(held))
                held, size = [], 0
            if is_ours:
                yield self._sanitised(element)
                continue
            html = self._written(element)
            held.append(html)
            size += len(html)
            opened = _open_after(opened, html)
        if held:
            yield self.sanitiser.html("\n".join(held))

    def _is_ours(self, element: _Element) -> bool:
        """Whether a user's HTML stands nowhere in it."""
        text = "".join(element.itertext()) + (element.tail or "")
        return STX not in text and _RAW not in text

    def _sanitised(self, element: _Element) -> str:
        return self.sanitiser.tree(_wrapped(element), _as_written)

    def _written(self, element: _Element) -> str:
        html: str = self.markdown.serializer(element)
        for processor in self.markdown.postprocessors:
            html = processor.run(html)
        return _RAWS.sub(lambda match: self.raw[int(match[1])], html)

    def _take_long_tables(self, element: _Element) -> None:
        """Put the HTML of long tables aside: to parse them would take long."""
        if not any(map(_is_long, element.iter("table"))):
            return
        for parent in [_wrapped(element), *element.iter()]:
            for table in parent:
                if table.tag == "table" and _is_long(table):
                    html = "".join(self._part(part) for part in table)
                    stand_in = self._hold(f"<table>\n{html}</table>")
                    table.clear()
                    table.tag, table.text = "p", stand_in

    def _part(self, part: _Element) -> str:
        rows = "".join(f"<tr>{''.join(self._cell(c) for c in row)}</tr>\n" for row in part)
        return f"<{part.tag}>\n{rows}</{part.tag}>\n"

    def _cell(self, cell: _Element) -> str:
        if self._is_ours(cell):
            return self._sanitised(cell)
        html = self._written(cell)
        inside = self.sanitiser.html(html[html.index(">") + 1 : html.rindex("<")])
        align = cell.get("align")
        name = f' align="{align}"' if align else ""
        return f"<{cell.tag}{name}>{inside}</{cell.tag}>"


def _is_read(element: _Element) -> bool:
    """Whether there is nothing of an element's own text to be read."""
    text, tail = element.text, element.tail
    return (not text or isinstance(text, AtomicString)) and (
        not tail or isinstance(tail, AtomicString)
    )


def _is_long(table: _Element) -> bool:
    return len(table) == 2 and len(table[1]) > ROWS


def _wrapped(element: _Element) -> _Element:
    root = etree.Element("root")
    root.append(element)
    return root


def _as_written(text: str) -> str:
    """A text of the library's tree as it stands in HTML; entities in it are such already."""
    if "&" in text:
        text = _AMP.sub("&amp;", text)
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _open_after(opened: list[str], html: str) -> list[str]:
    """The elements that are open behind a piece of HTML, when those were open before it."""
    opened = list(opened)
    for match in _TAG.finditer(_COMMENT.sub("", html)):
        name = match[2].lower()
        if name in _UNCOUNTED:
            continue
        if not match[1]:
            opened.append(name)
        elif name in opened:
            while opened.pop() != name:
                pass
    return opened


def _footnotes(built: Built) -> list[_Element]:
    """Number the footnotes that are referred to, in that order; the list of them, if any."""
    numbers: dict[str, int] = {}
    uses: dict[str, int] = {}
    queue = list(built.elements)
    for element in queue:
        for mark in element.iter("sup"):
            label = mark.attrib.pop("label", None)
            if label is None:
                continue
            if label not in numbers:
                numbers[label] = len(numbers) + 1
                queue.append(built.notes[label])  # which may refer to others
            uses[label] = uses.get(label, 0) + 1
            _number(mark, numbers[label], uses[label])
    if not numbers:
        return []
    box = etree.Element("div", {"class": "footnote"})
    etree.SubElement(box, "hr")
    notes = etree.SubElement(box, "ol")
    for label, number in numbers.items():
        note = built.notes[label]
        note.set("id", f"fn:{number}")
        last = note[-1] if len(note) and note[-1].tag == "p" else etree.SubElement(note, "p")
        for use in range(1, uses[label] + 1):
            back = {"href": f"#{_use(number, use)}", "class": "footnote-backref"}
            sign = etree.SubElement(last, "a", {**back, "title": "Back to the text"})
            sign.text = "↩"
        notes.append(note)
    return [box]


def _number(mark: _Element, number: int, use: int) -> None:
    mark.set("id", _use(number, use))
    link = etree.SubElement(mark, "a", {"class": "footnote-ref", "href": f"#fn:{number}"})
    link.text = str(number)


def _use(number: int, use: int) -> str:
    return f"fnref:{number}" if use == 1 else f"fnref:{number}-{use}"


def _mark_headings(elements: list[_Element]) -> None:
    """Give each heading an id as GitHub would, and a link to itself."""
    seen: dict[str, int] = {}
    for element in elements:
        if element.tag in ("p", "table", "pre"):  # there are no blocks in them
            continue
        for one in element.iter():
            if one.tag not in ("h1", "h2", "h3", "h4", "h5", "h6"):
                continue
            text = "".join(one.itertext()).strip().lower()
            slug = _NO_SLUG.sub("", text).replace(" ", "-") or "section"
            count = seen[slug] = seen.get(slug, -1) + 1
            one.set("id", f"{slug}-{count}" if count else slug)
            link = {"class": "anchor", "href": f"#{one.get('id')}", "title": "Link to this heading"}
            etree.SubElement(one, "a", link)
