"""What a run's tasks have measured: a table over tasks with a plot, as CSV and as JSON."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flask import Blueprint, Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.archive import safe_part
from scripthut.core.errors import Refused
from scripthut.core.measures import plot
from scripthut.core.measures.board import COLUMNS, Board, Line, Wish, board
from scripthut.core.measures.metrics import Value, is_finite, number
from scripthut.core.measures.plot import Plot, Point
from scripthut.store import metrics, runs, watches
from scripthut.store.metrics import Measured
from scripthut.web.extensions import database
from scripthut.web.htmx import htmx
from scripthut.web.saving import save_as

bp = Blueprint("metrics", __name__)

ROWS = 200  # on a page
LINES = 60  # curves in one plot
ORDER, COURSE = "", "~course"  # what may stand below a plot that is no metric
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell


@dataclass(frozen=True)
class Asked:
    """How a reader wants the plot: a metric upwards, and what it is drawn over."""

    y: str
    x: str
    is_log: bool


@bp.get("/runs/<run_id>/metrics")
def show(run_id: str) -> ResponseReturnValue:
    """Show the metrics of a run's tasks; to htmx, the table alone, when there is anything new."""
    pulse = runs.pulse(g.session, run_id)
    if request.args.get("format") in ("csv", "json"):
        return told(run_id)
    watches.renew(database(), run_id, 0, "run", utcnow())
    if htmx.targets("board") and request.args.get("since", -1, int) == pulse.version:
        return "", 204
    context = _page(run_id, metrics.of_run(g.session, run_id))
    context |= {"run": runs.one(g.session, run_id), "since": pulse.version}
    name = "metrics/_board.html" if htmx.targets("board") else "metrics/show.html"
    return render_template(name, **context)


@bp.get("/api/v1/runs/<run_id>/metrics")
def told(run_id: str) -> ResponseReturnValue:
    """Give the metrics of a run's tasks as JSON, or as CSV with `?format=csv`."""
    run = runs.find_run(g.session, run_id)
    found = metrics.of_run(g.session, run_id)
    chosen = board(_lines(found), wish())
    how = request.args.get("format", "json")
    if how == "csv":
        answer = Response(_csv(chosen), mimetype="text/csv")
        save_as(answer, f"{safe_part(run.name.replace('/', '_'))}-{run.id}-metrics.csv")
        return answer
    if how != "json":
        raise Refused(f"format={how} is none that metrics are given in: ask for csv or json.")
    listed = [
        {
            "task_id": line.key,
            "task_name": line.name,
            "status": line.state,
            "metrics": line.values,
            "note": line.note,
        }
        for line in chosen.lines
        if line.values or line.note
    ]
    return {"run_id": run_id, "names": chosen.names, "tasks": listed}


@bp.get("/api/v1/runs/<run_id>/metrics/curves")
def told_curves(run_id: str) -> ResponseReturnValue:
    """Give how the metric `?name=` went in each of a run's tasks; null is a gap."""
    runs.find_run(g.session, run_id)
    name = request.args.get("name", "")
    found = metrics.of_run(g.session, run_id)
    curves = metrics.curves(g.session, [one.id for one in found], name)
    listed = [
        {"task_id": one.key, "x": curves[one.id].x, "y": curves[one.id].y}
        for one in found
        if one.id in curves
    ]
    return {"run_id": run_id, "name": name, "tasks": listed}


def wish() -> Wish:
    """How a request wants a table of metrics."""
    sort = request.args.get("sort", "")
    return Wish(sort, request.args.get("order") == "down", request.args.get("q", ""))


def cell(value: Value | None) -> str:
    """A metric as a table says it; "" for none.

    >>> [cell(v) for v in (None, True, 0.123456789, 12345678, "NaN", "adam")]
    ['', 'yes', '0.123457', '12345678', 'NaN', 'adam']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)


def _lines(found: Sequence[Measured]) -> list[Line]:
    return [Line(one.key, one.name, one.state, one.values, one.note) for one in found]


def _page(run_id: str, found: Sequence[Measured]) -> dict[str, object]:
    chosen = board(_lines(found), wish())
    page = max(0, request.args.get("page", 0, int))
    asked = _asked(chosen)
    start = page * ROWS
    kept = {name: request.args[name] for name in _WORDS if request.args.get(name)}

    def url(**what: object) -> str:
        words = {name: value for name, value in {**kept, **what}.items() if value not in ("", None)}
        return url_for("metrics.show", run_id=run_id, **words)  # type: ignore[arg-type]

    return {
        "url": url,
        "wish": wish(),
        "asked": asked,
        "names": chosen.names[:COLUMNS],
        "more_names": max(0, len(chosen.names) - COLUMNS),
        "numeric": chosen.numeric,
        "unknown": chosen.unknown,
        "has_any": any(one.values or one.note for one in found),
        "rows": [
            (line, [(cell(v), v) for v in map(line.values.get, chosen.names[:COLUMNS])])
            for line in chosen.lines[start : start + ROWS]
        ],
        "start": start,
        "total": len(chosen.lines),
        "page": page,
        "is_last": start + ROWS >= len(chosen.lines),
        "axes": [name for name in chosen.names if name in chosen.numeric],
        "plot": _plot(run_id, found, chosen, asked) if asked else None,
        "course": COURSE,
    }


PLACE = "the-place-of-a-task"  # in an address that is made once for many
_WORDS = ("sort", "order", "q", "y", "x", "log")


def _asked(chosen: Board) -> Asked | None:
    """What the plot shows: what was wished, else what is sorted by, else what varies most."""
    wished = (request.args.get("y", ""), request.args.get("sort", ""))
    fine = [name for name in chosen.names if name in chosen.numeric]
    y = next((name for name in wished if name in chosen.names), _liveliest(chosen, fine))
    if y is None:
        return None
    x = request.args.get("x", ORDER)
    return Asked(y, x if x in (COURSE, *chosen.names) else ORDER, "log" in request.args)


def _liveliest(chosen: Board, names: Sequence[str]) -> str | None:
    """The metric of the most different values, the first one of several; None without any."""
    counts = {name: len({line.values.get(name) for line in chosen.lines}) for name in names}
    return max(counts, key=counts.__getitem__, default=None)


def _plot(run_id: str, found: Sequence[Measured], chosen: Board, asked: Asked) -> Plot | None:
    # Made once: of ten thousand points, the addresses would take longer than all else.
    address = url_for("tasks.show", run_id=run_id, key=PLACE, tab="outputs")
    before, _, after = address.rpartition(PLACE)

    def link(key: str) -> str:
        return f"{before}{quote(key)}{after}"

    if asked.x == COURSE:
        ids = {one.key: one.id for one in found}
        keys = [line.key for line in chosen.lines if asked.y in line.values][:LINES]
        curves = metrics.curves(g.session, [ids[key] for key in keys], asked.y)
        courses = [
            plot.Line(key, curves[ids[key]].x, curves[ids[key]].y, link(key))
            for key in keys
            if ids[key] in curves
        ]
        return plot.curves(courses, asked.is_log)
    points = [
        Point(x, y, line.key, link(line.key))
        for place, line in enumerate(chosen.lines, 1)
        if (y := _on_axis(line.values, asked.y)) is not None
        and (x := float(place) if asked.x == ORDER else _on_axis(line.values, asked.x)) is not None
    ]
    return plot.scatter(points, asked.is_log)


def _on_axis(values: Mapping[str, Value], name: str) -> float | None:
    value = values.get(name)
    return number(value) if is_finite(value) else None


def _csv(chosen: Board) -> Iterator[str]:
    yield _row(["task", "name", "state", *chosen.names])
    for line in chosen.lines:
        yield _row([line.key, line.name, line.state, *map(line.values.get, chosen.names)])


def _row(cells: Sequence[Value | None]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([unspoken(value) for value in cells])
    return text.getvalue()


def unspoken(value: Value | None) -> Value | None:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(FORMULAS) and number(value) is None:
        return f"'{value}"
    return value
