"""From a cycle's listings to rows: what was gathered is written, and when a task is done with."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from scripthut.core.files.previews import Kind
from scripthut.core.jobs import Area, Observation, Token
from scripthut.engine.base import Hands, Watched
from scripthut.engine.outputs.gathering import PATIENCE, Gathered, gather
from scripthut.engine.outputs.trouble import GONE, after, is_worth_waiting, problem_of
from scripthut.store import metrics, outputs
from scripthut.store.db import Session
from scripthut.store.files import pictures
from scripthut.store.files.kept import NoRoom
from scripthut.store.files.pictures import is_raster
from scripthut.store.models import Task
from scripthut.store.outputs import Found, Known
from scripthut.store.versions import next_version, summary_changed

LATE = timedelta(seconds=5)  # a job's children may write a little longer than the job
NO_LOG = timedelta(minutes=1)  # a log that is not there by then was never written
TASKS = 20  # written at once, and as many
FILES = 4000  # of their files: nobody else writes meanwhile

log = logging.getLogger(__name__)


def collect(
    hands: Hands, watched: Mapping[Token, Watched], seen: Observation, now: datetime
) -> str | None:
    """Keep what the observation shows that tasks wrote, and write the rows, some tasks at a time.

    What cannot be had now is tried again in the next cycle; nothing of it raises. The answer is a
    sentence when collecting pauses as a whole. Fenced goes through.
    """
    gathered = {
        token: Gathered(seen.listings.get(token), is_later=token in seen.later) for token in watched
    }
    notice = None
    try:
        gather(hands, watched, seen, gathered, now)
    except NoRoom as error:
        notice = str(error)
        log.warning("collecting pauses backend=%s: %s", hands.backend.name, error)
        for token in gathered.keys() & {*seen.listings, *(token for token, _ in seen.logs)}:
            gathered[token].is_whole, gathered[token].problem = False, notice
    by_run: dict[str, list[tuple[Watched, Gathered]]] = {}
    for token, task in watched.items():
        if _is_news(task, gathered[token], now):
            by_run.setdefault(task.run_id, []).append((task, gathered[token]))
    for news in by_run.values():
        for some in _portions(news):
            _write_all(hands, some, now)
    return notice


def _portions(
    news: Iterable[tuple[Watched, Gathered]],
) -> Iterator[list[tuple[Watched, Gathered]]]:
    """Tasks of a run in parts that are written together."""
    part: list[tuple[Watched, Gathered]] = []
    files = 0
    for task, one in news:
        if part and (len(part) >= TASKS or files + len(one.found) > FILES):
            yield part
            part, files = [], 0
        part.append((task, one))
        files += len(one.found)
    yield part


def _is_news(task: Watched, one: Gathered, now: datetime) -> bool:
    is_told = bool(one.listing or one.logs or one.problem)
    return is_told or _is_over(task, one, now) or (task.failures > 0 and task.is_listed)


def _is_over(task: Watched, one: Gathered, now: datetime) -> bool:
    """Whether all that an ended task left is kept, and nobody writes any more."""
    if task.ended_at is None or now < task.ended_at + LATE or not one.is_whole:
        return False
    if one.listing is None and task.listing_mark is None:
        return False  # not looked at yet
    is_patient = now < task.ended_at + PATIENCE
    if one.listing is not None and one.listing.problem and is_patient:
        return False
    if one.is_later or any(log.end < log.size for log in one.logs):
        return False
    return len(one.logs) == 2 or now > task.ended_at + NO_LOG


def _write_all(hands: Hands, news: Sequence[tuple[Watched, Gathered]], now: datetime) -> None:
    """Write some tasks of one run, whose rows are read once."""
    with hands.writing() as session:
        rows: dict[int, list[Known]] = {task.task_id: [] for task, one in news if one.listing}
        for row in outputs.known(session, rows).values() if rows else ():
            rows[row.task_id].append(row)
        for task, one in news:
            _write(session, task, one, rows.get(task.task_id, []), now)


def _write(
    session: Session, watched: Watched, one: Gathered, rows: Sequence[Known], now: datetime
) -> None:
    task = outputs.task_of(session, watched.task_id, watched.job.attempt)
    if task is None:
        return
    for kept_log in one.logs:
        outputs.record_log(session, task, kept_log, now)
    has_changed = _write_listing(session, task, one, rows, watched.ended_at is not None)
    if one.reading is not None:
        metrics.record(session, task, one.reading.mark, one.reading.metrics)
        has_changed = True
    if shas := [found.sha256 for found in one.found if found.sha256 and _is_picture(found)]:
        pictures.want(session, shas)
    facts: dict[str, object] = {}
    if one.problem is not None:
        facts |= {"outputs_problem": one.problem, "listing_mark": None}  # to be told again
    _set(task, _again(task, watched, one, now))
    if (
        task.collected_at is None
        and _is_over(watched, one, now)
        and not _is_unsure(task, watched, now)
    ):
        facts["collected_at"] = now
    if _set(task, facts) or has_changed:
        task.version = next_version(session, task.run_id)


def _is_picture(found: Found) -> bool:
    """Whether a file shall have a thumbnail."""
    path = outputs.shown_path(found.file.path)
    return outputs.kind_of(found.file.area, found.file.path) is Kind.IMAGE and is_raster(path)


def _is_unsure(task: Task, watched: Watched, now: datetime) -> bool:
    """Whether what could not be looked into may yet be, so that it pays to look again."""
    ended = watched.ended_at
    if task.collect_failures:
        return is_worth_waiting(ended, now)
    return task.outputs_problem is not None and ended is not None and now < ended + PATIENCE


def _again(task: Task, watched: Watched, one: Gathered, now: datetime) -> dict[str, object]:
    """When its directory is looked into again; a listing that did not change did not get better."""
    if one.problem is None and one.listing is None:
        return (
            after(task.collect_failures + 1, now) if watched.is_listed and watched.failures else {}
        )
    has_failed = one.problem is not None or task.outputs_problem == GONE
    has_failed |= one.listing is not None and one.listing.has_failed
    return after(task.collect_failures + 1 if has_failed else 0, now)


def _write_listing(
    session: Session, task: Task, one: Gathered, rows: Sequence[Known], has_ended: bool
) -> bool:
    """Whether anything that a page shows has changed."""
    if one.listing is None:
        return False
    listing = one.listing
    problem = one.problem or problem_of(listing, any(row.area is Area.OUTPUT for row in rows))
    keep_vanished = has_ended or problem is not None or not one.is_whole
    written = outputs.record(session, task, one.found, keep_vanished, rows)
    if written.has_new_summary:
        summary_changed(session, task.run_id)
    if one.is_whole:  # what was trimmed is to be told again
        task.listing_mark = None if one.is_trimmed else listing.mark
    facts = {
        "has_outputs": written.has_outputs,
        "has_run_summary": written.has_summary,
        "outputs_more": listing.more,
        "outputs_problem": problem,
    }
    return _set(task, facts) or written.has_changed


def _set(task: Task, facts: Mapping[str, object]) -> bool:
    """Write facts that are new; whether any was."""
    news = {name: value for name, value in facts.items() if getattr(task, name) != value}
    for name, value in news.items():
        setattr(task, name, value)
    return bool(news)
