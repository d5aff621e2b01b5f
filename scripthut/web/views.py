"""A file's own page: what is in it, a piece at a time, however large it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from flask import Blueprint, Response, g, render_template, request, url_for

from scripthut.clock import utcnow
from scripthut.core import folding, hexdump, notebook, tables
from scripthut.core.errors import NotFound
from scripthut.core.lines import lines
from scripthut.core.previews import View, view
from scripthut.store import outputs, runs
from scripthut.store.models import Output, Task
from scripthut.web import files, sandbox
from scripthut.web.extensions import kept
from scripthut.web.htmx import htmx

bp = Blueprint("views", __name__, url_prefix="/runs/<run_id>/tasks/<key>/outputs/view")

PIECE = 512 * 1024  # bytes of a file that one page is made from
HEAD = 16 * 1024  # bytes that the list of files shows the beginning of
DEEP = 1000  # levels into a JSON text
FAR = 2**40  # no place in a file is behind that
HEAD_ROWS = 12  # rows or lines of it
PLAIN = (View.LINES, View.HEX)  # every file can be shown as these

Content = dict[str, object]


@dataclass(frozen=True)
class Opened:
    """A kept file of a task, and how somebody wishes to see it."""

    task: Task
    row: Output

    def read(self, start: int, limit: int) -> bytes:
        """At most `limit` of its bytes. NotFound when they are gone."""
        try:
            return kept().read(self.row.sha256 or "", start, limit)
        except (FileNotFoundError, ValueError):
            raise NotFound("The server does not have this file any more.") from None

    @cached_property
    def own(self) -> View:
        """How it is shown unless something else is asked for."""
        return view(self.row.path, self.read(0, 4096))

    @property
    def view(self) -> View:
        """How it is shown."""
        asked = request.args.get("as")
        return next((plain for plain in PLAIN if plain == asked), self.own)

    def url(self, **what: object) -> str:
        """The address of this view of the file, with other wishes."""
        asked = {"as": request.args["as"]} if request.args.get("as") in PLAIN else {}
        place = {"run_id": self.task.run_id, "key": self.task.key, "row": self.row.id}
        return url_for("views.show", **place, **asked, **what)  # type: ignore[arg-type]


@bp.get("/<int:row>")
def show(run_id: str, key: str, row: int) -> str:
    """Show a file by its number: a page, or to htmx the panel's content."""
    task = runs.find_task(g.session, run_id, key)
    listed = outputs.files(g.session, task)
    place = next((n for n, file in enumerate(listed) if file.id == row), None)
    if place is None:
        raise NotFound("There is no such file among what this task wrote.")
    file = listed[place]
    facts: Content = {
        "task": task,
        "file": file,
        "url": files.url_of(run_id, key, file),
        "previous": listed[place - 1] if place else None,
        "next": listed[place + 1] if place + 1 < len(listed) else None,
        "place": place + 1,
        "count": len(listed),
        **(_content(Opened(task, file)) if file.sha256 else {"view": None}),
    }
    if htmx.targets("panel"):
        return render_template("outputs/_view_panel.html", **facts)
    return render_template("outputs/view.html", **facts, run=runs.find_run(g.session, run_id))


def _content(opened: Opened) -> Content:
    found = CONTENTS[opened.view](opened)
    return {"view": opened.view, "own": opened.own, "opened": opened, **found}


def head(row: Output) -> Content | None:
    """The beginning of a small file, for the list of files; None: its name must do."""
    if row.sha256 is None:
        return None
    try:
        data = kept().read(row.sha256, 0, HEAD)
    except FileNotFoundError:
        return None
    is_end = len(data) >= row.size
    kind = view(row.path, data)
    if kind is View.TABLE and data:
        mark = tables.delimiter(row.path, data)
        names, start = tables.header(data, mark, is_end)
        table = tables.piece(names, data[start:], mark, 1, is_end)
        is_more = len(table.rows) > HEAD_ROWS or not is_end
        return {"view": kind, "table": table, "most": HEAD_ROWS, "is_more": is_more}
    if kind not in (View.LINES, View.JSON, View.RECORDS) or not data:
        return None
    found = lines(data, row.path, 1, is_end)
    is_more = len(found.lines) > HEAD_ROWS or not is_end
    return {"view": View.LINES, "lines": found.lines[:HEAD_ROWS], "is_more": is_more}


def _number(name: str, least: int = 0) -> int:
    return min(max(least, request.args.get(name, least, int)), FAR)


def _first() -> int | None:
    """The number of a piece's first row: it travels with the byte where the piece begins."""
    return _number("n", 1) if "n" in request.args or not _number("at") else None


def _more(opened: Opened, start: int, after: int | None, first: int | None, count: int) -> Content:
    """The addresses of the next piece and of the first one, where there are such."""
    end = start + (after or 0)
    numbered = {} if first is None else {"n": first + count}
    is_last = after is None or end >= opened.row.size or end <= start
    return {
        "more": None if is_last else opened.url(at=end, **numbered),
        "back": opened.url() if start > 0 and _number("at") else None,
    }


def _table(opened: Opened) -> Content:
    top = opened.read(0, PIECE)
    mark = tables.delimiter(opened.row.path, top)
    names, start = tables.header(top, mark, len(top) >= opened.row.size)
    sort = request.args.get("sort", None, int)
    wish = tables.Wish(
        sort if sort is not None and 0 <= sort < tables.COLUMNS else None,
        request.args.get("order") == "down",
        request.args.get("q", "")[:200],
        _number("page"),
    )
    shown: Content = {"wish": wish, "names": names}
    if wish.is_plain:
        at = max(start, _number("at"))
        data = opened.read(at, PIECE)
        table = tables.piece(names, data, mark, _first(), at + len(data) >= opened.row.size)
        return shown | {"table": table, **_more(opened, at, table.after, _first(), len(table.rows))}
    data = opened.read(start, tables.SEARCHED)
    table = tables.chosen(names, data, mark, wish, start + len(data) >= opened.row.size)
    is_last = (wish.page + 1) * tables.ROWS >= (table.total or 0)
    asked = {name: request.args[name] for name in ("sort", "order", "q") if name in request.args}
    return shown | {
        "table": table,
        "more": None if is_last else opened.url(**asked, page=wish.page + 1),
        "back": opened.url(**asked) if wish.page else None,
    }


def _json(opened: Opened) -> Content:
    asked = request.args.get("place", "").split(".")[:DEEP]
    place = tuple(int(n) for n in asked if n.isdecimal() and len(n) < 10)
    try:
        whole = folding.parse(opened.read(0, folding.BYTES + 1))
        name, value = folding.part(whole, place)
    except folding.NotJson as error:
        return {"view": View.LINES, "note": f"This file {error}.", **_lines(opened)}
    except LookupError:
        raise NotFound("There is no such part in this file.") from None
    return {"node": folding.folded(value, place, name, _number("from")), "whole": opened.url()}


def _records(opened: Opened) -> Content:
    at, first = _number("at"), _first()
    data = opened.read(at, PIECE)
    found = folding.records(data, first, at + len(data) >= opened.row.size)
    more = _more(opened, at, found.after, first, len(found.records))
    return {"records": found.records, **more}


def _lines(opened: Opened) -> Content:
    at, first = _number("at"), _first()
    data = opened.read(at, PIECE)
    found = lines(data, opened.row.path, first, at + len(data) >= opened.row.size)
    more = _more(opened, at, found.after, first, len(found.lines))
    return {"lines": found.lines, **more}


def _hex(opened: Opened) -> Content:
    at = _number("at")
    data = opened.read(at, hexdump.BYTES)
    return {"rows": hexdump.rows(data, at), **_more(opened, at, len(data), None, 0)}


def _markdown(opened: Opened) -> Content:
    html = files.html_of(opened.task.run_id, opened.task.key, opened.row)
    return {"html": html} if html is not None else {"view": View.LINES, **_lines(opened)}


def _notebook(opened: Opened) -> Content:
    try:
        found = notebook.parse(opened.read(0, folding.BYTES + 1))
    except folding.NotJson as error:
        return {"view": View.LINES, "note": f"This file {error}.", **_lines(opened)}
    htmls = files.parts_of(opened.task.run_id, opened.task.key, opened.row)
    return {
        "notebook": found,
        "parts": htmls if len(htmls) == len(found.parts) else [None] * len(found.parts),
        "coloured": lambda text, suffix: lines(text.encode("utf-8", "replace"), f"x{suffix}").lines,
        "cell_frame": sandbox.address(opened.task, opened.row, utcnow(), sandbox.CELLS),
    }


@bp.get("/<int:row>/cell/<int:cell>/<int:out>")
def cell_image(run_id: str, key: str, row: int, cell: int, out: int) -> Response:
    """Send an image that is inside a notebook."""
    opened = Opened(
        runs.find_task(g.session, run_id, key), outputs.file_by_row(g.session, run_id, key, row)
    )
    try:
        mime, data = notebook.image(opened.read(0, folding.BYTES + 1), cell, out)
    except LookupError:
        raise NotFound("There is no such image in this file.") from None
    return Response(data, mimetype=mime, headers=files.HEADERS)


def _framed(opened: Opened) -> Content:
    return {"frame": sandbox.address(opened.task, opened.row, utcnow())}


def _as_it_is(_opened: Opened) -> Content:
    return {}


CONTENTS: Mapping[View, Callable[[Opened], Content]] = {
    View.MARKDOWN: _markdown,
    View.NOTEBOOK: _notebook,
    View.IMAGE: _as_it_is,
    View.AUDIO: _as_it_is,
    View.VIDEO: _as_it_is,
    View.TABLE: _table,
    View.JSON: _json,
    View.RECORDS: _records,
    View.LINES: _lines,
    View.HTML: _framed,
    View.PDF: _framed,
    View.HEX: _hex,
}
