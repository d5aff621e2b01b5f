"""From a cycle's listings to kept files, rendered Markdown and rows; and logs likewise."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scripthut.core.errors import Unreachable
from scripthut.core.files import notebook
from scripthut.core.files.pieces import settled
from scripthut.core.files.previews import RENDERED, Kind
from scripthut.core.jobs import Area, Listing, Observation, RemoteFile, Token
from scripthut.core.markdown.policy import key
from scripthut.core.mask import mask_document, mask_piece, secrets
from scripthut.engine import heads
from scripthut.engine.base import Hands, Watched
from scripthut.engine.measure import Reading, measure
from scripthut.engine.rendering import Renderer
from scripthut.engine.trouble import GONE, after, is_worth_waiting, problem_of
from scripthut.engine.workshop import WORKSHOP
from scripthut.store import metrics, outputs, pictures
from scripthut.store.db import Session
from scripthut.store.kept import Kept, NoRoom
from scripthut.store.models import Output, Task
from scripthut.store.outputs import Found, KeptLog, Place
from scripthut.store.pictures import is_raster
from scripthut.store.versions import next_version, summary_changed

LATE = timedelta(seconds=5)  # a job's children may write a little longer than the job
NO_LOG = timedelta(minutes=1)  # a log that is not there by then was never written
SECONDS = 10.0  # spent in one cycle on keeping files; what is left comes with the next
PATIENCE = timedelta(minutes=10)  # with what cannot be read after the end

UNREAD = "could not be read"
RENDERER = Renderer(WORKSHOP)

log = logging.getLogger(__name__)


@dataclass
class _Gathered:
    """What was had of one task in this cycle. `is_whole`: everything that was wanted."""

    listing: Listing | None = None  # None: as before, or not looked at
    found: list[Found] = field(default_factory=list)
    logs: list[KeptLog] = field(default_factory=list)
    is_whole: bool = True
    is_later: bool = False  # not all was in this answer: it is asked for again
    problem: str | None = None
    is_trimmed: bool = False  # a document's last line waits until it is whole
    reading: Reading | None = None  # of the metrics; None: they are as before


def collect(
    hands: Hands, watched: Mapping[Token, Watched], seen: Observation, now: datetime
) -> str | None:
    """Keep what the observation shows that tasks wrote, and write the rows: one run, one write.

    What cannot be had now is tried again in the next cycle; nothing of it raises. The answer is a
    sentence when collecting pauses as a whole. Fenced goes through.
    """
    gathered = {
        token: _Gathered(seen.listings.get(token), is_later=token in seen.later)
        for token in watched
    }
    notice = None
    try:
        _gather(hands, watched, seen, gathered, now)
        _measure(hands, watched, gathered)
    except NoRoom as error:
        notice = str(error)
        log.warning("collecting pauses backend=%s: %s", hands.backend.name, error)
        for token in gathered.keys() & {*seen.listings, *(token for token, _ in seen.logs)}:
            gathered[token].is_whole, gathered[token].problem = False, notice
    by_run: dict[str, list[Token]] = {}
    for token, task in watched.items():
        if _is_news(task, gathered[token], now):
            by_run.setdefault(task.run_id, []).append(token)
    for tokens in by_run.values():
        with hands.writing() as session:
            for token in tokens:
                _write(session, watched[token], gathered[token], now)
    return notice


def refresh(hands: Hands) -> int:
    """Render again what an older version rendered; how many documents that were."""
    with hands.reading() as session:
        rows = outputs.documents(session, hands.backend.name)
    done = 0
    for row in rows:
        wanted = key(row.sha256 or "", outputs.folder_of(row.area, row.raw))
        if row.sha256 is None or row.html == wanted or not hands.kept.has(row.sha256):
            continue
        rendered(hands.kept, row.area, row.raw, row.sha256)
        with hands.writing() as session:
            outputs.set_html(session, row.id, row.sha256, wanted)
        done += 1
    heads.read_all(hands)
    return done


def _gather(
    hands: Hands,
    watched: Mapping[Token, Watched],
    seen: Observation,
    gathered: Mapping[Token, _Gathered],
    now: datetime,
) -> None:
    """Fetch and keep. What was had before an error is in `gathered` then."""
    for (token, stream), chunk in seen.logs.items():
        if token in gathered:
            data = mask_piece(chunk.data, _secrets(hands, watched[token]))
            start, end = hands.kept.append_log(token, stream, chunk.start, data)
            gathered[token].logs.append(KeptLog(stream, start, end, chunk.size))
    with hands.reading() as session:
        listed = [watched[token].task_id for token in seen.listings if token in watched]
        known = outputs.known(session, listed) if listed else {}
    wanted = []
    for token, one in gathered.items():
        for file in one.listing.files if one.listing else ():
            found = _had(hands.kept, known, watched[token], file)
            if found is not None:
                one.found.append(found)
                one.is_trimmed |= _is_part(hands.kept, found)
            else:
                wanted.append(file)
    missing = {(f.token, f.area, f.path): f for f in wanted}
    until, is_late = time.monotonic() + SECONDS, False
    for file, data in _contents(hands, watched, seen, wanted):
        if outputs.kind_of(file.area, file.path) is Kind.MARKDOWN:
            shown = data if watched[file.token].ended_at else settled(data)
            gathered[file.token].is_trimmed |= len(shown) < len(data)
            data = mask_document(shown, _secrets(hands, watched[file.token]))
        sha = hands.kept.put(data)
        html = rendered(hands.kept, file.area, file.path, sha, data)
        gathered[file.token].found.append(Found(file, sha, html))
        missing.pop((file.token, file.area, file.path), None)
        if is_late := time.monotonic() > until:
            break  # the rest comes with the next cycle: orders must not wait for all of it
    for file in missing.values():
        task, one = watched[file.token], gathered[file.token]
        is_old = task.ended_at is not None and now > task.ended_at + PATIENCE
        is_hopeless = is_old and not is_late
        one.found.append(Found(file, note=UNREAD if is_hopeless else None))
        one.is_whole = one.is_whole and is_hopeless


def _measure(
    hands: Hands, watched: Mapping[Token, Watched], gathered: Mapping[Token, _Gathered]
) -> None:
    """Read the metrics of what was listed; a listing that could not be had changes nothing."""
    listed = {
        watched[token].task_id: one
        for token, one in gathered.items()
        if one.listing and one.found and not one.listing.problem
    }
    found = {task_id: one.found for task_id, one in listed.items()}
    for files in found.values():
        heads.read_new(hands.kept, files)
    for task_id, reading in measure(hands, found).items():
        listed[task_id].reading = reading


def _secrets(hands: Hands, task: Watched) -> tuple[str, ...]:
    return secrets(task.job.env, hands.secret_names)


def _had(
    kept: Kept, known: Mapping[Place, Output], task: Watched, file: RemoteFile
) -> Found | None:
    """What need not be fetched: it will not be, or is kept as it is now. None: it is wanted."""
    row = known.get((task.task_id, file.area, file.path))
    is_same = row is not None and (row.size, row.mtime_ns) == (file.size, file.mtime_ns)
    if row is not None and is_same and row.sha256 is not None and kept.has(row.sha256):
        # Over a limit, too: somebody has had it fetched.
        html = row.html if file.note else rendered(kept, file.area, file.path, row.sha256)
        found = Found(file, row.sha256, html)
        return None if task.ended_at and _is_part(kept, found) else found
    return Found(file, note=file.note) if file.note is not None else None


def _is_part(kept: Kept, found: Found) -> bool:
    """Whether the last line of a document waits, or waited, until its task has ended."""
    if found.sha256 is None or outputs.kind_of(found.file.area, found.file.path) != Kind.MARKDOWN:
        return False
    return (kept.size(found.sha256) or 0) < found.file.size


def _contents(
    hands: Hands,
    watched: Mapping[Token, Watched],
    seen: Observation,
    wanted: list[RemoteFile],
) -> Iterator[tuple[RemoteFile, bytes]]:
    """The files' bytes: those that came with the listing, then the others, in one stream."""
    to_fetch = []
    for file in wanted:
        data = seen.contents.get((file.token, file.area, file.path))
        if data is None or len(data) != file.size:
            to_fetch.append((watched[file.token].job, file))
        else:
            yield file, data
    if not to_fetch:
        return
    try:
        yield from hands.backend.fetch(to_fetch)
    except Unreachable as error:
        log.warning("outputs not fetched backend=%s: %s", hands.backend.name, error)


def rendered(
    kept: Kept, area: Area, path: bytes, sha: str, data: bytes | None = None
) -> str | None:
    """Where a document's HTML is kept, made now if it is not; None for what has no Markdown."""
    kind = outputs.kind_of(area, path)
    if kind not in RENDERED:
        return None
    folder = outputs.folder_of(area, path)
    name = key(sha, folder)
    if not kept.has(name):
        try:
            data = kept.read(sha) if data is None else data
            text = notebook.to_render(data) if kind is Kind.NOTEBOOK else data
            html = RENDERER.render(text, folder)
        except OSError as error:  # no process to be had; refresh() comes back to it
            log.warning("not rendered document=%s: %s", sha, error)
            return None
        kept.put_as(name, html.encode("utf-8", "replace"))
    return name


def _is_news(task: Watched, one: _Gathered, now: datetime) -> bool:
    is_told = bool(one.listing or one.logs or one.problem)
    return is_told or _is_over(task, one, now) or (task.failures > 0 and task.is_listed)


def _is_over(task: Watched, one: _Gathered, now: datetime) -> bool:
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


def _write(session: Session, watched: Watched, one: _Gathered, now: datetime) -> None:
    task = outputs.task_of(session, watched.task_id, watched.job.attempt)
    if task is None:
        return
    for kept_log in one.logs:
        outputs.record_log(session, task, kept_log, now)
    has_changed = _write_listing(session, task, one, watched.ended_at is not None)
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


def _again(task: Task, watched: Watched, one: _Gathered, now: datetime) -> dict[str, object]:
    """When its directory is looked into again; a listing that did not change did not get better."""
    if one.problem is None and one.listing is None:
        return (
            after(task.collect_failures + 1, now) if watched.is_listed and watched.failures else {}
        )
    has_failed = one.problem is not None or task.outputs_problem == GONE
    has_failed |= one.listing is not None and one.listing.has_failed
    return after(task.collect_failures + 1 if has_failed else 0, now)


def _write_listing(session: Session, task: Task, one: _Gathered, has_ended: bool) -> bool:
    """Whether anything that a page shows has changed."""
    if one.listing is None:
        return False
    listing = one.listing
    had = outputs.presence(session, task)[Area.OUTPUT]
    problem = one.problem or problem_of(listing, had)
    keep_vanished = has_ended or problem is not None
    before = outputs.fragment_of(session, task)
    has_changed = outputs.record(session, task, one.found, keep_vanished or not one.is_whole)
    if outputs.fragment_of(session, task) != before:
        summary_changed(session, task.run_id)
    if one.is_whole:  # what was trimmed is to be told again
        task.listing_mark = None if one.is_trimmed else listing.mark
    presence = outputs.presence(session, task)
    facts = {
        "has_outputs": presence[Area.OUTPUT],
        "has_run_summary": presence[Area.FRAGMENT],
        "outputs_more": listing.more,
        "outputs_problem": problem,
    }
    return _set(task, facts) or has_changed


def _set(task: Task, facts: Mapping[str, object]) -> bool:
    """Write facts that are new; whether any was."""
    news = {name: value for name, value in facts.items() if getattr(task, name) != value}
    for name, value in news.items():
        setattr(task, name, value)
    return bool(news)
