"""Markdown's block structure as GitHub reads it: lines become a tree of blocks, in one pass.

The method is the one in the appendix of the CommonMark specification: every line is first matched
against the blocks that are open, then against what may begin a new one. Work per line is bounded,
so the time grows with the text alone.
"""

import re
from dataclasses import dataclass

from scripthut.core.markdown.blocks import Block, Kind, cells
from scripthut.core.markdown.html_blocks import html_block

DEPTH = 24  # containers nested deeper than this are text

_HEADING = re.compile(r"(#{1,6})(?:[ \t]+|$)")
_HEADING_END = re.compile(r"(?:^|[ \t]+)#+[ \t]*$")
_FENCE = re.compile(r"(?P<run>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$")
_SETEXT = re.compile(r"(=+|-+)[ \t]*$")
_RULE = re.compile(r"(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_ITEM = re.compile(r"(?:(?P<bullet>[-+*])|(?P<number>\d{1,9})(?P<end>[.)]))(?=\s|$)", re.ASCII)
_NOTE = re.compile(r"\[\^(?P<label>[^\]\s]{1,100})\]:[ \t]*")
_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_MARKS = re.compile(r"[ \t>*+\-0-9.)]*")


def read(text: str) -> Block:
    """The document that a text is."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    lines = text.split("\n")
    reader = _Reader(lines)
    for number in range(len(lines)):
        reader.line(number)
    return reader.document


@dataclass
class _Line:
    """A line while it is read: `at` is how much of it the containers have taken."""

    text: str
    at: int = 0

    @property
    def indent(self) -> int:
        return len(self.text) - self.at - len(self.text[self.at :].lstrip(" "))

    @property
    def rest(self) -> str:
        return self.text[self.at :].lstrip(" ")

    @property
    def is_blank(self) -> bool:
        return not self.text[self.at :].strip()

    def skip(self, columns: int) -> None:
        self.at = min(self.at + columns, len(self.text))


class _Reader:
    """The open blocks: containers in `stack`, and the leaf at its end that takes lines."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.document = Block(Kind.DOCUMENT, 0)
        self.stack = [self.document]
        self.leaf: Block | None = None
        self.number = 0
        self.matched = 0  # how many containers this line goes on in

    def line(self, number: int) -> None:
        """Take the next line."""
        self.number = number
        raw = self.lines[number]
        marks = _MARKS.match(raw)
        head = marks.end() if marks else 0
        # Tabs count as the spaces up to the next column of four where they are part of structure.
        line = _Line(raw[:head].expandtabs(4) + raw[head:] if "\t" in raw[:head] else raw)
        self._match(line)
        if self._is_whole and self.leaf is not None and self._goes_on(self.leaf, line, raw):
            self._touch()
            return
        known = self.stack[-1]
        if self._begins(line):
            self._touch()
        elif not line.is_blank:
            self._text(line)
            self._touch()
        elif self.stack[-1] is known or self.stack[-1].first < number:
            self._blank(line)
        else:  # nothing but the marks of new containers
            self._touch()

    @property
    def _is_whole(self) -> bool:
        return self.matched == len(self.stack)

    @property
    def _in_paragraph(self) -> bool:
        """Whether the line stands in an open paragraph's own container."""
        return self._is_whole and self.leaf is not None and self.leaf.kind is Kind.PARAGRAPH

    def _touch(self) -> None:
        for block in self.stack:
            block.last = self.number
        if self.leaf is not None:
            self.leaf.last = self.number

    # Phase 1: which of the open containers does the line belong to?

    def _match(self, line: _Line) -> None:
        self.matched = 1
        for block in self.stack[1:]:
            if not self._belongs(block, line):
                return
            self.matched += 1

    def _belongs(self, block: Block, line: _Line) -> bool:
        if block.kind is Kind.QUOTE:
            return self._quote_mark(line)
        if line.is_blank:
            return block.kind is Kind.NOTE or bool(block.children)
        if line.indent < block.number:
            return False
        line.skip(block.number)
        return True

    def _quote_mark(self, line: _Line) -> bool:
        if line.indent > 3 or not line.rest.startswith(">"):
            return False
        line.skip(line.indent + 1)
        if line.text[line.at : line.at + 1] == " ":
            line.skip(1)
        return True

    def _goes_on(self, leaf: Block, line: _Line, raw: str) -> bool:
        """Whether a leaf that takes lines as they are takes this one."""
        if leaf.kind is Kind.FENCE:
            close = rf" {{0,3}}{re.escape(leaf.mark[0])}{{{len(leaf.mark)},}}[ \t]*$"
            if re.match(close, line.text[line.at :]):
                leaf.last, self.leaf = self.number, None
            elif len(self.stack) == 1 and not leaf.number:
                leaf.lines.append(raw)
            else:
                line.skip(min(line.indent, leaf.number))
                leaf.lines.append(line.text[line.at :])
            return True
        if leaf.kind is Kind.MATH:
            text = line.text[line.at :].rstrip()
            leaf.lines.append(text.removesuffix("$$"))
            leaf.last = self.number
            self.leaf = None if text.endswith("$$") else leaf
            return True
        if leaf.kind is Kind.HTML and (leaf.end is not None or not line.is_blank):
            leaf.lines.append(line.text[line.at :])
            self._end_html(leaf)
            return True
        return False

    def _end_html(self, leaf: Block) -> None:
        if leaf.end is not None and leaf.end.search(leaf.lines[-1]):
            leaf.last, self.leaf = self.number, None

    # Phase 2: does it begin blocks of its own?

    def _begins(self, line: _Line) -> bool:
        """Open what begins on the line; whether nothing is left of it then."""
        while not line.is_blank:
            if line.indent > 3:
                if self.leaf is not None and self.leaf.kind is Kind.PARAGRAPH:
                    return False
                self._indented(line)
                return True
            rest = line.rest
            sign = rest[0]
            if sign not in _CONTAINERS or not self._container(line, rest):
                return any(start(self, line, rest) for start in _LEAVES.get(sign, ()))
        return False

    def _container(self, line: _Line, rest: str) -> bool:
        if len(self.stack) > DEPTH:
            return False
        if rest.startswith(">"):
            self._open(Kind.QUOTE)
            return self._quote_mark(line)
        if note := _NOTE.match(rest):
            self._open(Kind.NOTE, number=4, info=note["label"])
            line.skip(line.indent + note.end())
            return True
        item = _ITEM.match(rest)
        if item is None or _RULE.match(rest) or (self._in_paragraph and _SETEXT.match(rest)):
            return False
        return self._item(line, item)

    def _item(self, line: _Line, item: re.Match[str]) -> bool:
        after = line.rest[item.end() :]
        if self._in_paragraph and (not after.strip() or item["number"] not in (None, "1")):
            return False  # not enough of a list to interrupt a paragraph
        gap = len(after) - len(after.lstrip(" "))
        gap = gap if 1 <= gap <= 4 and after.strip() else 1
        needs = line.indent + item.end() + gap
        mark = item["bullet"] or item["end"]
        parent = self._close()
        last = parent.children[-1] if parent.children else None
        if last is None or last.kind is not Kind.LIST or last.mark != mark:
            first = -1 if item["bullet"] else int(item["number"])
            parent.children.append(Block(Kind.LIST, self.number, number=first, mark=mark))
        block = Block(Kind.ITEM, self.number, number=needs)
        parent.children[-1].children.append(block)
        self.stack.append(block)
        self.matched = len(self.stack)
        line.skip(needs)
        return True

    def _close(self) -> Block:
        """Close what the line does not belong to; the container that it does belong to."""
        del self.stack[self.matched :]
        self.leaf = None
        return self.stack[-1]

    def _open(self, kind: Kind, number: int = 0, info: str = "") -> Block:
        block = Block(kind, self.number, number=number, info=info)
        self._close().children.append(block)
        self.stack.append(block)
        self.matched = len(self.stack)
        return block

    def _leaf(self, kind: Kind, lines: list[str], number: int = 0) -> Block:
        block = Block(kind, self.number, self.number, lines, number=number)
        self._close().children.append(block)
        return block

    def _heading(self, _line: _Line, rest: str) -> bool:
        heading = _HEADING.match(rest)
        if heading is None:
            return False
        text = _HEADING_END.sub("", rest[heading.end() :].rstrip())
        self._leaf(Kind.HEADING, [text.strip()], len(heading[1]))
        return True

    def _fence(self, line: _Line, rest: str) -> bool:
        fence = _FENCE.match(rest)
        if fence is None:
            return False
        block = self._leaf(Kind.FENCE, [], line.indent)
        block.mark, block.info = fence["run"], fence["info"].strip()
        self.leaf = block
        return True

    def _math(self, _line: _Line, rest: str) -> bool:
        text = rest.rstrip()
        if not text.startswith("$$") or "$$" in text[2:-2] or text.count("$") > 4:
            return False
        if len(text) > 4 and text.endswith("$$"):
            self._leaf(Kind.MATH, [text[2:-2]])
            return True
        if (text.endswith("$$") and len(text) > 2) or not self._is_closed():
            return False
        self.leaf = self._leaf(Kind.MATH, [text[2:]])
        return True

    def _is_closed(self) -> bool:
        """Whether a line that ends in $$ follows, before a blank one."""
        for line in self.lines[self.number + 1 : self.number + 200]:
            if line.rstrip().endswith("$$"):
                return True
            if not line.strip(" \t>"):
                return False
        return False

    def _html(self, line: _Line, rest: str) -> bool:
        if not rest.startswith("<"):
            return False
        beginning = html_block(rest, can_stand_alone=not self._in_paragraph)
        if beginning is None:
            return False
        block = self._leaf(Kind.HTML, [line.text[line.at :]])
        block.end = beginning.end
        self.leaf = block
        self._end_html(block)
        return True

    def _setext(self, _line: _Line, rest: str) -> bool:
        underline = _SETEXT.match(rest)
        leaf = self.leaf
        if underline is None or leaf is None or not self._in_paragraph:
            return False
        leaf.kind, leaf.number = Kind.HEADING, 1 if rest[0] == "=" else 2
        leaf.last, self.leaf = self.number, None
        return True

    def _rule(self, _line: _Line, rest: str) -> bool:
        if not _RULE.match(rest):
            return False
        self._leaf(Kind.RULE, [])
        return True

    def _table(self, _line: _Line, rest: str) -> bool:
        leaf = self.leaf
        if leaf is None or not self._in_paragraph or "-" not in rest:
            return False
        header = leaf.lines[-1]
        if "|" not in header or not _DELIMITERS.match(rest):
            return False
        if len(cells(header)) != len(cells(rest)):
            return False
        leaf.lines.pop()
        parent = self._close()
        if leaf.lines:
            leaf.last = self.number - 2
        else:
            parent.children.pop()
        self.leaf = self._leaf(Kind.TABLE, [header, rest])
        self.leaf.first -= 1
        return True

    def _indented(self, line: _Line) -> None:
        if self._is_whole and self.leaf is not None and self.leaf.kind is Kind.CODE:
            self.leaf.lines.append(line.text[line.at + 4 :])
        else:
            self.leaf = self._leaf(Kind.CODE, [line.text[line.at + 4 :]])

    # Phase 3: what is left is text.

    def _blank(self, line: _Line) -> None:
        if self._is_whole and self.leaf is not None and self.leaf.kind is Kind.CODE:
            self.leaf.lines.append(line.text[line.at + 4 :])
        else:
            self._close()
        quotes = [n for n, block in enumerate(self.stack) if block.kind is Kind.QUOTE]
        for block in self.stack[: quotes[-1] + 1] if quotes else ():
            block.last = self.number  # its mark stands on the line

    def _text(self, line: _Line) -> None:
        leaf = self.leaf
        if leaf is not None and leaf.kind is Kind.PARAGRAPH:
            leaf.lines.append(line.rest)  # also when its containers are not all there: it goes on
            return
        if leaf is not None and leaf.kind is Kind.TABLE and self._is_whole:
            leaf.lines.append(line.rest)
            return
        self.leaf = self._leaf(Kind.PARAGRAPH, [line.rest])


# By the character that a line begins with: most begin with none of these.
_CONTAINERS = frozenset(">[-+*0123456789")
_LEAVES = {
    "#": (_Reader._heading,),
    "`": (_Reader._fence,),
    "~": (_Reader._fence,),
    "$": (_Reader._math,),
    "<": (_Reader._html,),
    "=": (_Reader._setext,),
    "-": (_Reader._setext, _Reader._rule, _Reader._table),
    "*": (_Reader._rule,),
    "_": (_Reader._rule,),
    "|": (_Reader._table,),
    ":": (_Reader._table,),
    "\t": (_Reader._table,),
}
