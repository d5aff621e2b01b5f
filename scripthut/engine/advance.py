"""What may start now: broken dependencies cascade, and ready tasks are claimed for submission."""

import logging
from collections.abc import Sequence
from datetime import datetime

from scripthut import ids
from scripthut.core.graph import Node, cascade, ready
from scripthut.core.paths import log_dir
from scripthut.core.plan import Claimant, allot
from scripthut.core.states import Event
from scripthut.engine.base import Hands
from scripthut.store import tasks as store
from scripthut.store.db import Session
from scripthut.store.models import Task

log = logging.getLogger(__name__)
AT_ONCE = 100  # tasks claimed in one cycle: one command submits them


def advance(hands: Hands, cap: int, now: datetime) -> Sequence[Task]:
    """Cascade, then claim what the caps allow; the claimed tasks, committed, not yet submitted."""
    with hands.reading() as session:
        runs = store.active_runs(session, hands.backend.name)
        graphs = {run.id: store.nodes(session, run.id) for run in runs}
        live = store.live_counts(session, hands.backend.name)
    for run in runs:
        _break_dependents(hands, graphs[run.id], now)
    can_start = {run.id: ready(graphs[run.id]) for run in runs}
    claimants = [Claimant(run.id, len(can_start[run.id]), live.get(run.id, 0)) for run in runs]
    free = min(cap - sum(live.values()), AT_ONCE)
    shares = allot(free, claimants)
    chosen = [node.id for run in runs for node in can_start[run.id][: shares[run.id]]]
    return _claim(hands, chosen, now) if chosen else ()


def _break_dependents(hands: Hands, nodes: Sequence[Node], now: datetime) -> None:
    """End the tasks that can never start because something they need ended badly."""
    doomed = cascade(nodes)
    if not doomed:
        return
    with hands.writing() as session:
        for task in store.by_ids(session, doomed):
            reason = f"Dependency {doomed[task.id]!r} did not complete"
            store.move(session, task, Event.DEPENDENCY_FAILED, now, {"reason": reason})


def _claim(hands: Hands, chosen: Sequence[int], now: datetime) -> Sequence[Task]:
    """Commit the intent to submit, before anything is done."""
    home = hands.backend.home()
    with hands.writing() as session:
        tasks = store.by_ids(session, chosen)
        for task in tasks:
            if task.run.log_dir is None:
                task.run.log_dir = str(log_dir(home, task.run.name))
        session.flush()
        return [task for task in tasks if _claim_one(session, task, now)]


def _claim_one(session: Session, task: Task, now: datetime) -> bool:
    facts = {
        "token": ids.token(task.run_id, task.n, task.attempt),
        "submitted_at": now,
        "job_id": None,
        "missing_since": None,
        "reason": None,
    }
    return store.move(session, task, Event.CLAIMED, now, facts)
