"""What a Markdown document is made of: blocks, in blocks."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise


class Kind(StrEnum):
    """What a block is."""

    DOCUMENT = "document"
    QUOTE = "quote"
    LIST = "list"
    ITEM = "item"
    NOTE = "note"  # what a footnote says; `info` is its label
    PARAGRAPH = "paragraph"
    HEADING = "heading"  # `number` is its level
    FENCE = "fence"  # `info` is what stands behind the opening fence
    CODE = "code"  # by its indentation
    MATH = "math"  # between lines of $$
    HTML = "html"
    TABLE = "table"  # `lines` begin with the header and the delimiters
    RULE = "rule"


@dataclass
class Block:
    """A block, on the lines `first` to `last`; containers have children, the others lines."""

    kind: Kind
    first: int
    last: int = 0
    lines: list[str] = field(default_factory=list)
    children: list["Block"] = field(default_factory=list)
    number: int = 0  # also: a list's first number, the column that an item's content needs
    mark: str = ""  # a list's kind of mark; a fence's opening run
    info: str = ""
    end: re.Pattern[str] | None = None  # what ends a block of HTML; None: a blank line

    @property
    def until(self) -> int:
        """The last line that holds something of the block."""
        return self.children[-1].until if self.kind is Kind.LIST else max(self.last, self.first)

    @property
    def is_loose(self) -> bool:
        """Whether blank lines stand between a list's items, or inside of one between blocks."""
        return _has_gap(self.children) or any(_has_gap(item.children) for item in self.children)


def cells(row: str) -> list[str]:
    r"""What stands in the cells of a table's row.

    >>> cells(r"| a | `b \| c` |")
    ['a', '`b | c`']
    """
    row = row.strip().removeprefix("|")
    parts = row.split("|") if "\\" not in row else re.split(r"(?<!\\)\|", row)
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    return [part.strip().replace("\\|", "|") for part in parts]


def _has_gap(blocks: list[Block]) -> bool:
    return any(b.first - a.until > 1 for a, b in pairwise(blocks))
