"""Runs side by side: what they measured, wrote and drew, and where that differs."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from flask import Blueprint, Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.core.errors import Refused
from scripthut.core.jobs import Area
from scripthut.core.measures import compare, plot
from scripthut.core.measures.compare import Metric
from scripthut.core.measures.metrics import Value, is_finite, number
from scripthut.core.measures.plot import Plot
from scripthut.store import compare as comparing
from scripthut.store import metrics, runs
from scripthut.store.compare import Piece, Side
from scripthut.store.models import Run
from scripthut.web.runs import beside
from scripthut.web.runs.metrics import cell, unspoken
from scripthut.web.saving import save_as

bp = Blueprint("compare", __name__)

MOST = 12  # runs at once
CANDIDATES = 30
METRICS = 300  # rows on the page
TASKS = 8  # on a page
LINES = 12  # in the plot


@bp.get("/compare")
def show() -> ResponseReturnValue:
    """Show runs side by side; of one run, those that it may be compared with."""
    ids = _ids()
    if not ids:
        raise Refused("Name the runs to compare in the address: /compare?runs=first,second.")
    found = [runs.find_run(g.session, run_id) for run_id in ids]
    if len(found) == 1:
        others = comparing.of_same_name(g.session, found[0], CANDIDATES)
        rows = [runs.one(g.session, run.id) for run in others]
        return render_template(
            "compare/choose.html", run=runs.one(g.session, ids[0]), others=rows, ordered=_ordered
        )
    if request.args.get("format") in ("csv", "json"):
        return told()
    return render_template("compare/show.html", **_page(found))


@bp.get("/api/v1/compare")
def told() -> ResponseReturnValue:
    """Give what differs between runs as JSON; with `?format=csv`, what they measured as CSV."""
    ids = _ids()
    if len(ids) < 2:
        raise Refused("Name two runs or more to compare: ?runs=first,second.")
    for run_id in ids:
        runs.find_run(g.session, run_id)
    measured = compare.metrics([_values(run_id) for run_id in ids])
    if request.args.get("format") == "csv":
        answer = Response(_csv(ids, measured), mimetype="text/csv")
        save_as(answer, f"compare-{'-'.join(ids)}.csv")
        return answer
    before, after = (comparing.pieces(g.session, run_id) for run_id in ids[:2])
    return {
        "runs": ids,
        "metrics": [
            {"task_id": m.key, "name": m.name, "values": m.values, "differs": m.differs}
            for m in measured
        ],
        "files": [
            {"task_id": key, "path": path, "is_run_summary": area != "output", "way": way}
            for key in dict.fromkeys([*before, *after])
            for (area, path), way in beside.ways(before.get(key, {}), after.get(key, {})).items()
        ],
    }


def _ids() -> list[str]:
    words = [word for given in request.args.getlist("runs") for word in given.split(",")]
    ids = list(dict.fromkeys(word.strip() for word in words if word.strip()))
    if len(ids) > MOST:
        raise Refused(f"At most {MOST} runs are compared at once.")
    return ids


def _ordered(run: Run, other: Run) -> str:
    """Both, the older one first."""
    pair = sorted((run, other), key=lambda one: (one.created_at, one.id))
    return ",".join(one.id for one in pair)


def _values(run_id: str) -> dict[str, Mapping[str, Value]]:
    return {one.key: one.values for one in metrics.of_run(g.session, run_id) if one.values}


def _pair(ids: Sequence[str]) -> tuple[str, str]:
    """The two runs of which the files are compared."""
    wished = [word for word in request.args.get("pair", "").split(",") if word in ids]
    first, second = wished if len(wished) == 2 else ids[:2]
    return first, second


def _page(found: Sequence[Run]) -> dict[str, object]:
    ids = [run.id for run in found]
    is_all = "all" in request.args
    measured = compare.metrics([_values(run_id) for run_id in ids])
    shown = [metric for metric in measured if is_all or metric.differs]
    first, second = _pair(ids)
    kept = {name: request.args[name] for name in ("all", "y", "pair") if request.args.get(name)}

    def url(**what: object) -> str:
        words = {n: v for n, v in {"runs": ",".join(ids), **kept, **what}.items() if v is not None}
        return url_for("compare.show", **words)  # type: ignore[arg-type]

    return {
        "runs": [runs.one(g.session, run_id) for run_id in ids],
        "pair": (first, second),
        "url": url,
        "is_all": is_all,
        "metrics": [
            (one, list(zip(map(cell, one.values), one.values, one.changes, strict=True)))
            for one in shown[:METRICS]
        ],
        "metrics_more": max(0, len(shown) - METRICS),
        "metrics_same": len(measured) - sum(metric.differs for metric in measured),
        **_plot(ids, measured),
        **_tasks(first, second, is_all),
    }


def _plot(ids: Sequence[str], measured: Sequence[Metric]) -> dict[str, object]:
    """How one metric went from run to run, from three runs on."""
    names = list(dict.fromkeys(m.name for m in measured if any(map(is_finite, m.values))))
    y = request.args.get("y") if request.args.get("y") in names else next(iter(names), None)
    if len(ids) < 3 or y is None:
        return {"plot": None, "axes": [], "y": None}
    places = [float(n) for n in range(1, len(ids) + 1)]
    lines = [
        plot.Line(m.key, places, [number(v) if is_finite(v) else None for v in m.values])
        for m in measured
        if m.name == y
    ]
    drawn: Plot | None = plot.curves(lines[:LINES])
    return {"plot": drawn, "axes": names, "y": y}


def _tasks(first: str, second: str, is_all: bool) -> dict[str, object]:
    """The tasks of two runs in which anything differs, some of them in full."""
    sides = [comparing.sides(g.session, run_id) for run_id in (first, second)]
    pieces = [comparing.pieces(g.session, run_id) for run_id in (first, second)]
    keys = list(dict.fromkeys([*sides[0], *sides[1]]))
    differing = [key for key in keys if _differs(key, sides, pieces)]
    differing.sort(key=lambda key: not _is_summed_up(key, pieces))
    shown = keys if is_all else differing
    page = max(0, request.args.get("page", 0, int))
    here = shown[page * TASKS : (page + 1) * TASKS]
    return {
        "tasks": beside.tasks(g.session, (first, second), here, (sides[0], sides[1])),
        "task_count": len(shown),
        "tasks_same": len(keys) - len(differing),
        "page": page,
        "is_last": (page + 1) * TASKS >= len(shown),
    }


def _differs(
    key: str,
    sides: Sequence[Mapping[str, Side]],
    pieces: Sequence[Mapping[str, Mapping[beside.Place, Piece]]],
) -> bool:
    one, other = sides[0].get(key), sides[1].get(key)
    if one is None or other is None or one.state is not other.state:
        return True
    return any(
        way is not compare.Way.SAME
        for way in beside.ways(pieces[0].get(key, {}), pieces[1].get(key, {})).values()
    )


def _is_summed_up(key: str, pieces: Sequence[Mapping[str, Mapping[beside.Place, Piece]]]) -> bool:
    """Whether a task wrote a part of either run's summary: what people look at first."""
    return any(place[0] is Area.FRAGMENT for side in pieces for place in side.get(key, {}))


def _csv(ids: Sequence[str], measured: Sequence[Metric]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["task", "metric", *ids])
    for metric in measured:
        writer.writerow([unspoken(value) for value in (metric.key, metric.name, *metric.values)])
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()
