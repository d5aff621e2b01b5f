"""WSGI entry: `gunicorn --worker-class gthread app:app`; $SCRIPTHUT_CONFIG names the settings."""

from scripthut.cli import logs
from scripthut.cli.configuration import settle
from scripthut.cli.server import application
from scripthut.store.keeping.migrate import upgrade

logs.set_up()
live = settle(None)
upgrade(live.config.database_url)
app = application(live)
