"""What a look brought besides our tasks, written down; and orders to cancel other jobs, sent."""

import logging
from datetime import datetime

from scripthut.core.queue import Queue
from scripthut.core.survey import Surveyed
from scripthut.engine.base import Hands
from scripthut.store.machines import surveys

log = logging.getLogger(__name__)


def survey(hands: Hands, surveyed: Surveyed, now: datetime) -> None:
    """Write what was told, then send the orders of jobs that the queue still has."""
    if surveyed == Surveyed():
        return
    name = hands.backend.name
    with hands.writing() as session:
        surveys.record(session, name, surveyed, now)
    if surveyed.queue is not None:
        _send(hands, surveyed.queue, now)


def _send(hands: Hands, queue: Queue, now: datetime) -> None:
    """Only what the queue of this backend shows is cancelled there."""
    name = hands.backend.name
    with hands.reading() as session:
        ordered, to_send = surveys.ordered(session, name), surveys.to_send(session, name, now)
    if not ordered:
        return
    ids = {job.key: job.job_id for job in queue.jobs}
    keys = to_send & ids.keys()
    if keys:
        hands.backend.cancel_listed([ids[key] for key in keys])
        log.info("cancel sent backend=%s other jobs=%s", name, ",".join(sorted(keys)))
    gone = ordered - ids.keys() if not queue.more else set[str]()
    with hands.writing() as session:
        surveys.mark_sent(session, name, keys, now)
        surveys.forget_orders(session, name, gone, now)
