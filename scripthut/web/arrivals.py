"""What ended tasks left where they ran: whether it may still come, and a moment to wait for it.

The engine fetches it by itself for a day, and then while somebody looks at the run: a run of an
older version, say, whose files lie on a cluster.
"""

import time
from datetime import datetime

from flask import g

from scripthut.clock import utcnow
from scripthut.core.states import TERMINAL
from scripthut.store import collected, runs, watches
from scripthut.store.models import Task
from scripthut.store.tasks import COLLECT_FOR
from scripthut.web.extensions import config, database

PATIENCE = 3.0  # seconds that a question waits for the engine to fetch
PAUSE = 0.1


def is_done(task: Task) -> bool:
    """Whether a task has ended and nothing that it left will come any more. Its run is loaded."""
    if collected.is_done(task):
        return True
    since = _since(task.run.backend)
    if since is None or task.ended_seen_at is None:
        return False
    return task.state in TERMINAL and task.ended_seen_at <= since


def is_settled(run_id: str, backend: str) -> bool:
    """Whether nothing about an ended run will change by itself."""
    return collected.is_settled(g.session, run_id, _since(backend))


def why_not(task: Task) -> str | None:
    """Why what a task left cannot come, as a sentence; None: it has come, or it may."""
    if collected.is_done(task) or not is_done(task):
        return None
    return (
        f"What it left on {task.run.backend} was not fetched, and there is no backend of that "
        "name any more: put one into the configuration, and look again."
    )


def look(run_id: str) -> None:
    """Have fetched what an ended run left, and give the engine a moment for it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with database().reading() as session:
            pulse = runs.pulse(session, run_id)
            is_here = collected.is_settled(session, run_id, _since(pulse.backend))
        if pulse.ended_at is None or pulse.ended_at > utcnow() - COLLECT_FOR or is_here:
            return
        watches.renew(database(), run_id, 0, "run", utcnow())
        if time.monotonic() > deadline:
            return
        time.sleep(PAUSE)


def _since(backend: str) -> datetime | None:
    """What ended before can no longer be fetched from a backend; None: all can."""
    if any(one.name == backend for one in config().backends):
        return None
    return utcnow() - COLLECT_FOR
