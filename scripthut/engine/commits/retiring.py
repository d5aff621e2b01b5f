"""Directories of commits that their source does not keep any longer go from their backend."""

import logging
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from scripthut.config import Config, GitSource
from scripthut.core.folders import Folder, surplus
from scripthut.engine.base import Hands
from scripthut.engine.jobs import absolute
from scripthut.store import tasks
from scripthut.store.machines import checkouts

log = logging.getLogger(__name__)
IDLE = timedelta(days=1)  # another server may use a directory whose mark was touched since
AT_ONCE = 50  # directories in one command


def hold(hands: Hands, now: datetime) -> None:
    """Let other servers see which directories are in use here, in one command; none when none is.

    Whatever this server's own limits are: another one's may be narrower.
    """
    with hands.reading() as session:
        used = checkouts.in_use(session, hands.backend.name, now)
        logs = tasks.log_dirs(session, hands.backend.name)
    if used or logs:
        home = hands.backend.home() if logs else PurePosixPath("/")
        notes = [absolute(log_dir, "~", home) / ".scripthut" / run_id for run_id, log_dir in logs]
        hands.backend.hold([Folder(row.root, row.name) for row in used], notes)


def retire(hands: Hands, config: Config, now: datetime) -> None:
    """Let go what is beyond a source's limits, in one command; none when nothing is."""
    name = hands.backend.name
    for part in config.sources:
        if isinstance(part, GitSource) and (part.keep_commits or part.keep_days):
            before = now - timedelta(days=part.keep_days) if part.keep_days else None
            with hands.reading() as session:
                held = checkouts.held(session, name, part.name, now)
            for checkout_id in surplus(held, part.keep_commits, before):
                with hands.writing() as session:
                    checkouts.leave(session, checkout_id, now)
    with hands.reading() as session:
        leaving = checkouts.leaving(session, name)[:AT_ONCE]
    if not leaving:
        return
    answers = hands.backend.drop([Folder(row.root, row.name) for row in leaving], IDLE)
    for row, why in zip(leaving, answers, strict=True):
        with hands.writing() as session:
            checkouts.left(session, row.id, is_gone=why is None)
        log.info("checkout %s backend=%s name=%s", why or "removed", row.backend, row.name)
