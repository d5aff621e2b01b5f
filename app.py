"""WSGI entry: `gunicorn --worker-class gthread app:app`; $SCRIPTHUT_CONFIG names the settings."""

import os
from pathlib import Path

from scripthut.cli import logs
from scripthut.cli.configuration import settle
from scripthut.cli.server import application
from scripthut.store.migrate import upgrade

named = os.environ.get("SCRIPTHUT_CONFIG")

logs.set_up()
config = settle(Path(named) if named else None)
upgrade(config.database_url)
app = application(config)
