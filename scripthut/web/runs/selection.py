"""Runs that are picked in their list: forgotten together. From the pages and from programs."""

from collections.abc import Sequence

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.core.errors import Conflict, Invalid, Refused
from scripthut.core.units import size
from scripthut.store.keeping import removal
from scripthut.store.keeping.removal import MOST, Removal
from scripthut.store.runs import Which
from scripthut.web.extensions import database
from scripthut.web.htmx import htmx
from scripthut.web.numbers import LONGEST
from scripthut.web.questions import Question, asked, done, some
from scripthut.web.starts import asked_for

bp = Blueprint("selection", __name__)


@bp.get("/runs/ask/delete")
def ask_delete() -> str:
    """Ask whether the runs are forgotten that are picked, or with `ended` all like those shown."""
    run_ids = _ids(request.args.getlist("runs"))
    is_cut = False
    if "ended" in request.args:
        find, backend = request.args.get("find", "").strip(), request.args.get("backend", "")
        every = removal.ended(g.session, Which(find[:LONGEST], backend))
        run_ids, is_cut = every[:MOST], len(every) > MOST
    if not run_ids:
        raise Refused("No run is picked: mark some in the list of runs.")
    return asked(_question(removal.removal(g.session, run_ids), is_cut))


def _question(found: Removal, is_cut: bool) -> Question:
    stays = [f"{run_id} {why}" for run_id, why in found.stays]
    if not found.goes:
        raise Conflict(f"None of these runs can be deleted: {', '.join(stays[:5])}.")
    number, held = len(found.goes), found.held
    backends = ", ".join(sorted({run.backend for run in found.goes}))
    it = "it" if number == 1 else "them"
    kept = f"with {size(held.bytes)} in {some(held.files, 'file')} and in logs"
    said = [
        f"The server forgets {it}, {kept}." if held.bytes else f"The server forgets {it}.",
        f"What was written on {backends} stays there. This cannot be undone.",
    ]
    if is_cut:
        said.append(f"These are the newest {MOST}; ask again for the others.")
    goes = [f"{run.name} {run.id}" for run in found.goes]
    named = {"What goes": goes} | ({"What stays": stays} if stays else {})
    return Question(
        title=f"Delete {some(number, 'run')}?",
        said=tuple(said),
        yes=f"Delete {some(number, 'run')}",
        action=url_for("selection.delete"),
        back=url_for("runs.index"),
        no="Keep them" if number > 1 else "Keep it",
        ends=True,
        sent={"run_ids": ",".join(run.id for run in found.goes)},
        named=named,
    )


@bp.post("/runs/delete")
def delete() -> ResponseReturnValue:
    """Forget the runs `run_ids`, as far as they have ended and are not pinned; show the others."""
    gone, kept = _remove(_ids(request.form.getlist("run_ids")))
    if not htmx:
        return redirect(url_for("runs.index"), 303)
    stay = "; ".join(f"{run_id} {why}" for run_id, why in kept)
    return done(f"Deleted {some(len(gone), 'run')}" + (f". {stay}" if stay else ""), "")


@bp.post("/api/v1/runs/delete")
def api_delete() -> ResponseReturnValue:
    """Forget many runs, `{"run_ids": [...]}`; `kept` says which stay, and why."""
    given = asked_for().get("run_ids")
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Invalid("The body", ['is not {"run_ids": ["ID", ...]}'])
    gone, kept = _remove(_ids(given))
    return {"deleted": gone, "kept": [{"run_id": one, "why": why} for one, why in kept]}


def _ids(given: Sequence[str]) -> list[str]:
    """The ids in a request, each once; Refused when there are too many."""
    found = list(dict.fromkeys(word for words in given for word in words.split(",") if word))
    if len(found) > MOST:
        raise Refused(f"{len(found)} runs are named, and at most {MOST} go at once.")
    return found


def _remove(run_ids: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Those that are gone; those that stay, with why. One run, one transaction."""
    gone, kept = [], []
    for run_id in run_ids:
        with database().writing() as session:
            why = removal.remove_unless_kept(session, run_id)
        if why is None:
            gone.append(run_id)
        else:
            kept.append((run_id, why))
    return gone, kept
