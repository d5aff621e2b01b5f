"""Rendering in a child process with limits: text written by others may be made to take forever."""

import logging
from html import escape

from scripthut.core.files import notebook
from scripthut.core.files.previews import RENDERED, Kind
from scripthut.core.jobs import Area
from scripthut.core.markdown.policy import key, without_signs
from scripthut.core.units import size
from scripthut.engine.children.workshop import WORKSHOP, Workshop
from scripthut.store import outputs
from scripthut.store.files.kept import Kept

TEXT = 1024 * 1024  # bytes of a document that are shown

TRUNCATED = "Only the first {shown} of this document’s {size} are shown."
TOO_HARD = "This document could not be rendered within the server’s limits: this is its text."

log = logging.getLogger(__name__)


class Renderer:
    """Renders one document at a time, in a workshop. For any thread."""

    def __init__(self, workshop: Workshop) -> None:
        """Starts nothing yet."""
        self._workshop = workshop

    def render(self, data: bytes, folder: str = "") -> str:
        """A Markdown document’s HTML; its text, escaped, when it cannot be had in time.

        It begins with a sentence when it is not the whole document, or not rendered.
        """
        shown = data[:TEXT].decode("utf-8", "ignore" if len(data) > TEXT else "replace")
        notices = []
        if len(data) > TEXT:
            notices.append(TRUNCATED.format(shown=size(TEXT), size=size(len(data))))
        text = shown.encode("utf-8", "surrogateescape")
        answer = self._workshop.do("render", folder, text)
        if answer is None:
            notices.append(TOO_HARD)
            html = f"<pre>{escape(without_signs(shown))}</pre>"
        else:
            html = answer.decode("utf-8")
        return "".join(f"<p><em>{notice}</em></p>\n" for notice in notices) + html


RENDERER = Renderer(WORKSHOP)


def rendered(
    kept: Kept, area: Area, path: bytes, sha: str, data: bytes | None = None
) -> str | None:
    """Where a document's HTML is kept, made now if it is not; None for what has no Markdown."""
    kind = outputs.kind_of(area, path)
    if kind not in RENDERED:
        return None
    folder = outputs.folder_of(area, path)
    name = key(sha, folder)
    if not kept.has(name):
        try:
            data = kept.read(sha) if data is None else data
            text = notebook.to_render(data) if kind is Kind.NOTEBOOK else data
            html = RENDERER.render(text, folder)
        except OSError as error:  # no process to be had; engine/outputs/refresh.py comes back to it
            log.warning("not rendered document=%s: %s", sha, error)
            return None
        kept.put_as(name, html.encode("utf-8", "replace"))
    return name
