"""Conditions by which SQLite finds the right index; it does not count rows, and guesses."""

from sqlalchemy import ColumnElement

from scripthut.store.models import Run


def on_backend(name: str) -> ColumnElement[bool]:
    """Whether a run is on a backend, in a question that begins elsewhere than with the runs.

    SQLite, which does not count rows, would begin with all runs there ever were on it, and go
    through all of their tasks: what no index holds cannot mislead it.
    """
    return Run.backend.concat("") == name
