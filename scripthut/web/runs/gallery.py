"""One plot over all tasks of a run: a wall of thumbnails, and each of them large."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound
from scripthut.core.measures.board import Line, board
from scripthut.core.measures.metrics import Value
from scripthut.store import metrics, outputs, runs, watches
from scripthut.store.files import pictures
from scripthut.store.files.pictures import Group, Shot
from scripthut.store.models import Output
from scripthut.web.extensions import database, kept
from scripthut.web.htmx import htmx
from scripthut.web.outputs import files
from scripthut.web.runs.metrics import cell, wish

bp = Blueprint("gallery", __name__)

WALL = 100  # pictures on a page
GLANCE = 8  # of each group, where there are several
GROUPS = 24  # on a page
BESIDE = 4  # thumbnails at each side of the large picture
A_DAY = "private, max-age=86400, immutable"


@dataclass(frozen=True)
class Tile:
    """A picture on the wall, and what the metric that the wall is sorted by says of its task."""

    shot: Shot
    says: str


@bp.get("/runs/<run_id>/tasks/<key>/outputs/thumb/<int:row>")
def thumb(run_id: str, key: str, row: int) -> Response:
    """Send a picture's thumbnail; the picture itself while, or because, there is none."""
    files.refuse_to_run()
    file = outputs.file_by_row(g.session, run_id, key, row)
    name = pictures.thumb(g.session, file.sha256 or "")
    if name is None or name == file.sha256 or not kept().has(name):
        return files.sent(file)
    headers = {**files.HEADERS, "Cache-Control": A_DAY if _is_marked(file) else "private, no-cache"}
    small = Output(path=f"{file.path}.webp", sha256=name)
    return files.with_headers(small, "image/webp", headers)


def _is_marked(file: Output) -> bool:
    """Whether the address says which content is meant, so that it never means another one."""
    return bool(file.sha256) and request.args.get("v") == (file.sha256 or "")[:12]


@bp.get("/runs/<run_id>/gallery")
def show(run_id: str) -> ResponseReturnValue:
    """Show a run's pictures by their names; those of one name as a wall; one of them large."""
    pulse = runs.pulse(g.session, run_id)
    watches.renew(database(), run_id, 0, "run", utcnow())
    if htmx.targets("wall") and request.args.get("since", -1, int) == pulse.version:
        return "", 204
    found = pictures.groups(g.session, run_id)
    name = request.args.get("plot", found[0].path if len(found) == 1 else None)
    context: dict[str, object] = {
        "run": runs.one(g.session, run_id),
        "since": pulse.version,
        "groups": found,
        "name": name,
    }
    if name is None:
        context |= _overview(run_id, found)
    elif "at" in request.args:
        return render_template("gallery/large.html", **context, **_large(run_id, name))
    else:
        context |= _wall(run_id, name)
    page = "gallery/_wall.html" if htmx.targets("wall") else "gallery/show.html"
    return render_template(page, **context)


@bp.get("/api/v1/runs/<run_id>/gallery")
def told(run_id: str) -> ResponseReturnValue:
    """Give the pictures of a run by their paths; with `?plot=`, those of one path."""
    runs.find_run(g.session, run_id)
    name = request.args.get("plot")
    if name is None:
        found = pictures.groups(g.session, run_id)
        return {"run_id": run_id, "plots": [{"path": o.path, "count": o.count} for o in found]}
    shots, _, _ = _chosen(run_id, name)
    listed = [
        {
            "task_id": one.key,
            "path": one.path,
            "size": one.size,
            "sha256": one.sha256,
            "width": one.width,
            "height": one.height,
            "url": url_for("outputs.file_by_row", run_id=run_id, key=one.key, row=one.row),
            "thumb_url": thumb_url(run_id, one),
        }
        for one in shots
    ]
    return {"run_id": run_id, "plot": name, "pictures": listed}


def thumb_url(run_id: str, shot: Shot) -> str:
    """Where a picture's thumbnail is, by an address that may be kept for long."""
    place = {"run_id": run_id, "key": shot.key, "row": shot.row}
    return url_for("gallery.thumb", **place, v=shot.sha256[:12])  # type: ignore[arg-type]


def _overview(run_id: str, found: Sequence[Group]) -> dict[str, object]:
    page = max(0, request.args.get("page", 0, int))
    shown = found[page * GROUPS : (page + 1) * GROUPS]
    return {
        "page": page,
        "is_last": (page + 1) * GROUPS >= len(found),
        "glances": [(o, pictures.shots(g.session, run_id, o.path, GLANCE)) for o in shown],
        "thumb_url": thumb_url,
        "url": _urls(run_id),
    }


def _wall(run_id: str, name: str) -> dict[str, object]:
    shots, values, names = _chosen(run_id, name)
    page = max(0, request.args.get("page", 0, int))
    sort = wish().sort
    shown = shots[page * WALL : (page + 1) * WALL]
    return {
        "tiles": [Tile(one, cell(values.get(one.key, {}).get(sort))) for one in shown],
        "total": len(shots),
        "start": page * WALL,
        "page": page,
        "is_last": (page + 1) * WALL >= len(shots),
        "names": names,
        "wish": wish(),
        "thumb_url": thumb_url,
        "url": _urls(run_id, name),
    }


def _chosen(
    run_id: str, name: str
) -> tuple[list[Shot], Mapping[str, Mapping[str, Value]], list[str]]:
    """A group's pictures in the wished order, their tasks' metrics, and the metrics' names."""
    shots = pictures.shots(g.session, run_id, name)
    found = {one.key: one for one in metrics.of_run(g.session, run_id)}
    lines = [
        Line(one.key, one.name, one.state, one.values)
        for key in dict.fromkeys(shot.key for shot in shots)
        if (one := found.get(key))
    ]
    chosen = board(lines, wish())
    place = {line.key: n for n, line in enumerate(chosen.lines)}
    kept_shots = [shot for shot in shots if shot.key in place]
    kept_shots.sort(key=lambda shot: place[shot.key])
    return kept_shots, {line.key: line.values for line in lines}, list(chosen.names)


def _large(run_id: str, name: str) -> dict[str, object]:
    shots, values, _ = _chosen(run_id, name)
    at = request.args.get("at", 0, int)
    place = next((n for n, shot in enumerate(shots) if shot.row == at), None)
    if place is None:
        raise NotFound("There is no such picture here any more. The wall shows those there are.")
    shot = shots[place]
    file = outputs.file_by_row(g.session, run_id, shot.key, shot.row)
    first = max(0, place - BESIDE)
    return {
        "shot": shot,
        "place": place + 1,
        "count": len(shots),
        "previous": shots[place - 1] if place else None,
        "next": shots[place + 1] if place + 1 < len(shots) else None,
        "beside": shots[first : place + BESIDE + 1],
        "page": place // WALL,
        "address": files.url_of(run_id, shot.key, file),
        "values": [(n, cell(v)) for n, v in list(values.get(shot.key, {}).items())[:12]],
        "thumb_url": thumb_url,
        "url": _urls(run_id, name),
    }


class _urls:
    """Addresses of this gallery, with the wishes that the present one holds."""

    def __init__(self, run_id: str, name: str | None = None) -> None:
        self._run_id = run_id
        kept_words = {
            n: request.args[n] for n in ("sort", "order", "q", "tile") if request.args.get(n)
        }
        self._words: dict[str, object] = {**({} if name is None else {"plot": name}), **kept_words}

    def __call__(self, **what: object) -> str:
        words = {n: v for n, v in {**self._words, **what}.items() if v is not None}
        return url_for("gallery.show", run_id=self._run_id, **words)  # type: ignore[arg-type]
