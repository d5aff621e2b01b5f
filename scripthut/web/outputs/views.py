"""A file's own page: what is in it, a piece at a time, however large it is."""

from collections.abc import Callable, Mapping

from flask import Blueprint, Response, g, render_template, request

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound
from scripthut.core.files import folding, hexdump, notebook, tables
from scripthut.core.files.lines import lines
from scripthut.core.files.previews import View, view
from scripthut.core.jobs import Area
from scripthut.store import outputs, runs
from scripthut.store.files import fetches
from scripthut.store.machines import backends
from scripthut.store.models import Output, Task
from scripthut.web.extensions import kept
from scripthut.web.htmx import htmx
from scripthut.web.outputs import arrays, files, sandbox
from scripthut.web.outputs.reading import PIECE, Awaited, Gone, Opened

bp = Blueprint("views", __name__, url_prefix="/runs/<run_id>/tasks/<key>/outputs/view")

HEAD = 16 * 1024  # bytes that the list of files shows the beginning of
DEEP = 1000  # levels into a JSON text
FAR = 2**40  # no place in a file is behind that
HEAD_ROWS = 12  # rows or lines of it
LAST_BYTES, LAST_ROWS = 64 * 1024, 100  # of a file, where somebody asks for its end

Content = dict[str, object]


@bp.get("/<int:row>")
def show(run_id: str, key: str, row: int) -> str:
    """Show a file by its number: a page, or to htmx the panel's content."""
    task = runs.find_task(g.session, run_id, key)
    file = outputs.listed(g.session, run_id, key, row)
    facts = {**_around(task, file), **_content(Opened(task, file))}
    if htmx.targets(f"view-{row}"):
        return render_template("outputs/_view.html", **facts)
    if htmx.targets("panel"):
        return render_template("outputs/_view_panel.html", **facts)
    return render_template("outputs/view.html", **facts, run=runs.find_run(g.session, run_id))


def _around(task: Task, file: Output) -> Content:
    """What a page says of a file whatever is in it, and the files beside it."""
    is_log = file.area is Area.LOG
    beside = [file] if is_log else outputs.files(g.session, task, file.attempt)
    place = [one.id for one in beside].index(file.id)
    return {
        "task": task,
        "file": file,
        "url": files.url_of(task.run_id, task.key, file, file.attempt != task.attempt),
        "previous": beside[place - 1] if place else None,
        "next": beside[place + 1] if place + 1 < len(beside) else None,
        "place": place + 1,
        "count": len(beside),
    }


def _content(opened: Opened) -> Content:
    if not (opened.is_here or outputs.is_within_reach(opened.row)):
        return {"view": None}
    fetch = fetches.of(g.session, [opened.row.id]).get(opened.row.id)
    facts: Content = {"opened": opened, "fetch": fetch, "reach": not opened.is_here}
    try:
        facts["view"] = opened.view
        if opened.view is not None:
            facts |= CONTENTS[opened.view](opened)
        facts["own"] = opened.own
    except Awaited:
        run = runs.find_run(g.session, opened.task.run_id)
        facts["health"] = backends.health(g.session, run.backend)
        return facts | {"view": None, "is_awaited": True}
    except Gone as why:
        return facts | {"view": None, "gone": str(why)}
    return facts


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


def _at(opened: Opened) -> int:
    """The byte where the piece begins: as asked, or, for the end, where the last rows do."""
    if "end" not in request.args:
        return _number("at")
    start = max(0, opened.row.size - LAST_BYTES)
    data = opened.read(start, LAST_BYTES)
    lines = data.splitlines(keepends=True)[1 if start else 0 :][-LAST_ROWS:]
    return start + len(data) - sum(map(len, lines))


def _first() -> int | None:
    """The number of a piece's first row: it travels with the byte where the piece begins."""
    if "end" in request.args:
        return None
    return _number("n", 1) if "n" in request.args or not _number("at") else None


def _more(opened: Opened, start: int, after: int | None, first: int | None, count: int) -> Content:
    """The addresses of the next piece and of the first one, where there are such."""
    end = start + (after or 0)
    numbered = {} if first is None else {"n": first + count}
    is_last = after is None or end >= opened.size or end <= start
    return {
        "more": None if is_last else opened.url(at=end, **numbered),
        "back": opened.url() if start > 0 and (_number("at") or "end" in request.args) else None,
        "last": None if is_last else opened.url(end=1),
    }


def _table(opened: Opened) -> Content:
    top = opened.read(0, PIECE)
    mark = tables.delimiter(opened.row.path, top)
    names, start = tables.header(top, mark, len(top) >= opened.size)
    sort = request.args.get("sort", None, int)
    wish = tables.Wish(
        sort if sort is not None and 0 <= sort < tables.COLUMNS else None,
        request.args.get("order") == "down",
        request.args.get("q", "")[:200],
        _number("page"),
    )
    shown: Content = {"wish": wish if opened.is_here else None, "names": names}
    if wish.is_plain or not opened.is_here:
        at = max(start, _at(opened))
        data = opened.read(at, PIECE)
        table = tables.piece(names, data, mark, _first(), at + len(data) >= opened.size)
        return shown | {"table": table, **_more(opened, at, table.after, _first(), len(table.rows))}
    data = opened.read(start, tables.SEARCHED)
    table = tables.chosen(names, data, mark, wish, start + len(data) >= opened.size)
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
    at, first = _at(opened), _first()
    data = opened.read(at, PIECE)
    found = folding.records(data, first, at + len(data) >= opened.size)
    more = _more(opened, at, found.after, first, len(found.records))
    return {"records": found.records, **more}


def _lines(opened: Opened) -> Content:
    at, first = _at(opened), _first()
    data = opened.read(at, PIECE)
    found = lines(data, opened.row.path, first, at + len(data) >= opened.size)
    more = _more(opened, at, found.after, first, len(found.lines))
    return {"lines": found.lines, **more}


def _hex(opened: Opened) -> Content:
    at = _number("at")
    if "end" in request.args:
        at = max(0, opened.row.size - 1) // hexdump.BYTES * hexdump.BYTES
    data = opened.read(at, hexdump.BYTES)
    return {"rows": hexdump.rows(data, at), **_more(opened, at, len(data), None, 0)}


def _markdown(opened: Opened) -> Content:
    html = files.html_of(opened.task.run_id, opened.task.key, opened.row, opened.is_former)
    return {"html": html} if html is not None else {"view": View.LINES, **_lines(opened)}


def _notebook(opened: Opened) -> Content:
    try:
        found = notebook.parse(opened.read(0, folding.BYTES + 1))
    except folding.NotJson as error:
        return {"view": View.LINES, "note": f"This file {error}.", **_lines(opened)}
    cell_frame = sandbox.address(opened.task, opened.row, utcnow(), sandbox.CELLS)
    htmls = files.parts_of(opened.task.run_id, opened.task.key, opened.row, opened.is_former)
    return {
        "notebook": found,
        "parts": htmls if len(htmls) == len(found.parts) else [None] * len(found.parts),
        "coloured": lambda text, suffix: lines(text.encode("utf-8", "replace"), f"x{suffix}").lines,
        "cell_frame": cell_frame,
        "renewal": sandbox.renewal(cell_frame),
    }


@bp.get("/<int:row>/cell/<int:cell>/<int:out>")
def cell_image(run_id: str, key: str, row: int, cell: int, out: int) -> Response:
    """Send an image that is inside a notebook."""
    file = outputs.file_by_row(g.session, run_id, key, row)
    opened = Opened(runs.find_task(g.session, run_id, key), file)
    try:
        mime, data = notebook.image(opened.read(0, folding.BYTES + 1), cell, out)
    except LookupError:
        raise NotFound("There is no such image in this file.") from None
    return Response(data, mimetype=mime, headers=files.HEADERS)


def _framed(opened: Opened) -> Content:
    frame = sandbox.address(opened.task, opened.row, utcnow())
    return {"frame": frame, "renewal": sandbox.renewal(frame)}


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
    View.ARRAY: arrays.array,
    View.ARRAYS: arrays.archive,
    View.COLUMNS: arrays.columns,
    View.HEX: _hex,
}
