"""What is asked by those who only want to know whether the server is there."""

import os

from flask import Blueprint, g
from flask.typing import ResponseReturnValue

from scripthut import __version__
from scripthut.store.lease import leader
from scripthut.web import api

bp = Blueprint("probes", __name__)


@bp.get("/ping")
@bp.get("/healthz")
def ping() -> ResponseReturnValue:
    """Say that this process answers; nothing else is looked at."""
    return {"status": "pong", "pid": os.getpid(), "version": __version__}


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Say that the database answers, too; 503 where it does not (web/errors.py)."""
    return {"status": "ready", "engine": leader(g.session) is not None}


@bp.get("/health")
def health() -> ResponseReturnValue:
    """What `/api/v1/health` says, where older clients ask for it."""
    return api.health()
