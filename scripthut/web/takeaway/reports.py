"""A whole run as one page: what its site shows, with every plot inside, from one file.

The page is a template like any other, in which signs that nobody can guess stand where documents
and images go. Those are put in last, in pieces: they need no escaping, being escaped already.
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from flask import render_template

from scripthut.clock import utcnow
from scripthut.core.endings import TITLES, Ending
from scripthut.core.files.previews import Kind, served
from scripthut.core.markdown import policy
from scripthut.core.markdown.report import Place, alone, data_url
from scripthut.core.states import State
from scripthut.core.units import size
from scripthut.ids import new_nonce
from scripthut.places import STATIC
from scripthut.store import metrics as measured
from scripthut.store import outputs, runs
from scripthut.store.db import Session
from scripthut.store.files import pictures, taking
from scripthut.store.files.taking import Written
from scripthut.store.models import Output, Run, Task
from scripthut.store.runs import TaskRow
from scripthut.web.extensions import kept
from scripthut.web.runs.metrics import cell
from scripthut.web.tasks import panel as task_pages

IMAGE = 3 * 1024 * 1024  # bytes of the largest image that goes in
IMAGES = 12 * 1024 * 1024  # of all: what mail takes, when it is written in letters
METRICS = (1000, 40)  # lines and columns of the table of metrics
TEXT = 32 * 1024  # of the largest text
TEXTS = 2 * 1024 * 1024
MANY = 300  # tasks: of a run with more, those that say nothing are counted
DOCUMENTS = 8 * 1024 * 1024  # of all rendered Markdown
ILL = frozenset({State.FAILED, State.LOST})  # what ended so ended by itself
_ICON = re.compile(r'url\("([\w.-]+\.svg)"\)')


@dataclass(frozen=True)
class Shown:
    """A file in the report; `place` is its id there.

    One of `document`, `image` and `text` shows it, or `why` says why it is only named.
    `is_small`: the image is a thumbnail of it.
    """

    place: str
    path: str
    size: int
    sha256: str | None
    document: str | None = None
    image: str | None = None
    text: str | None = None
    why: str | None = None
    is_small: bool = False


@dataclass(frozen=True)
class Part:
    """A task in the report."""

    task: TaskRow
    files: list[Shown]
    more: int
    ending: Ending | None
    words_of: str
    words: str


@dataclass
class _Room:
    """What there is still room for, in bytes."""

    left: dict[str, int] = field(
        default_factory=lambda: {"image": IMAGES, "text": TEXTS, "document": DOCUMENTS}
    )

    def take(self, what: str, count: int) -> bool:
        if count > self.left[what]:
            return False
        self.left[what] -= count
        return True


class Book:
    """The report while it is made: the files it may show, and what stands for each sign."""

    def __init__(self, files: Sequence[Written], thumbs: Mapping[str, str]) -> None:
        """`thumbs`: the contents of pictures, and the names of their thumbnails."""
        self._thumbs = thumbs
        sizes = [one.file.size for one in files if one.file.kind == Kind.IMAGE]
        self._is_tight = sum(sizes) > IMAGES
        self._nonce = new_nonce()
        self._room = _Room()
        self._inside: set[int] = set()  # the images that a document or the list has shown
        self._pieces: list[str] = []
        self.rows: Mapping[tuple[str, str], Output] = {
            (one.key, one.file.path): one.file for one in files if not one.is_summary
        }

    def sign(self, piece: str) -> str:
        """What stands in the template for a piece that is put in last."""
        self._pieces.append(piece)
        return f"{self._nonce}:{len(self._pieces) - 1};"

    def put_in(self, page: str) -> Iterator[str]:
        """The page, with the pieces in their places."""
        for n, part in enumerate(re.split(rf"{re.escape(self._nonce)}:(\d+);", page)):
            yield self._pieces[int(part)] if n % 2 else part

    def document(self, key: str, row: Output) -> str | None:
        """A rendered document; None when there is none, or no room for it."""
        html = _html(row)
        if html is None or not self._room.take("document", len(html)):
            return None
        place = Place(
            anchor=f"{row.id}-",
            image=lambda path: self.image(self.rows.get((key, path))),
            link=lambda path: self._place_of(self.rows.get((key, path))),
        )
        return self.sign(alone(html, place))

    def image(self, row: Output | None) -> str | None:
        """An image's address, that holds it; None when it is no image, or there is no room."""
        if row is None or row.sha256 is None or row.kind != Kind.IMAGE:
            return None
        name, kind = row.sha256, served(row.path).type
        if self._is_small(row):
            name, kind = self._thumbs[row.sha256], "image/webp"
        elif row.size > IMAGE:
            return None
        data = _kept_bytes(name)
        if data is None or not self._room.take("image", len(data)):
            return None
        self._inside.add(row.id)
        return data_url(kind, data)

    def _is_small(self, row: Output) -> bool:
        """Whether its thumbnail stands for a picture: it, or all of them, would take too much."""
        thumb = self._thumbs.get(row.sha256 or "")
        return thumb not in (None, row.sha256) and (self._is_tight or row.size > IMAGE)

    def shown(self, key: str, row: Output) -> Shown:
        """A file of a task, as far as there is room."""
        facts = (f"file-{row.id}", row.path, row.size, row.sha256)
        if row.sha256 is None:
            return Shown(*facts, why=row.note or "had not been fetched")
        if row.id in self._inside:
            return Shown(*facts, why="stands in a document above")
        if row.kind == Kind.MARKDOWN and (document := self.document(key, row)) is not None:
            return Shown(*facts, document=document)
        if row.kind == Kind.IMAGE and (address := self.image(row)) is not None:
            return Shown(*facts, image=self.sign(address), is_small=self._is_small(row))
        if (text := self._text(row)) is not None:
            return Shown(*facts, text=text)
        return Shown(*facts, why="is not in this report")

    def _text(self, row: Output) -> str | None:
        is_text = served(row.path).type.startswith(("text/", "application/json"))
        if not is_text or row.kind == Kind.IMAGE or row.size > TEXT:
            return None
        data = _kept_bytes(row.sha256 or "")
        if data is None or not self._room.take("text", len(data)):
            return None
        return data.decode("utf-8", "replace")

    @staticmethod
    def _place_of(row: Output | None) -> str | None:
        return None if row is None else f"file-{row.id}"


def pieces(session: Session, run: Run, address: str) -> tuple[Iterator[str], str]:
    """The pieces of a run's report, and the content security policy that the page sets itself."""
    files = taking.written(session, run.id)
    book = Book(files, pictures.thumbs(session, run.id))
    style = _style()
    rules = _policy(style)
    summary = [
        (section, book.document(section.key, section.file))
        for section in outputs.sections(session, run.id)
    ]
    more = taking.unlisted(session, run.id)
    by_key: dict[str, list[Output]] = {}
    for one in files:
        if not one.is_summary:
            by_key.setdefault(one.key, []).append(one.file)
    rows, rest = _telling(runs.tasks(session, run.id), by_key)
    page = render_template(
        "report/run.html",
        run=runs.one(session, run.id),
        address=address,
        policy=rules,
        style=book.sign(style),
        at=utcnow(),
        summary=summary,
        metrics=_metrics(session, run.id),
        tasks=rows,
        rest=rest,
        parts=[
            part
            for task in rows
            if (part := _part(session, book, task, by_key.get(task.key, []), more)) is not None
        ],
        files=files,
        limits={"image": size(IMAGE), "images": size(IMAGES), "text": size(TEXT)},
    )
    return book.put_in(page), rules


def _telling(
    tasks: Sequence[TaskRow], files: Mapping[str, list[Output]]
) -> tuple[list[TaskRow], Mapping[State, int]]:
    """The tasks that have something to say, and how many others there are in each state."""
    if len(tasks) <= MANY:
        return list(tasks), {}
    ill = [task.key for task in tasks if task.state in ILL][:MANY]
    chosen = {*files, *ill}
    rest = Counter(task.state for task in tasks if task.key not in chosen)
    return [task for task in tasks if task.key in chosen], rest


def _part(
    session: Session, book: Book, task: TaskRow, rows: list[Output], more: Mapping[str, int]
) -> Part | None:
    """A task's section; None for one that completed and wrote nothing."""
    if not rows and task.state not in TITLES:
        return None
    full = session.get_one(Task, task.id)
    why = task_pages.why(full)
    if not rows and why is None:
        return None
    words_of, words = task_pages.last_words(full) if why else ("", "")
    ordered = sorted(rows, key=lambda row: (row.raw != outputs.SUMMARY, row.path))
    files = [book.shown(task.key, row) for row in ordered]
    return Part(task, files, more.get(task.key, 0), why, words_of, words)


def _metrics(session: Session, run_id: str) -> dict[str, object] | None:
    """The table of what the tasks measured; None when they measured nothing."""
    found = [one for one in measured.of_run(session, run_id) if one.values]
    names = list(dict.fromkeys(name for one in found for name in one.values))
    lines, columns = METRICS
    rows = [
        (one.key, [cell(one.values.get(name)) for name in names[:columns]]) for one in found[:lines]
    ]
    is_cut = len(found) > lines or len(names) > columns
    return {"names": names[:columns], "rows": rows, "is_cut": is_cut} if rows else None


def _html(row: Output) -> str | None:
    """A document's HTML with our signs in it; None when there is none of this version."""
    if row.kind != Kind.MARKDOWN or row.sha256 is None:
        return None
    name = policy.key(row.sha256, outputs.folder_of(row.area, row.raw))
    if row.html != name:
        return None
    try:
        return kept().read(name).decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _kept_bytes(name: str) -> bytes | None:
    try:
        return kept().read(name)
    except (FileNotFoundError, ValueError):
        return None


@cache
def _style() -> str:
    """The site's own style sheet, with its signs inside."""

    def inside(found: re.Match[str]) -> str:
        return f'url("{data_url("image/svg+xml", (STATIC / found[1]).read_bytes())}")'

    return _ICON.sub(inside, (STATIC / "app.css").read_text(encoding="utf-8"))


def _policy(style: str) -> str:
    mark = b64encode(sha256(style.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{mark}'; "
        "form-action 'none'; base-uri 'none'"
    )
