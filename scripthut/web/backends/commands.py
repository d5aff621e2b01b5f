"""The last commands on a backend: what was asked, how it went, and what was said of it."""

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.commands import Command, parts_as_json
from scripthut.core.errors import NotFound
from scripthut.core.units import rfc3339
from scripthut.store.lease import leader
from scripthut.store.machines import commands, surveys
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx

bp = Blueprint("commands", __name__)


@bp.get("/backends/<name>/log")
def index(name: str) -> ResponseReturnValue:
    """Show the last commands on a backend; with `show=failures` those that went wrong."""
    kind = _look(name)
    just_bad = request.args.get("show") == "failures"
    return render_template(
        "backends/_log.html" if htmx else "backends/log.html",
        name=name,
        kind=kind,
        just_bad=just_bad,
        found=commands.last(g.session, name, just_bad),
        leader=leader(g.session),
    )


@bp.get("/api/v1/backends/<name>/log")
def api_index(name: str) -> ResponseReturnValue:
    """Give the last commands, the newest first; `failures=1`: those that went wrong alone."""
    _look(name)
    just_bad = request.args.get("failures", "") not in ("", "0", "false")
    found = commands.last(g.session, name, just_bad)
    return {"name": name, "commands": [_json(command) for _, command in found]}


def _look(name: str) -> str:
    """Note that somebody looks; the backend's type. NotFound when there is no such backend."""
    for part in config().backends:
        if part.name == name:
            surveys.look_at_log(database(), name, utcnow())
            return str(part.type)
    raise NotFound(f"There is no backend {name} in the configuration.")


def _json(command: Command) -> dict[str, object]:
    return {
        "at": rfc3339(command.at),
        "what": command.what,
        "command": command.command,
        "is_bad": command.is_bad,
        "exit_code": command.code,
        "milliseconds": command.milliseconds,
        "sent": command.sent,
        "received": command.received,
        "error": command.error or None,
        "parts": parts_as_json(command.parts),
    }
