"""What a message says of a run: its state, its first failures, its summary's beginning, a plot."""

from datetime import datetime

from scripthut.core import happenings
from scripthut.core.files.previews import served
from scripthut.core.happenings import Message, Picture
from scripthut.core.markdown.report import Place, alone
from scripthut.store import messages, outputs, runs
from scripthut.store.db import Session
from scripthut.store.files.kept import Kept
from scripthut.store.messages import Due
from scripthut.store.models import Output
from scripthut.store.outputs import Section

SECTIONS = 20  # of a Run Summary that a message begins with
TEXT = 64 * 1024  # bytes read of each
HTML = 256 * 1024  # characters of all of them, rendered
IMAGE = 2 * 1024 * 1024  # bytes of the largest picture
PICTURE = "cid:picture"


class Writer:
    """Writes messages from what the database knows and the server has kept."""

    def __init__(self, kept: Kept, site: str | None) -> None:
        """`site`: the pages' address; None: messages have no link."""
        self._kept = kept
        self._site = site.rstrip("/") if site else None

    def message(self, session: Session, due: Due, now: datetime) -> Message:
        """The message that is due. NotFound when its run is gone."""
        run = runs.one(session, due.run_id)
        sections = outputs.sections(session, run.id)[:SECTIONS]
        texts = [self._text(section.file) for section in sections]
        shown = _plot(session, run.id, sections, texts)
        picture = self._picture(shown) if shown else None
        return Message(
            what=due.what,
            ident=f"scripthut-{run.id}-{due.id}",
            run_id=run.id,
            run=run.name,
            backend=run.backend,
            counts=run.counts,
            at=now,
            elapsed=((run.ended_at or now) - run.created_at).total_seconds(),
            link=f"{self._site}/runs/{run.id}" if self._site else None,
            failures=tuple(messages.failures(session, run.id, happenings.FAILURES)),
            summary=happenings.first_lines(texts),
            html=self._html(sections, shown if picture else None),
            picture=picture,
        )

    def _text(self, row: Output) -> str:
        data = self._read(row.sha256, TEXT)
        return data.decode("utf-8", "replace") if data else ""

    def _html(self, sections: list[Section], shown: Output | None) -> str:
        """The sections as they were rendered, whole ones, as many as fit."""
        pieces, left = [], HTML
        for row in (section.file for section in sections):
            data = self._read(row.html, HTML) or b""
            left -= len(data)
            if left <= 0:
                break
            here = shown.path if shown and shown.task_id == row.task_id else None
            place = Place(
                anchor=f"{row.id}-",
                image=lambda path, here=here: PICTURE if path == here else None,  # type: ignore[misc]
                link=lambda _path: None,
            )
            pieces.append(alone(data.decode("utf-8", "replace"), place))
        return "".join(pieces)

    def _picture(self, row: Output) -> Picture | None:
        kind = served(row.path).type
        if row.size > IMAGE or not kind.startswith("image/") or "svg" in kind:
            return None  # readers of mail show no SVG
        data = self._read(row.sha256, -1)
        return None if data is None else Picture(row.path.rpartition("/")[2], kind, data)

    def _read(self, name: str | None, limit: int) -> bytes | None:
        if name is None:
            return None
        try:
            return self._kept.read(name, limit=limit)
        except FileNotFoundError:
            return None


def _plot(
    session: Session, run_id: str, sections: list[Section], texts: list[str]
) -> Output | None:
    """The first image that the summary shows, else the first of the tasks that wrote it."""
    named = [
        (section.key, path.encode())
        for section, text in zip(sections, texts, strict=True)
        for path in happenings.images(text)
    ]
    for key, raw in (*named, *((section.key, None) for section in sections)):
        if (found := messages.picture(session, run_id, key, raw)) is not None:
            return found
    return None
