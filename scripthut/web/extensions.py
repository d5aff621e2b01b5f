"""What the running application works with, typed."""

from flask import current_app

from scripthut.config import Config
from scripthut.store.db import Database
from scripthut.store.kept import Kept


def config() -> Config:
    """The configuration that the application was made with."""
    found: Config = current_app.extensions["hut"]
    return found


def database() -> Database:
    """The database; for reading, a view has `g.session` already."""
    found: Database = current_app.extensions["database"]
    return found


def kept() -> Kept:
    """The bytes that the engine fetched."""
    found: Kept = current_app.extensions["kept"]
    return found
