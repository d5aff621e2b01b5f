"""Who is told what of a run: its own page, and the same for programs."""

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.core.errors import NotFound, Refused
from scripthut.core.units import rfc3339
from scripthut.store import messages, runs
from scripthut.web.extensions import config, database

bp = Blueprint("messages", __name__)


@bp.get("/runs/<run_id>/messages")
def show(run_id: str) -> str:
    """Show which channels follow a run, and what was told on them."""
    run = runs.one(g.session, run_id)
    asked = messages.followers(g.session, run_id)
    rows = [
        (one, one.interest.is_in(run.name, run.backend), one.name in asked)
        for one in config().notifications
    ]
    told = messages.of_run(g.session, run_id)
    return render_template("runs/messages.html", run=run, channels=rows, told=told)


@bp.post("/runs/<run_id>/messages/follow")
def follow(run_id: str) -> ResponseReturnValue:
    """Have a channel told of a run, or no longer (`off`)."""
    _follow(run_id, request.form.get("channel", ""), request.form.get("off") is None)
    return redirect(url_for("messages.show", run_id=run_id), 303)


@bp.get("/api/v1/runs/<run_id>/messages")
def api_show(run_id: str) -> dict[str, object]:
    """What was told of a run, and which channels asked to be told."""
    run = runs.one(g.session, run_id)
    told = [
        {
            "channel": one.channel,
            "event": f"run.{one.what.value}",
            "made_at": rfc3339(one.made_at),
            "sent_at": rfc3339(one.sent_at),
            "problem": one.problem,
        }
        for one in messages.of_run(g.session, run_id)
    ]
    following = sorted(messages.followers(g.session, run_id))
    return {"run_id": run.id, "followers": following, "messages": told}


@bp.post("/api/v1/runs/<run_id>/messages/follow")
def api_follow(run_id: str) -> dict[str, object]:
    """Have a channel told of a run: `{"channel": NAME, "off": true}` takes it back."""
    body = request.get_json()
    if not isinstance(body, dict) or not isinstance(body.get("channel"), str):
        raise Refused('The body must be {"channel": NAME}.')
    _follow(run_id, body["channel"], not body.get("off"))
    return {"run_id": run_id, "channel": body["channel"], "follows": not body.get("off")}


def _follow(run_id: str, channel: str, is_on: bool) -> None:
    names = [one.name for one in config().notifications]
    if is_on and channel not in names:
        known = ", ".join(names) or "none: name some under `notifications` in the configuration"
        raise NotFound(f"There is no channel {channel!r}. There are: {known}.")
    with database().writing() as session:
        act = messages.follow if is_on else messages.unfollow
        act(session, run_id, channel)
