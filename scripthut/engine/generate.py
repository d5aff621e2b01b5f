"""Generators whose commands completed: their documents are read, and join their runs."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from scripthut.core.errors import BROKEN, Conflict, Invalid
from scripthut.core.jobs import Unreadable
from scripthut.core.judge import Verdict
from scripthut.core.states import Event
from scripthut.core.workflow.document import parse_text
from scripthut.engine.base import Hands
from scripthut.engine.jobs import absolute, directory
from scripthut.engine.outcome import outcome
from scripthut.store.making import generators
from scripthut.store.models import Task
from scripthut.store.tasks import learn, move

LARGEST = 32 * 1024 * 1024  # bytes of a document
AT_ONCE = 20  # documents asked for in one command
PATIENCE = timedelta(minutes=1)  # a file that is not there may be on its way through a file server
MOST_SAID = 8  # problems named; a document of thousands may have as many

log = logging.getLogger(__name__)


def generate(hands: Hands, now: datetime) -> int:
    """Read what generators wrote and let it join; one command. Says how many were decided.

    One whose document did not come stays as it is: it is asked for again.
    """
    with hands.reading() as session:
        tasks = generators.generating(session, hands.backend.name)[:AT_ONCE]
    if not tasks:
        return 0
    home = hands.backend.home()
    wanted = {str(task.id): str(document_path(task, home)) for task in tasks}
    told = hands.backend.read(wanted, LARGEST)
    answers = [(task, told[str(task.id)]) for task in tasks if str(task.id) in told]
    return sum(_decide(hands, task, answer, wanted[str(task.id)], now) for task, answer in answers)


def document_path(task: Task, home: PurePosixPath) -> PurePosixPath:
    """Where a generator's document is: relative to its working directory, unless it says more."""
    return absolute(str(task.spec["generates_source"]), directory(task), home)


def _decide(hands: Hands, task: Task, answer: bytes | Unreadable, path: str, now: datetime) -> bool:
    """Let a document join, or the generator fail with the reason; False: not yet."""
    if isinstance(answer, Unreadable):
        return _unread(hands, task, answer, path, now)
    try:
        added = _join(hands, task, answer, path, now)
    except Invalid as error:
        _fail(hands, task, f"Its document {path} cannot be used: {_said(error.problems)}", now)
    except BROKEN as error:
        log.exception("document broke its reader run=%s task=%s", task.run_id, task.key)
        _fail(hands, task, f"Its document {path} cannot be used: {error}", now)
    except Conflict:
        log.info("generator left alone run=%s task=%s", task.run_id, task.key)
    else:
        log.info("joined run=%s task=%s tasks=%s", task.run_id, task.key, added)
    return True


def _join(hands: Hands, task: Task, data: bytes, path: str, now: datetime) -> int:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(path, [f"byte {error.start}: is not UTF-8 text"]) from None
    with hands.reading() as session:
        beside = generators.beside(session, task)
    name = PurePosixPath(path).name
    document = parse_text(text, name, beside=beside, inherited=task.run.params or {})
    document = replace(document, notices=(*document.notices, *hands.beyond(document.tasks)))
    with hands.writing() as session:
        return generators.join_run(session, task, document, directory(task), now)


def _unread(hands: Hands, task: Task, answer: Unreadable, path: str, now: datetime) -> bool:
    began = task.ended_seen_at or now
    if now < began + PATIENCE:
        reason = f"Its command completed; its document {path} cannot be read yet: {answer.why}"
        with hands.writing() as session:
            learn(session, task, {"reason": reason})
        return False
    if answer.is_missing:
        _fail(hands, task, f"It completed without having written its document {path}", now)
    else:
        _fail(hands, task, f"Its document {path} cannot be read: {answer.why}", now)
    return True


def _fail(hands: Hands, task: Task, reason: str, now: datetime) -> None:
    """The generator has failed, and nothing of its document is added."""
    verdict = outcome(task, Verdict(Event.EXITED_BAD, {"reason": reason}), now)
    with hands.writing() as session:
        if verdict.event is not None and move(session, task, verdict.event, now, verdict.facts):
            log.warning("generator failed run=%s task=%s: %s", task.run_id, task.key, reason)


def _said(problems: Sequence[str]) -> str:
    rest = len(problems) - MOST_SAID
    more = f"; and {rest} more" if rest > 0 else ""
    return "; ".join(problems[:MOST_SAID]) + more
