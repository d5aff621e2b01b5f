"""What may start now: broken dependencies cascade, and ready tasks are claimed for submission."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from scripthut.core import tokens
from scripthut.core.paths import log_dir
from scripthut.core.plan import Claimant, allot
from scripthut.core.states import Event
from scripthut.core.workflow.env import Resolved
from scripthut.core.workflow.graph import Node
from scripthut.core.workflow.rules import Layer
from scripthut.engine.base import Hands
from scripthut.engine.graphs import Graphs
from scripthut.engine.jobs import singly
from scripthut.store import tasks as store
from scripthut.store.db import Session
from scripthut.store.machines import checkouts
from scripthut.store.making import env, retries
from scripthut.store.models import Run, Task
from scripthut.store.orders import UNSUBMITTED

_T = TypeVar("_T")

log = logging.getLogger(__name__)
AT_ONCE = 100  # tasks claimed in one cycle: one command submits them
UNRESOLVED = "Its environment cannot be put together: see the log."
ARRAYS_AT_ONCE = 1000  # with those that one submission can carry as an array


def advance(
    hands: Hands,
    graphs: Graphs,
    cap: int,
    now: datetime,
    of_sources: Mapping[str, int] | None = None,
) -> Sequence[Task]:
    """Cascade, then claim what the caps allow; the claimed tasks, committed, not yet submitted.

    `of_sources`: how many tasks of all runs of a source may be live here at once.
    """
    _drop_unwanted(hands, now)
    _try_again(hands, now)
    with hands.reading() as session:
        runs = store.active_runs(session, hands.backend.name)
        found = graphs.read(session, runs)
        live = store.live_counts(session, hands.backend.name)
        unplaced = checkouts.waiting(session, hands.backend.name)
    for run in runs:
        _break_dependents(hands, run.id, found[run.id].doomed, now)
    can_start = {run.id: () if run.id in unplaced else found[run.id].ready for run in runs}
    for source, most in (of_sources or {}).items():
        own = [run for run in runs if run.source == source]
        rest = most - sum(live.get(run.id, 0) for run in own)
        shares = allot(rest, _claimants(own, can_start, live))
        can_start |= {run.id: can_start[run.id][: shares[run.id]] for run in own}
    claimants = _claimants(runs, can_start, live)
    most = ARRAYS_AT_ONCE if hands.backend.makes_arrays else AT_ONCE
    free = min(cap - sum(live.values()), most)
    shares = allot(min(free, AT_ONCE), claimants)
    chosen = [node.id for run in runs for node in can_start[run.id][: shares[run.id]]]
    if free > AT_ONCE:
        shares = allot(free, claimants)
        more = [node.id for run in runs for node in can_start[run.id][: shares[run.id]]]
        with hands.reading() as session:
            chosen += sorted(store.of_arrays(session, set(more) - set(chosen)))
    return [task for part in _parts(chosen) for task in _claim(hands, part, now)]


def _claimants(
    runs: Sequence[Run], can_start: Mapping[str, Sequence[Node]], live: Mapping[str, int]
) -> list[Claimant]:
    return [Claimant(run.id, len(can_start[run.id]), live.get(run.id, 0)) for run in runs]


def _break_dependents(hands: Hands, run_id: str, broken: Mapping[int, str], now: datetime) -> None:
    """End the tasks that can never start because something they need ended badly."""
    broken_by: dict[str, list[int]] = {}
    for task_id, key in broken.items():
        broken_by.setdefault(key, []).append(task_id)
    doomed = [(key, part) for key, some in broken_by.items() for part in _parts(some)]
    for parts in _parts(doomed):  # others write between two parts
        with hands.writing() as session:
            for key, some in parts:
                reason = f"Dependency {key!r} did not complete"
                store.move_pending(session, run_id, Event.DEPENDENCY_FAILED, now, reason, some)


def _drop_unwanted(hands: Hands, now: datetime) -> None:
    """End the tasks whose submission came to nothing after their cancellation was ordered.

    One that was submitted without a known outcome is looked for first, and its token withdrawn.
    """
    with hands.reading() as session:
        by_run = store.unwanted(session, hands.backend.name)
    again = {"submitted_at": now, "cancel_sent_at": None, "reason": None}
    for run_id, unwanted in by_run.items():
        with hands.writing() as session:
            nowhere = [task.id for task in unwanted if task.token is None]
            store.move_pending(session, run_id, Event.CANCELLED, now, UNSUBMITTED, nowhere)
            for task in unwanted:
                if task.token is not None:
                    store.move(session, task, Event.CLAIMED, now, again)


def _try_again(hands: Hands, now: datetime) -> None:
    """Let the tasks whose back-off is over be their next attempts; one run, one transaction."""
    with hands.reading() as session:
        found = retries.due(session, hands.backend.name, now)
    by_run: dict[str, list[Task]] = {}
    for task in found:
        by_run.setdefault(task.run_id, []).append(task)
    for tasks in by_run.values():
        with hands.writing() as session:
            for task in tasks:
                if retries.try_again(session, task, now):
                    log.info("tried again run=%s task=%s", task.run_id, task.key)


def _parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (values[at : at + AT_ONCE] for at in range(0, len(values), AT_ONCE))


def _claim(hands: Hands, chosen: Sequence[int], now: datetime) -> Sequence[Task]:
    """Commit the intent to submit, before anything is done."""
    home = hands.backend.home()
    above: dict[str, list[Layer]] = {}
    with hands.writing() as session:
        tasks = store.by_ids(session, chosen)
        for task in tasks:
            if task.run.log_dir is None:
                task.run.log_dir = str(log_dir(home, task.run.name))
            above.setdefault(task.run_id, env.layers(task.run))
        session.flush()
        wanted = [task for task in tasks if task.cancel_asked_at is None]
        given = singly(wanted, lambda t: env.resolved(t, above[t.run_id], hands.kind))
        known = [task for task in wanted if task.id in given]
        for task in wanted:
            if task.id not in given and task.reason != UNRESOLVED:
                store.learn(session, task, {"reason": UNRESOLVED})
        return [task for task in known if _claim_one(session, task, given[task.id], now)]


def _claim_one(session: Session, task: Task, given: Resolved, now: datetime) -> bool:
    facts = {
        "env": given.kept(),
        "token": tokens.token(task.run_id, task.n, task.attempt),
        "submitted_at": now,
        "job_id": None,
        "reason": None,  # `missing_since` stays: an earlier submission may still arrive
    }
    return store.move(session, task, Event.CLAIMED, now, facts)
