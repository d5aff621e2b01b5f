"""What the running application works with, typed."""

from flask import current_app

from scripthut.config import Config, Live
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.files.recent import Recent


def config() -> Config:
    """The configuration as it holds now."""
    return live().config


def live() -> Live:
    """The configuration and its files."""
    found: Live = current_app.extensions["live"]
    return found


def database() -> Database:
    """The database; for reading, a view has `g.session` already."""
    found: Database = current_app.extensions["database"]
    return found


def kept() -> Kept:
    """The bytes that the engine fetched."""
    found: Kept = current_app.extensions["kept"]
    return found


def recent() -> Recent:
    """Fragments that this process has made not long ago."""
    found: Recent = current_app.extensions["recent"]
    return found
