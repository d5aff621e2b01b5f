"""The configuration that this process follows: looked at with each request, or when told."""

import logging

from flask import Blueprint, Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue

from scripthut.config import Live, News
from scripthut.core.errors import Invalid
from scripthut.web import extensions

bp = Blueprint("configuration", __name__)
log = logging.getLogger(__name__)


def init_app(app: Flask, live: Live) -> None:
    """Follow the files; every page can say what is wrong with them."""
    app.extensions["live"] = live
    app.jinja_env.globals["configuration_news"] = lambda: live.news
    app.jinja_env.globals["is_configured"] = lambda name: any(
        backend.name == name for backend in live.config.backends
    )

    @app.before_request
    def look() -> None:
        if request.endpoint != "static":
            tell(live, live.look())


@bp.get("/configuration")
def notice() -> ResponseReturnValue:
    """Say what is wrong with the configuration's files; nothing while they hold."""
    return render_template("backends/_configuration.html")


@bp.post("/api/v1/reload")
def reload() -> ResponseReturnValue:
    """Read the configuration now; the other processes follow by themselves within seconds.

    `changed` names what the last change was, `restart` the settings for which the server's
    processes have to begin anew. They do so then (`anew`), where this server can have them.
    """
    live = extensions.live()
    tell(live, live.look(at_once=True))
    if live.problem is not None:
        raise Invalid(live.problem.what, live.problem.problems)
    begin_anew = current_app.extensions.get("begin_anew")
    is_anew = begin_anew is not None and bool(live.news.restart)
    if begin_anew is not None and is_anew:
        begin_anew()
    return _said(live) | {"ok": True, "anew": is_anew}


def _said(live: Live) -> dict[str, object]:
    files = [str(path) for path in live.where.files()] if live.where else []
    words = {"changed": list(live.news.changed), "restart": list(live.news.restart)}
    return {"generation": live.generation, "files": files, **words}


def health(live: Live) -> dict[str, object]:
    """The configuration as `GET /api/v1/health` tells it."""
    problem = live.problem
    return {
        "generation": live.generation,
        "problems": [f"{problem.what}: {one}" for one in problem.problems] if problem else [],
        "restart": list(live.news.restart),
    }


def tell(live: Live, found: News | None) -> None:
    """Log what a look at the files found."""
    if found is None:
        return
    if found.problem is not None:
        log.error("configuration not used, the one before goes on: %s", found.problem)
    else:
        what = "; ".join(found.changed) or "nothing that is used"
        late = ",".join(found.restart) or "none"
        log.info("configuration generation=%s %s once_begun_anew=%s", live.generation, what, late)
