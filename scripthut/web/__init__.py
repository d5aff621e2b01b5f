"""HTTP in, HTML or JSON out. It reads and writes the database and never touches a cluster."""

from flask import Flask, g
from flask.typing import ResponseReturnValue

from scripthut import __version__
from scripthut.config import Config, Live
from scripthut.ids import new_nonce
from scripthut.places import STATIC, TEMPLATES
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.files.recent import Recent
from scripthut.web import (
    api,
    auth,
    configuration,
    errors,
    filters,
    messages,
    news,
    overview,
    palette,
    pauses,
    probes,
    questions,
    settings,
)
from scripthut.web.backends import commands, disk, disk_api, logins, queue
from scripthut.web.backends import page as backends
from scripthut.web.htmx import htmx
from scripthut.web.numbers import Asked, Number
from scripthut.web.outputs import diagrams, fetching, sandbox, views
from scripthut.web.outputs import page as outputs
from scripthut.web.runs import compare, gallery, look, metrics, retention, selection
from scripthut.web.runs import page as runs
from scripthut.web.sources import api as sources_api
from scripthut.web.sources import page as sources
from scripthut.web.takeaway import page as takeaway
from scripthut.web.tasks import attempts, environments, retries, vouching
from scripthut.web.tasks import panel as tasks

PATIENCE = 5.0  # seconds that a request waits for another writer; the engine has more
PARTS = (
    *(overview, news, palette, questions, pauses, messages, configuration, settings, probes, api),
    *(runs, compare, gallery, metrics, retention, selection, takeaway),
    *(tasks, attempts, environments, retries, vouching),
    *(outputs, views, fetching, sandbox, diagrams),
    *(backends, commands, disk, disk_api, logins, queue),
    *(sources, sources_api),
)
LARGEST = 64 * 1024 * 1024  # bytes of a request's body
A_DAY = 86400  # seconds; the addresses of static files carry their content's hash


class Hut(Flask):
    """The application: every view runs inside one reading transaction, `g.session`."""

    request_class = Asked

    def dispatch_request(self) -> ResponseReturnValue:
        database: Database = self.extensions["database"]
        with database.reading() as g.session:
            return super().dispatch_request()


def create_app(config: Config | Live) -> Flask:
    """Make the WSGI application; connections to the database are opened when first needed."""
    live = Live.of(config)
    config = live.config
    app = Hut("scripthut", template_folder=str(TEMPLATES), static_folder=str(STATIC))
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = A_DAY
    app.url_map.converters["int"] = Number
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["database"] = Database(config.database_url, PATIENCE)
    app.extensions["recent"] = Recent()
    app.extensions["kept"] = Kept(config.data_dir / "kept")
    app.jinja_env.globals["version"] = __version__
    app.jinja_env.globals["fresh_key"] = new_nonce
    configuration.init_app(app, live)
    auth.init_app(app, live)
    errors.init_app(app)
    filters.init_app(app)
    htmx.init_app(app)
    look.init_app(app)
    for part in PARTS:
        app.register_blueprint(part.bp)
    return app
