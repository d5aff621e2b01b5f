"""Block structure as GitHub reads it, rewritten for a Markdown library that reads it otherwise.

The library wants nested blocks indented by four, blank lines round lists and tables, and fences
only at the margin. Here lists nest by the column of their text, fences stand anywhere, lists and
tables may follow a paragraph at once, and HTML blocks end at a blank line, so that what follows
them is Markdown again. What must not be touched (code, HTML) is handed to `keep`, which answers
with a mark to stand for it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

Keep = Callable[[str], str]

DEPTH = 12  # deeper nesting than this is left as it is
INDENT = "    "
_FENCE = re.compile(r"(?P<run>`{3,}|~{3,})[ \t]*(?P<info>[^`]*|(?<=~)[^\n]*)$")
_ITEM = re.compile(r"(?P<mark>[-+*]|(?P<number>\d{1,9})[.)])(?:(?P<gap> +)(?P<text>.*)|$)")
_RULE = re.compile(r"(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$")
_DELIMITER = re.compile(r"\|? *:?-+:? *(?:\| *:?-+:? *)*\|?$")
_HEADING = re.compile(r"#{1,6}(?:[ \t]|$)")
_RAW = re.compile(r"<(script|pre|style|textarea)(?=[\s>]|$)", re.IGNORECASE)
_COMMENT = re.compile(r"<!--")
_BLOCK = re.compile(
    r"</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|"
    r"details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|"
    r"head|header|hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|"
    r"option|p|param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul)"
    r"(?=[\s/>]|$)",
    re.IGNORECASE,
)
_ALONE = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>\s*$")
_WORD = re.compile(r"[A-Za-z0-9_+#-]{1,32}")


def layout(lines: list[str], keep: Keep, depth: int = 0) -> list[str]:
    """The lines, laid out anew. Time grows with the text, not with its nesting."""
    page = _Page(lines, keep, depth)
    while page.at < len(lines):
        page.step()
    return page.out


@dataclass
class _Page:
    """One pass over the lines; `columns` holds where the text of each open list item begins."""

    lines: list[str]
    keep: Keep
    depth: int
    out: list[str] = field(default_factory=list)
    at: int = 0
    columns: list[int] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)  # the kind of list of each open item
    in_text: bool = False  # the line before was a paragraph's

    @property
    def pad(self) -> str:
        return INDENT * len(self.columns)

    def step(self) -> None:
        """Take one block's first line, and all of it where it must stay together."""
        line = self.lines[self.at]
        text = line.lstrip(" ")
        if not text.strip():
            self._blank()
            return
        column = len(line) - len(text)
        left = self._leave_items(column, text)
        inner = column - (self.columns[-1] if self.columns else 0)
        if inner >= 4:
            self._deep(line, text)
        elif not self._block(column, text, left):
            self._paragraph(text)

    def _blank(self) -> None:
        self.out.append("")
        self.at += 1
        self.in_text = False

    def _leave_items(self, column: int, text: str) -> str | None:
        """Close the items that end here; the mark of the outermost one closed, None: none was."""
        if not self.columns or column >= self.columns[-1]:
            return None
        if self.in_text and not self._starts_block(text):
            return None  # a paragraph goes on, however far left
        left = None
        while self.columns and column < self.columns[-1]:
            self.columns.pop()
            left = self.marks.pop()
        return left

    def _starts_block(self, text: str) -> bool:
        return bool(
            _ITEM.match(text)
            or _FENCE.match(text)
            or _RULE.match(text)
            or _HEADING.match(text)
            or _BLOCK.match(text)
            or _RAW.match(text)
            or text.startswith((">", "<!--"))
        )

    def _deep(self, line: str, text: str) -> None:
        if self.in_text:
            self.out.append(text)
        else:
            self.out.append(self.pad + line[self.columns[-1] if self.columns else 0 :])
        self.at += 1

    def _block(self, column: int, text: str, left: str | None) -> bool:
        if fence := _FENCE.match(text):
            self._apart(self._fence(column, fence))
            return True
        if self._is_html(text):
            self._apart(self._html(text))
            return True
        if _RULE.match(text):
            return self._rule(text, left)
        if _HEADING.match(text):
            self._apart([text])
            self.at += 1
            return True
        if text.startswith(">") and self.depth < DEPTH:
            self._apart(self._quote(), after=False)
            return True
        item = _ITEM.match(text)
        if item and len(self.columns) < DEPTH and self._may_begin(item, left):
            self._item(column, item, left)
            return True
        if self._is_table(text):
            self._apart(self._table())
            return True
        return False

    def _apart(self, block: list[str], after: bool = True) -> None:
        """Put a block between blank lines."""
        if self.out and self.out[-1]:
            self.out.append("")
        self.out += [self.pad + line for line in block]
        if after:
            self.out.append("")
        self.in_text = False

    def _paragraph(self, text: str) -> None:
        self.out.append(text if self.in_text else self.pad + text)
        self.at += 1
        self.in_text = True

    def _rule(self, text: str, left: str | None) -> bool:
        if self.in_text and left is None and set(text) <= {"-", " "} and "- " not in text:
            return False  # the line that makes a heading of the paragraph above
        self._apart([text])
        self.at += 1
        return True

    def _fence(self, column: int, fence: re.Match[str]) -> list[str]:
        run = fence["run"]
        close = re.compile(rf" {{0,3}}{re.escape(run[0])}{{{len(run)},}}[ \t]*$")
        base = self.columns[-1] if self.columns else 0
        code = []
        self.at += 1
        while self.at < len(self.lines):
            line = self.lines[self.at]
            here = len(line) - len(line.lstrip(" "))
            if line.strip() and here < base:
                break
            self.at += 1
            if close.match(line[base:]):
                break
            code.append(line[min(here, column) :])
        word = _WORD.match(fence["info"].strip())
        name = f' class="language-{word[0].lower()}"' if word else ""
        body = "".join(f"{line}\n" for line in code)
        return [self.keep(f"<pre><code{name}>{escape(body, quote=False)}</code></pre>")]

    def _is_html(self, text: str) -> bool:
        if not text.startswith("<"):
            return False
        if _BLOCK.match(text) or _RAW.match(text) or _COMMENT.match(text):
            return True
        return not self.in_text and bool(_ALONE.match(text))

    def _html(self, text: str) -> list[str]:
        raw = _RAW.match(text)
        end = f"</{raw[1].lower()}" if raw else "-->" if _COMMENT.match(text) else None
        block = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if end is None and not line.strip():
                break
            block.append(line)
            self.at += 1
            if end is not None and end in line.lower():
                break
        return [self.keep("\n".join(block).strip())]

    def _quote(self) -> list[str]:
        inner = []
        while self.at < len(self.lines):
            line = self.lines[self.at].lstrip(" ")
            if not line.startswith(">"):
                break
            inner.append(line[2:] if line.startswith("> ") else line[1:])
            self.at += 1
        return [f"> {line}".rstrip() for line in layout(inner, self.keep, self.depth + 1)]

    def _may_begin(self, item: re.Match[str], left: str | None) -> bool:
        """Only a list that begins with 1, and with something in it, may interrupt a paragraph."""
        if not self.in_text or left is not None:
            return True
        return bool(item["text"]) and item["number"] in (None, "1")

    def _item(self, column: int, item: re.Match[str], left: str | None) -> None:
        kind = item["mark"][-1]
        if left is None and self.in_text and not self.columns:
            self.out.append("")  # the paragraph before ends here
        if left not in (None, kind):
            self.out += ["", "<!-- -->", ""]  # another list, not more of the same
        mark = f"{item['number']}." if item["number"] else "-"
        gap, text = item["gap"] or " ", item["text"] or ""
        width = len(item["mark"]) + (len(gap) if len(gap) <= 4 else 1)
        pad = self.pad
        self.columns.append(column + width)
        self.marks.append(kind)
        if fence := _FENCE.match(text):
            text = self._fence(column + width, fence)[0]
        else:
            self.at += 1
        self.out.append(f"{pad}{mark} {text}")
        self.in_text = bool(text.strip())

    def _is_table(self, text: str) -> bool:
        if "|" not in text or self.at + 1 >= len(self.lines):
            return False
        line = self.lines[self.at + 1].strip()
        return "-" in line and bool(_DELIMITER.match(line))

    def _table(self) -> list[str]:
        rows: list[str] = []
        while self.at < len(self.lines):
            text = self.lines[self.at].strip()
            if not text or (len(rows) > 1 and "|" not in text):
                break
            rows.append(text)
            self.at += 1
        return rows
