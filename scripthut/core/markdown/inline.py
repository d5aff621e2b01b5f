"""What stands inside of a line, as GitHub reads it: additions to the Markdown library's own."""

import re
import xml.etree.ElementTree as etree
from collections.abc import Callable

from markdown import Markdown
from markdown.inlinepatterns import HtmlInlineProcessor, InlineProcessor, Pattern
from markdown.treeprocessors import InlineProcessor as Reader
from markdown.util import AtomicString, code_escape

Element = etree.Element
Match = re.Match[str]
Found = tuple[Element | None, int | None, int | None]
Hold = Callable[[str, bool], str]
"""(formula, whether it stands on lines of its own) -> the text that stands for it."""

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_MARK = re.compile(r"[\\`*_\[\]<&~$@]")
_ADDRESS = re.compile(r"://|www\.|mailto:|xmpp:")

_OUTSIDE = "?!.,:*_~'\""  # belongs to the sentence when it stands at the end of an address
_ENTITY_END = re.compile(r"&[A-Za-z0-9]+;$")
_DOMAIN = r"[\w-]+(?:\.[\w-]+)*"
_URL = rf"(?<![A-Za-z0-9_/])(?:https?|ftp)://{_DOMAIN}[^\s<\x02]*"
_WWW = rf"""(?<![^\s*_~("'\[\x03])www\.{_DOMAIN}[^\s<\x02]*"""
_EMAIL = r"(?<![\w.+@/-])(?:mailto:|xmpp:)?[\w.+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+"
# Between `<` and `>`: addresses, and what HTML has there; all else is text. An escape stands as its
# number between two signs by now, and none counts in an address.
_AUTOLINK = r"<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>\x00-\x01\x04-\x1f]*)>"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_AUTOMAIL = rf"<([A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*)>"
_ATTRIBUTE = r"""\s++[A-Za-z_:][\w.:-]*+(?:\s*+=\s*+(?:[^\s"'=<>`]++|'[^']*+'|"[^"]*+"))?"""
_HTML = (
    rf"(<[A-Za-z][A-Za-z0-9-]*+(?:{_ATTRIBUTE})*+\s*+/?>|</[A-Za-z][A-Za-z0-9-]*+\s*+>"
    r"|<!--(?!-?>)(?:(?!--).)*+-->|<\?(?:(?!\?>).)*+\?>|<![A-Z]++\s++[^>]*+>"
    r"|<!\[CDATA\[(?:(?!\]\]>).)*+\]\]>)"
)
_ESCAPED = re.compile("\x02([0-9]+)\x03")
_CODE = r"(?<![\\`])(?P<run>`+)(?!`)(?P<code>.+?)(?<!`)(?P=run)(?!`)"
_FORMULA = (
    r"(?<![\\$\w])(?:"
    r"\$\$(?P<block>[^$]+?)\$\$(?!\$)"
    r"|\$(?=[^\s$])(?P<inline>(?:[^$\\]|\\.)*?(?:[^\s$\\]|\\.))\$(?![\w$])"
    r")"
)


class Plain(AtomicString):
    """Text that need not be read again, because nothing in it is Markdown."""


def is_plain(text: str) -> bool:
    """Whether a text, line breaks aside, says the same in Markdown and without it."""
    if _MARK.search(text):
        return False
    return (":" not in text and "www." not in text) or not _ADDRESS.search(text)


def set_text(element: Element, lines: list[str]) -> Element:
    """Put lines into an element: broken as they are, and to be read on only if need be."""
    if len(lines) == 1:
        element.text = Plain(lines[0]) if is_plain(lines[0]) else lines[0]
        return element
    if not all(map(is_plain, lines)):
        element.text = "\n".join(lines)
        return element
    element.text = Plain(lines[0])
    for line in lines[1:]:
        etree.SubElement(element, "br").tail = Plain("\n" + line)
    return element


_SIGNS = {
    **{"ticked_formula": "$`", "backtick": "`", "formula": "$", "escape": "\\", "note": "[^"},
    **dict.fromkeys(("reference", "link", "short_reference"), "["),
    **dict.fromkeys(("image_link", "image_reference", "short_image_ref"), "!["),
    **{"autolink": "<", "automail": "<", "html": "<", "url": "://", "www": "www.", "email": "@"},
    **{"entity": "&", "strike": "~", "break": "\n"},
}
"""What a text must hold for a pattern to be found in it; most hold few of them."""

Patterns = list[tuple[str, Pattern]]


def patterns(md: Markdown) -> Patterns:
    """All patterns in their order, each with what a text must hold for it."""
    return [(_SIGNS.get(name, ""), md.inlinePatterns[name]) for name in _names(md)]


def _names(md: Markdown) -> list[str]:
    by_pattern = {id(md.inlinePatterns[name]): name for name in [*_SIGNS, "em_strong"]}
    return [by_pattern[id(pattern)] for pattern in md.inlinePatterns]


def find_only(md: Markdown, known: Patterns, element: Element) -> None:
    """Let the library look only for those patterns that can be in an element."""
    text = "".join(element.itertext())
    reader = md.treeprocessors["inline"]
    if not isinstance(reader, Reader):
        raise TypeError(reader)
    here = [pattern for sign, pattern in known if sign in text]
    reader.inlinePatterns = here  # type: ignore[assignment]


def extend(md: Markdown, notes: dict[str, Element], hold: Hold) -> None:
    """Teach the library GitHub's dialect; `notes` are the footnotes that there are, by label."""
    md.ESCAPED_CHARS[:] = PUNCTUATION
    for pattern, name, priority in (
        (_Formula(r"(?<![\\$\w`])\$`(?P<inline>[^`\n]+)`\$", md, hold), "ticked_formula", 195),
        (_Code(_CODE, md), "backtick", 190),
        (_Formula(_FORMULA, md, hold), "formula", 185),
        (_Break(r"(?: *\\)?\n", md), "break", 5),
        (_Note(r"\[\^([^\]\s]{1,100})\]", md, notes), "note", 175),
        (_Angle(_AUTOLINK, md), "autolink", 120),
        (_AngleMail(_AUTOMAIL, md), "automail", 110),
        (HtmlInlineProcessor(_HTML, md), "html", 90),
        (_Url(_URL, md), "url", 88),
        (_Www(_WWW, md), "www", 87),
        (_Email(_EMAIL, md), "email", 86),
        (_Strike(r"(?<!~)(~{1,2})(?![~\s])(.+?)(?<![~\s])\1(?!~)", md), "strike", 65),
    ):
        md.inlinePatterns.register(pattern, name, priority)
    md.inlinePatterns.deregister("linebreak")


class _Formula(InlineProcessor):
    ANCESTOR_EXCLUDES = ("code",)

    def __init__(self, pattern: str, md: Markdown, hold: Hold) -> None:
        super().__init__(pattern, md)
        self.hold = hold

    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        """Answer with what stands for the formula until the page is put together."""
        groups = m.groupdict()
        source = groups.get("block") or groups["inline"]
        element = etree.Element("span")
        element.text = AtomicString(self.hold(source, groups.get("block") is not None))
        return element, m.start(), m.end()


class _Code(InlineProcessor):
    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        code = m["code"].replace("\n", " ")
        if code.strip(" ") and code[0] == code[-1] == " ":
            code = code[1:-1]
        element = etree.Element("code")
        element.text = AtomicString(code_escape(code))
        return element, m.start(), m.end()


class _Break(InlineProcessor):
    """Every line break is shown, as in GitHub's comments."""

    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        return etree.Element("br"), m.start(), m.end()


class _Note(InlineProcessor):
    """The mark of a footnote; its number is not known before the whole document is."""

    def __init__(self, pattern: str, md: Markdown, notes: dict[str, Element]) -> None:
        super().__init__(pattern, md)
        self.notes = notes

    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        label = m[1].lower()
        if label not in self.notes:
            return None, None, None
        element = etree.Element("sup", {"label": label})
        element.text = AtomicString("")
        return element, m.start(), m.end()


class _Strike(InlineProcessor):
    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        element = etree.Element("del")
        element.text = m[2]
        return element, m.start(), m.end()


class _Link(InlineProcessor):
    """An address that stands in the text as it is."""

    ANCESTOR_EXCLUDES = ("a",)

    def link(self, text: str, href: str, start: int) -> Found:
        element = etree.Element("a", {"href": href})
        element.text = AtomicString(text)
        return element, start, start + len(text)


class _Angle(_Link):
    before = ""

    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        text = _ESCAPED.sub(lambda escape: "\\" + chr(int(escape[1])), m[1])
        element, _, _ = self.link(text, self.before + text, 0)
        return element, m.start(), m.end()


class _AngleMail(_Angle):
    before = "mailto:"


class _Url(_Link):
    before = ""

    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        text = _trimmed(m[0])
        domain = re.split("[/?#:]", text.partition("://")[2] or text, maxsplit=1)[0]
        if "_" in ".".join(domain.split(".")[-2:]) or not domain.strip("."):
            return None, None, None
        return self.link(text, self.before + text, m.start())


class _Www(_Url):
    before = "http://"


class _Email(_Link):
    def handleMatch(self, m: Match, _data: str) -> Found:  # type: ignore[override]
        if m[0][-1] in "-_" or m[0].startswith("xmpp:"):
            return None, None, None
        return self.link(m[0], f"mailto:{m[0].removeprefix('mailto:')}", m.start())


def _trimmed(text: str) -> str:
    """An address without the punctuation that belongs to the sentence around it."""
    while text:
        entity = _ENTITY_END.search(text)
        if text[-1] in _OUTSIDE or (text[-1] == ")" and text.count(")") > text.count("(")):
            text = text[:-1]
        elif entity:
            text = text[: entity.start()]
        else:
            break
    return text
