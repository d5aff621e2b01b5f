"""Claimed tasks become jobs: one command for all of them, and whatever came back is written."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from scripthut.core.jobs import Accepted, Rejected, Token
from scripthut.core.states import Event
from scripthut.engine.base import Hands
from scripthut.engine.jobs import job_of, singly
from scripthut.store import tasks as store
from scripthut.store.db import Session
from scripthut.store.models import Task

log = logging.getLogger(__name__)


def submit(hands: Hands, tasks: Sequence[Task], now: datetime) -> bool:
    """Submit claimed tasks. A task without an answer stays `submitting`: the next look finds it.

    True when the scheduler said "not now" to any of them: claims pause for a while.
    """
    home = hands.backend.home()
    jobs = singly(tasks, lambda task: job_of(task, home))
    answers = hands.backend.submit(list(jobs.values()))
    with hands.writing() as session:
        for task in tasks:
            _write(session, task, answers, now)
    return any(isinstance(answer, Rejected) and answer.wait for answer in answers.values())


def _write(
    session: Session, task: Task, answers: Mapping[Token, Accepted | Rejected], now: datetime
) -> None:
    answer = answers.get(task.token or "")
    if answer is None:
        log.warning("submission unknown run=%s task=%s: will be looked up", task.run_id, task.key)
    elif isinstance(answer, Accepted):
        facts: dict[str, object] = {"job_id": answer.job_id, "accepted_at": now}
        facts["missing_since"] = None
        if store.move(session, task, Event.ACCEPTED, now, facts):
            log.info("job run=%s task=%s id=%s", task.run_id, task.key, answer.job_id)
    elif answer.wait:
        facts = {"reason": f"Waits: {answer.why}", "submitted_at": None}
        if task.missing_since is None:
            facts["token"] = None  # no submission is out there whose outcome nobody knows
        store.move(session, task, Event.NOT_FOUND, now, facts)
    else:
        log.warning("job refused run=%s task=%s: %s", task.run_id, task.key, answer.why)
        facts = {"reason": f"The scheduler refused it: {answer.why}"}
        store.move(session, task, Event.REFUSED, now, facts)
