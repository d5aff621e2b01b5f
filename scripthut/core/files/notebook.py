"""A Jupyter notebook -> its cells, and what of them is to be rendered as Markdown."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from scripthut.core.files import folding
from scripthut.core.files.folding import NotJson, Value

CELLS = 500  # that are shown
OUTPUTS = 50  # of one cell
TEXT = 64 * 1024  # characters of a cell's source, or of one output
SEPARATOR = "\ue00f"
"""Stands between the parts that are rendered together; no part can hold it."""

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_ACTS = re.compile(r"<(?:script|iframe|object|embed)\b|javascript:", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


class Way(StrEnum):
    """How an output is shown."""

    TEXT = "text"
    ERROR = "error"
    IMAGE = "image"
    HTML = "html"  # in a frame of its own origin
    PART = "part"  # rendered


@dataclass(frozen=True)
class Out:
    """What a cell put out: text, or what stands for it; `part` is the number of a rendered part."""

    way: Way
    text: str = ""
    mime: str = ""
    part: int | None = None


@dataclass(frozen=True)
class Cell:
    """A cell: its source, the number of its execution, and what it put out."""

    kind: str
    source: str
    count: str = ""
    part: int | None = None
    outs: Sequence[Out] = ()


@dataclass
class Notebook:
    """The cells, the suffix of the language, and the parts that are Markdown."""

    suffix: str
    cells: list[Cell] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    more: int = 0  # cells that are not shown


def parse(data: bytes) -> Notebook:
    """A notebook's cells. NotJson, with the reason, when it is none."""
    top = _mapping(folding.parse(data))
    cells = top.get("cells")
    if not isinstance(cells, list):
        raise NotJson("has no cells: only notebooks of format 4 are shown")
    language = _mapping(_mapping(top.get("metadata")).get("language_info"))
    suffix = _text(language.get("file_extension"))
    found = Notebook(
        suffix if _SUFFIX.fullmatch(suffix) else ".py", more=max(0, len(cells) - CELLS)
    )
    for cell in cells[:CELLS]:
        found.cells.append(_cell(_mapping(cell), found.parts))
    return found


def to_render(data: bytes) -> bytes:
    """The Markdown parts of a notebook, to be rendered together; of no notebook, nothing."""
    try:
        return SEPARATOR.join(parse(data).parts).encode("utf-8", "replace")
    except NotJson:
        return b""


def image(data: bytes, cell: int, out: int) -> tuple[str, bytes]:
    """The type and the bytes of an image that a cell put out. LookupError when there is none."""
    found = _out(data, cell, out)
    if found.way is not Way.IMAGE:
        raise LookupError(out)
    try:
        return found.mime, b64decode("".join(found.text.split()), validate=True)
    except NotBase64:
        raise LookupError(out) from None


def page(data: bytes, cell: int, out: int) -> str:
    """The HTML that a cell put out, whole. LookupError when there is none."""
    found = _out(data, cell, out)
    if found.way is not Way.HTML:
        raise LookupError(out)
    return found.text


def _out(data: bytes, cell: int, out: int) -> Out:
    try:
        return parse(data).cells[cell].outs[out]
    except NotJson:
        raise LookupError(cell) from None


def _cell(cell: Mapping[str, Value], parts: list[str]) -> Cell:
    source = _text(cell.get("source"))[:TEXT]
    kind = _text(cell.get("cell_type"))
    if kind == "markdown":
        return Cell(kind, source, part=_part(source, parts))
    outputs = cell.get("outputs")
    outs = outputs[:OUTPUTS] if isinstance(outputs, list) else []
    count = _text(cell.get("execution_count"))
    return Cell(kind, source, count, outs=[_shown(_mapping(out), parts) for out in outs])


def _shown(out: Mapping[str, Value], parts: list[str]) -> Out:
    """An output in the richest of its forms that can be shown."""
    if out.get("output_type") == "error":
        trace = out.get("traceback")
        text = "\n".join(map(_text, trace)) if isinstance(trace, list) else ""
        return Out(
            Way.ERROR, (text or f"{_text(out.get('ename'))}: {_text(out.get('evalue'))}")[:TEXT]
        )
    data = _mapping(out.get("data"))
    html = _text(data.get("text/html"))
    table = _table(html)
    if table and not _ACTS.search(html):
        return Out(Way.PART, part=_part(table, parts))
    if html:
        return Out(Way.HTML, html)
    for mime in IMAGES:
        if mime in data:
            return Out(Way.IMAGE, _text(data[mime]), mime)
    if "text/markdown" in data:
        return Out(Way.PART, part=_part(_text(data["text/markdown"])[:TEXT], parts))
    return Out(Way.TEXT, (_text(out.get("text")) or _text(data.get("text/plain")))[:TEXT])


def _table(html: str) -> str:
    """From the first table to the last one's end, as one block of HTML; "" when there is none."""
    folded = html.lower()
    start, end = folded.find("<table"), folded.rfind("</table>")
    if not 0 <= start < end or len(folded) != len(html):
        return ""
    return "\n".join(line for line in html[start : end + 8].splitlines() if line.strip())


def _part(text: str, parts: list[str]) -> int:
    parts.append(text.replace(SEPARATOR, ""))
    return len(parts) - 1


def _mapping(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Value) -> str:
    """A text, which notebooks also write as a list of its lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""
