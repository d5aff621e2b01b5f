"""Where a block of HTML begins in Markdown, and where it ends."""

import re
from dataclasses import dataclass

_NAMES = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|"
    "dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|"
    "hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|"
    "search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul"
)
_ATTRIBUTE = r"""\s+[a-zA-Z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?"""
# How a block of HTML begins, and what ends it; None: a blank line.
_HTML = (
    (re.compile(r"<(?:script|pre|style|textarea)(?=[\s>]|$)", re.I),
     re.compile(r"</(?:script|pre|style|textarea)>", re.I)),
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<\?"), re.compile(r"\?>")),
    (re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>")),
    (re.compile(r"<![A-Z]"), re.compile(r">")),
    (re.compile(rf"</?(?:{_NAMES})(?=[\s>]|/>|$)", re.I), None),
)  # fmt: skip
_ALONE = re.compile(
    rf"(?:<[a-zA-Z][a-zA-Z0-9-]*(?:{_ATTRIBUTE})*\s*/?>|</[a-zA-Z][a-zA-Z0-9-]*\s*>)\s*$"
)


@dataclass(frozen=True)
class Beginning:
    """The beginning of a block of HTML; it goes on up to a line with `end`, None: a blank one."""

    end: re.Pattern[str] | None


def html_block(line: str, can_stand_alone: bool) -> Beginning | None:
    """Whether a block of HTML begins with the line; None: none does.

    `can_stand_alone`: a tag that is no block's counts too, when nothing else is on its line.

    >>> html_block("<details>", False), html_block("<b>", False), html_block("a <b>", True)
    (Beginning(end=None), None, None)
    """
    for begin, end in _HTML:
        if begin.match(line):
            return Beginning(end)
    return Beginning(None) if can_stand_alone and _ALONE.match(line) else None
