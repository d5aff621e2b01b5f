"""Where the bytes of a file's page come from: the kept file, or pieces that the engine brings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from flask import g, request, url_for

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound
from scripthut.core.files.previews import View, view
from scripthut.store.files import wishes
from scripthut.store.models import Output, PieceWish, Task
from scripthut.web.extensions import database, kept

PIECE = wishes.PIECE  # bytes of a file that one page is made from
PLAIN = (View.LINES, View.HEX)  # every file can be shown as these
# How files are shown that are not here: what needs the whole of one is its text, or (None) nothing.
FAR: dict[View, View | None] = {
    View.MARKDOWN: View.LINES,
    View.NOTEBOOK: View.LINES,
    View.JSON: View.LINES,
    View.HTML: View.LINES,
    View.IMAGE: None,
    View.AUDIO: None,
    View.VIDEO: None,
    View.PDF: None,
}


class Awaited(Exception):
    """The page can be made when the engine has brought what it was asked for."""


class Gone(Exception):
    """The piece cannot be had; the text says why, as the end of a sentence."""


@dataclass
class Opened:
    """A file of a task, and how somebody wishes to see it."""

    task: Task
    row: Output
    used: list[PieceWish] = field(default_factory=list)  # the pieces that were read

    @property
    def is_here(self) -> bool:
        """Whether the server has the file."""
        return self.row.sha256 is not None

    @property
    def is_former(self) -> bool:
        """Whether an attempt wrote it that is not the task's present one."""
        return self.row.attempt != self.task.attempt

    @property
    def size(self) -> int:
        """Its bytes, as they were counted last."""
        sizes = [piece.size for piece in self.used if piece.size is not None]
        return sizes[0] if sizes else self.row.size

    @cached_property
    def _pieces(self) -> Sequence[PieceWish]:
        return wishes.pieces(g.session, self.row, utcnow())

    def read(self, start: int, limit: int) -> bytes:
        """At most `limit` of its bytes; of a file that is not here, at most PIECE.

        NotFound when they are gone; Awaited and Gone for a file that is not here.
        """
        if self.is_here:
            return self._kept(self.row.sha256, start, limit)
        limit = min(limit, PIECE)
        piece = next((one for one in self._pieces if _covers(one, start, limit)), None)
        if piece is None:
            self._wish({start} if self._pieces else {0, start})
            raise Awaited
        if piece.problem is not None:
            raise Gone(piece.problem)
        if piece not in self.used:
            self.used.append(piece)
        return self._kept(piece.sha256, start - piece.start, limit)

    def _kept(self, name: str | None, start: int, limit: int) -> bytes:
        try:
            return kept().read(name or "", start, limit)
        except (FileNotFoundError, ValueError):
            if not self.is_here:
                self._wish({start})
                raise Awaited from None
            raise NotFound("The server does not have this file any more.") from None

    def _wish(self, starts: set[int]) -> None:
        wishes.wish(database(), self.row.id, sorted(starts), utcnow())

    @cached_property
    def own(self) -> View:
        """How it is shown unless something else is asked for."""
        return view(self.row.path, self.read(0, 4096))

    @property
    def view(self) -> View | None:
        """How it is shown; None: it has to be fetched for that."""
        asked = request.args.get("as")
        plain = next((plain for plain in PLAIN if plain == asked), None)
        if plain is not None:
            return plain
        return self.own if self.is_here else FAR.get(self.own, self.own)

    @property
    def mark(self) -> str | None:
        """Which state of a file that is not here was read; None for one that is."""
        return f"{self.used[0].size}-{self.used[0].mtime_ns}" if self.used else None

    @property
    def has_changed(self) -> bool:
        """Whether the page does not continue what somebody saw before."""
        before = request.args.get("of") or self.mark
        marks = {f"{piece.size}-{piece.mtime_ns}" for piece in self.used}
        return bool(marks) and marks != {before}

    @property
    def again(self) -> str:
        """The address that this page was asked for at."""
        place = {"run_id": self.task.run_id, "key": self.task.key, "row": self.row.id}
        return url_for("views.show", **{**request.args.to_dict(), **place})  # type: ignore[arg-type]

    def url(self, **what: object) -> str:
        """The address of this view of the file, with other wishes."""
        asked = {"as": request.args["as"]} if request.args.get("as") in PLAIN else {}
        state = {"of": self.mark} if what and self.mark else {}
        place = {"run_id": self.task.run_id, "key": self.task.key, "row": self.row.id}
        return url_for("views.show", **place, **asked, **state, **what)  # type: ignore[arg-type]


def _covers(piece: PieceWish, start: int, limit: int) -> bool:
    """Whether a piece holds the bytes from `start`, or says why they cannot be had."""
    if piece.problem is not None:
        return piece.start == start
    end = piece.start + piece.length
    is_last = piece.size is not None and end >= piece.size
    return piece.start <= start < max(end, 1) and (start + limit <= end or is_last)
