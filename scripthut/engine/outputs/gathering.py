"""What tasks wrote is fetched and kept: files, masked and rendered; their metrics; and logs."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scripthut.core.errors import Unreachable
from scripthut.core.files.pieces import settled
from scripthut.core.files.previews import Kind
from scripthut.core.jobs import Listing, Observation, RemoteFile, Token
from scripthut.core.mask import mask_document, mask_piece, secrets
from scripthut.engine.base import Hands, Watched
from scripthut.engine.outputs import heads
from scripthut.engine.outputs.measure import Reading, measure
from scripthut.engine.outputs.rendering import rendered
from scripthut.store import outputs
from scripthut.store.files.kept import Kept
from scripthut.store.outputs import Found, KeptLog, Known, Place

SECONDS = 10.0  # spent in one cycle on keeping files; what is left comes with the next
PATIENCE = timedelta(minutes=10)  # with what cannot be read after the end

UNREAD = "could not be read"

log = logging.getLogger(__name__)


@dataclass
class Gathered:
    """What was had of one task in this cycle. `is_whole`: everything that was wanted."""

    listing: Listing | None = None  # None: as before, or not looked at
    found: list[Found] = field(default_factory=list)
    logs: list[KeptLog] = field(default_factory=list)
    is_whole: bool = True
    is_later: bool = False  # not all was in this answer: it is asked for again
    problem: str | None = None
    is_trimmed: bool = False  # a document's last line waits until it is whole
    reading: Reading | None = None  # of the metrics; None: they are as before


def gather(
    hands: Hands,
    watched: Mapping[Token, Watched],
    seen: Observation,
    gathered: Mapping[Token, Gathered],
    now: datetime,
) -> None:
    """Fetch and keep; what was had before an error is in `gathered` then. NoRoom goes through."""
    _keep_logs(hands, watched, seen, gathered)
    _keep_files(hands, watched, seen, gathered, now)
    _measure(hands, watched, gathered)


def _keep_logs(
    hands: Hands,
    watched: Mapping[Token, Watched],
    seen: Observation,
    gathered: Mapping[Token, Gathered],
) -> None:
    for (token, stream), chunk in seen.logs.items():
        if token in gathered:
            data = mask_piece(chunk.data, _secrets(hands, watched[token]))
            start, end = hands.kept.append_log(token, stream, chunk.start, data)
            gathered[token].logs.append(KeptLog(stream, start, end, chunk.size))


def _keep_files(
    hands: Hands,
    watched: Mapping[Token, Watched],
    seen: Observation,
    gathered: Mapping[Token, Gathered],
    now: datetime,
) -> None:
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
    until, is_cut = time.monotonic() + SECONDS, False
    try:
        for file, data in _contents(hands, watched, seen, wanted):
            gathered[file.token].found.append(_keep(hands, watched, gathered, file, data))
            missing.pop((file.token, file.area, file.path), None)
            if is_cut := time.monotonic() > until:
                break  # the rest comes with the next cycle: orders must not wait for all of it
    except Unreachable as error:
        log.warning("outputs not fetched backend=%s: %s", hands.backend.name, error)
        is_cut = True  # nobody has said of the rest that it cannot be read
    for file in missing.values():
        task, one = watched[file.token], gathered[file.token]
        is_old = task.ended_at is not None and now > task.ended_at + PATIENCE
        is_hopeless = is_old and not is_cut
        one.found.append(Found(file, note=UNREAD if is_hopeless else None))
        one.is_whole = one.is_whole and is_hopeless


def _keep(
    hands: Hands,
    watched: Mapping[Token, Watched],
    gathered: Mapping[Token, Gathered],
    file: RemoteFile,
    data: bytes,
) -> Found:
    """Keep a file's bytes: of a document without secrets, nor a last line that is half there."""
    if outputs.kind_of(file.area, file.path) is Kind.MARKDOWN:
        shown = data if watched[file.token].ended_at else settled(data)
        gathered[file.token].is_trimmed |= len(shown) < len(data)
        data = mask_document(shown, _secrets(hands, watched[file.token]))
    sha = hands.kept.put(data)
    return Found(file, sha, rendered(hands.kept, file.area, file.path, sha, data))


def _measure(
    hands: Hands, watched: Mapping[Token, Watched], gathered: Mapping[Token, Gathered]
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


def _had(kept: Kept, known: Mapping[Place, Known], task: Watched, file: RemoteFile) -> Found | None:
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
    """The files' bytes: those that came with the listing, then the others. Unreachable."""
    to_fetch = []
    for file in wanted:
        data = seen.contents.get((file.token, file.area, file.path))
        if data is None or len(data) != file.size:
            to_fetch.append((watched[file.token].job, file))
        else:
            yield file, data
    if to_fetch:
        yield from hands.backend.fetch(to_fetch)
