"""JSON /api/v1/sources: what there is to start, and starting it.

Looking at a source and starting a workflow is the engine's work. A request for it waits up to
`?wait=` seconds (20; at most 60) for the engine, and else answers 202 with the order to ask for.
"""

import json
from collections.abc import Callable, Sequence

from flask import Blueprint, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.config import AnySource, GitSource
from scripthut.core.errors import Invalid, NotFound, Refused, Unreachable
from scripthut.core.mask import without_secrets_within
from scripthut.core.refs import shown, web_page
from scripthut.core.units import rfc3339
from scripthut.core.workflow.workflows import missing, overlay, stacks
from scripthut.store import runs, source_orders, sources
from scripthut.store.machines import pauses
from scripthut.store.machines.pauses import Kind
from scripthut.store.making import create
from scripthut.store.models import SourceOrder, SourceRow, WorkflowRow
from scripthut.store.source_orders import What
from scripthut.web.api import run_json
from scripthut.web.errors import as_json
from scripthut.web.extensions import config, database
from scripthut.web.pauses import pause_json
from scripthut.web.sources.orders import Wish, ask_start, ask_sync, await_end, part_of

bp = Blueprint("sources_api", __name__, url_prefix="/api/v1")
WAIT = 20.0  # seconds


@bp.get("/sources")
def index() -> ResponseReturnValue:
    """List the configured sources as they were last seen."""
    known, held = sources.every(g.session), sources.workflows(g.session)
    listed = [
        _source(part, known.get(part.name), held.get(part.name, ())) for part in config().sources
    ]
    return {"sources": listed}


@bp.get("/sources/<name>")
def show(name: str) -> ResponseReturnValue:
    """Give a source with the paths of its workflows."""
    part = part_of(name)
    held = sources.workflows(g.session, name).get(name, ())
    about = _source(part, sources.one(g.session, name), held)
    return {**about, "workflows": [row.path for row in held]}


@bp.get("/sources/<name>/workflows")
def workflows(name: str) -> ResponseReturnValue:
    """List a source's workflows, those with a problem too."""
    part_of(name)
    held = sources.workflows(g.session, name).get(name, ())
    return {"source": name, "workflows": [_workflow(row) for row in held]}


@bp.get("/sources/<name>/config")
def own_config(name: str) -> ResponseReturnValue:
    """Give what a source's own `scripthut.yaml` says, as it was last seen, without secrets.

    422 if it is wrong, 503 before the first look.
    """
    part_of(name)
    row = sources.one(g.session, name)
    if row is None or row.overlay is None:
        raise Unreachable(f"The source {name} has not been looked at yet: ask again in a moment.")
    content = row.overlay.encode() or None
    layer = overlay(name, content).kept()
    said = {
        "source": name,
        "config_present": content is not None,
        "env": layer["rules"],
        "env_groups": layer["groups"],
        "stacks": stacks(content),
    }
    return jsonify(without_secrets_within(said, config().settings.secret_names))


@bp.post("/sources/sync")
def sync_all() -> ResponseReturnValue:
    """Look at all sources again; 202 when the engine has not served all within the wait."""
    paused = pauses.every(g.session, Kind.SOURCE)
    asked = [(part, ask_sync(part)) for part in config().sources if part.name not in paused]
    return _synced(asked, lambda listed: {"sources": listed})


@bp.post("/sources/<name>/sync")
def sync(name: str) -> ResponseReturnValue:
    """Look at a source again: 200 with how it is then, its `error` included; else 202."""
    part = part_of(name)
    return _synced([(part, ask_sync(part))], lambda listed: listed[0])


@bp.post("/sources/<name>/run")
def run(name: str) -> ResponseReturnValue:
    """Start a workflow: `workflow`, `backend`, `branch`, `params`, `request_key`.

    From the query (`param.NAME` for a parameter) or a JSON body. 201 with the run; 200 when the
    request's key has made it before; 404 for no such workflow; 422 with `problems`; 202 with
    the order.
    """
    part, wish = part_of(name), _wish()
    key = wish.request_key
    was_made = isinstance(key, str) and create.of_request(g.session, key) is not None
    order = await_end(ask_start(part, wish), _wait())
    if order.run_id is None:
        return _unserved(order)
    with database().reading() as session:
        about = run_json(runs.one(session, order.run_id))
    location = url_for("api.run", run_id=order.run_id)
    return about, 200 if was_made else 201, {"Location": location}


@bp.post("/sources/<name>/dry-run")
def dry_run(name: str) -> ResponseReturnValue:
    """Show how a run would look, its tasks and their scripts; asked for like a run."""
    order = await_end(ask_start(part_of(name), _wish(), What.PREVIEW), _wait())
    return source_orders.result_of(order) or _unserved(order)


@bp.get("/source-orders/<order_id>")
def order(order_id: str) -> ResponseReturnValue:
    """Say what came of an order; it is forgotten an hour after it was served."""
    return _order(await_end(order_id, request.args.get("wait", 0.0, float)))


def _wait() -> float:
    return request.args.get("wait", WAIT, float)


def _wish() -> Wish:
    asked: dict[str, object] = {}
    if request.get_data(cache=True):
        try:
            body = json.loads(request.get_data())
        except (ValueError, RecursionError):
            raise Refused("The body is not JSON.") from None
        if not isinstance(body, dict):
            raise Refused('The body is not a mapping {"workflow": ...}.')
        asked |= body
    asked |= {key: value for key, value in request.args.items() if key in _KNOWN}
    unknown = sorted(asked.keys() - set(_KNOWN))
    if unknown:
        raise Invalid("The request", [f"{unknown[0]}: is not one of {', '.join(_KNOWN)}"])
    given = asked.pop("params", None)
    fields = {k.removeprefix("param."): v for k, v in request.args.items() if k[:6] == "param."}
    return Wish(params={**given, **fields} if isinstance(given, dict) else given or fields, **asked)


_KNOWN = ("workflow", "backend", "branch", "params", "request_key")


def _synced(
    asked: Sequence[tuple[AnySource, str]], shape: Callable[[list[dict[str, object]]], object]
) -> ResponseReturnValue:
    served = [await_end(order_id, _wait() / len(asked)) for _, order_id in asked]
    waiting = [order for order in served if order.ended_at is None]
    if waiting:
        return _unserved(waiting[0])
    with database().reading() as session:
        known, held = sources.every(session), sources.workflows(session)
        listed = [
            {
                **_source(part, known.get(part.name), held.get(part.name, ())),
                "workflows": [row.path for row in held.get(part.name, ())],
            }
            for part, _ in asked
        ]
    return shape(listed)  # type: ignore[return-value]


def _unserved(order: SourceOrder) -> ResponseReturnValue:
    """Why nothing came of an order, or where to ask for it later."""
    if order.problems is not None:
        absent = missing(order.workflow or "")
        if order.problems == [absent]:  # what another commit holds the engine alone knows
            raise NotFound(absent)
        said = f"{order.workflow} of {order.source} was not started."
        if order.what == What.PREVIEW:
            said = f"{order.workflow} of {order.source} could not be started."
        return as_json(said, order.problems), 422
    location = url_for("sources_api.order", order_id=order.id)
    return _order(order), 202, {"Location": location}


def _order(order: SourceOrder) -> dict[str, object]:
    states = {True: "served", False: "waiting"}
    return {
        "order": order.id,
        "source": order.source,
        "what": order.what,
        "workflow": order.workflow,
        "status": "refused" if order.problems else states[order.ended_at is not None],
        "problems": order.problems or [],
        "run_id": order.run_id,
        "url": url_for("sources_api.order", order_id=order.id),
    }


def _source(
    part: AnySource, row: SourceRow | None, held: Sequence[WorkflowRow]
) -> dict[str, object]:
    pause = pauses.of(g.session, Kind.SOURCE, part.name)
    about: dict[str, object] = {
        "name": part.name,
        "type": part.type,
        "description": part.description,
        "backend": part.backend,
    }
    if isinstance(part, GitSource):
        label = row.label if row else None
        about |= {
            "url": shown(part.url),
            "branch": row.ref if row and row.ref else part.branch,
            "cloned": label is not None,
            "last_commit": label,
            "last_commit_date": rfc3339(row.committed_at) if row else None,
            "last_commit_subject": row.subject if row else None,
            "commit_url": web_page(part.url, label) if label and "-" not in label else None,
        }
    else:
        about["path"] = part.path
    return about | {
        "looked_at": rfc3339(row.looked_at) if row else None,
        "error": row.message if row else None,
        "paused": pause_json(pause),
        "warnings": [w for w in [row.notice if row else None, *(h.problem for h in held)] if w],
        "workflow_count": len(held),
    }


def _workflow(row: WorkflowRow) -> dict[str, object]:
    return {
        "path": row.path,
        "title": row.title,
        "tasks": row.tasks,
        "params": row.params,
        "problem": row.problem,
    }
