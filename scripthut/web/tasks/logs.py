"""A task's logs on its panel: the end of one, growing; a place in it; what was searched for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flask import g, request

from scripthut.clock import utcnow
from scripthut.core import logs
from scripthut.core.files.lines import LINES, Line, lines
from scripthut.core.jobs import Chunk
from scripthut.core.states import TERMINAL, State
from scripthut.store import collected, outputs, runs, watches
from scripthut.store.models import Task
from scripthut.web import arrivals
from scripthut.web.extensions import database, kept

STREAMS = ("output", "error")
TAIL = 64 * 1024  # bytes of a log that a page begins with
BEFORE = 40  # lines above one that was asked for
FOUND = 500  # lines that a search shows
SILENCE = {
    State.PENDING: "The task has not been submitted yet.",
    State.SUBMITTING: "The task is being submitted.",
    State.SUBMITTED: "The task waits in the queue; it has written nothing yet.",
    State.QUEUED: "The task waits in the queue; it has written nothing yet.",
    State.RUNNING: "Nothing has arrived yet; what the task writes appears here within seconds.",
    State.SETTLING: "Nothing has arrived yet.",
    State.GENERATING: "Nothing has arrived yet.",
    State.RETRYING: "Nothing has arrived yet.",
    State.LOST: "Nothing had arrived when the task was lost.",
    State.DEP_FAILED: "The task did not run, because a task that it depends on did not complete.",
}


@dataclass(frozen=True)
class Piece:
    """Lines of a log for the page. `after` is the byte behind them; `size` of all that is kept."""

    stream: str
    lines: Sequence[Line]
    rest: Sequence[Line]  # the line that is still being written, as far as it is known
    start: int
    after: int
    size: int
    number: int | None = None  # of the line that begins at `after`; None: not known
    is_live: bool = False  # more may come, and the page follows
    is_new: bool = True  # it does not continue what the page has
    note: str | None = None  # a sentence, when there is nothing to show
    error: int | None = None  # the first line that tells of an error
    marked: int | None = None  # the line that was asked for
    search: str = ""
    is_more: bool = False  # a search found more than is shown
    long: int | None = None  # the row of the file that it is, where not all of it is kept


def shown(task: Task, stream: str) -> Piece:
    """What the address asks for: the end of a log, the lines around one, or those with words."""
    return replace(_shown(task, stream), long=_long(task, stream))


def _long(task: Task, stream: str) -> int | None:
    row = outputs.long_log(g.session, task, stream)
    return row.id if row is not None and (row.sha256 or outputs.is_within_reach(row)) else None


def _shown(task: Task, stream: str) -> Piece:
    chunk = _kept(task, stream)
    words = request.args.get("search", "").strip()[:200]
    line = request.args.get("line", None, int)
    if words:
        return _searched(stream, chunk, words)
    if line is not None and chunk.start == 0 and chunk.size:
        return _around(stream, chunk, max(1, line))
    return _end(task, stream, chunk)


def grown(task: Task, stream: str) -> Piece | None:
    """What a log has grown by since the page's answer; None: nothing yet."""
    start, number = request.args.get("from", 0, int), request.args.get("n", None, int)
    is_same = request.args.get("attempt", 1, int) == task.attempt
    chunk = _kept(task, stream, start if is_same else 0)
    if not is_same or chunk.start != start:  # begun anew, or its head is not kept
        found = _end(task, stream, _kept(task, stream))
        return replace(found, long=_long(task, stream))
    is_live = not arrivals.is_done(task)
    if is_live and chunk.size == request.args.get("seen", 0, int):
        return None
    return replace(_whole(stream, chunk, 0, number, is_live), is_new=False)


def merged(task: Task) -> dict[str, object]:
    """Both logs as one, as far as their ends are kept."""
    both = {stream: _kept(task, stream) for stream in STREAMS}
    said, by_time = logs.merged(both["output"].data, both["error"].data)
    size = sum(chunk.size for chunk in both.values())
    last = [
        (part.stream, lines(part.line, "", None if both[part.stream].start else part.number + 1))
        for part in said[-LINES:]
    ]
    return {
        "said": [(stream, line) for stream, found in last for line in found.lines],
        "by_time": by_time,
        "is_all": len(said) <= LINES and not any(chunk.start for chunk in both.values()),
        "both_size": size,
        "is_live": not arrivals.is_done(task),
        "note": None if size else _silence(task),
    }


def text(task: Task, stream: str) -> bytes:
    """All of a log that is kept."""
    return _kept(task, stream).data


def _kept(task: Task, stream: str, start: int = 0) -> Chunk:
    """The kept part of a log; whoever reads one that still grows is somebody who looks."""
    if not arrivals.is_done(task):
        watches.renew(database(), task.run_id, task.id, stream, utcnow())
    if task.token is None:
        return Chunk(0, b"", 0)
    return kept().read_log(task.token, stream, start)


def _end(task: Task, stream: str, chunk: Chunk) -> Piece:
    at = logs.begins(chunk.data, TAIL, LINES)
    number = 1 + chunk.data.count(b"\n", 0, at) if chunk.start == 0 else None
    piece = _whole(stream, chunk, at, number, not arrivals.is_done(task))
    error = logs.first_error(chunk.data) if chunk.start == 0 else None
    return replace(
        piece,
        note=None if chunk.size else _silence(task),
        error=None if error is None else error + 1,
    )


def _whole(stream: str, chunk: Chunk, at: int, number: int | None, is_live: bool) -> Piece:
    """The lines of a chunk from byte `at` of it; of a live log, the last one may be unfinished."""
    data = chunk.data[at:]
    end = data.rfind(b"\n") + 1 if is_live else len(data)
    found = lines(data[:end], "", number)
    after = at + found.after
    rest = data[end:] if found.after == end else b""
    return Piece(
        stream=stream,
        lines=found.lines,
        rest=lines(rest, "", None).lines,
        start=chunk.start + at,
        after=chunk.start + after,
        size=chunk.size,
        number=None if number is None else number + len(found.lines),
        is_live=is_live or chunk.start + after < chunk.size,
    )


def _around(stream: str, chunk: Chunk, line: int) -> Piece:
    line = min(line, 1 + chunk.data.count(b"\n"))
    first, at = max(1, line - BEFORE), 0
    for _ in range(first - 1):
        at = chunk.data.find(b"\n", at) + 1
    piece = _whole(stream, chunk, at, first, is_live=False)
    return replace(piece, marked=line, is_live=False)


def _searched(stream: str, chunk: Chunk, words: str) -> Piece:
    numbers = logs.matching(chunk.data, words, FOUND + 1)
    raw = chunk.data.split(b"\n")
    found = [
        line
        for n in numbers[:FOUND]
        for line in lines(raw[n], "", None if chunk.start else n + 1).lines
    ]
    note = None if found else "No line of the log that is kept holds this."
    piece = Piece(stream, found, (), chunk.start, chunk.size, chunk.size, search=words, note=note)
    return replace(piece, is_more=len(numbers) > FOUND)


def _silence(task: Task) -> str:
    if runs.find_run(g.session, task.run_id).removed_at is not None:
        return "The log was removed from the server, as the run's page says."
    if not collected.is_done(task) and task.state in TERMINAL:
        return arrivals.why_not(task) or "What the task left is being asked for where it lies."
    return SILENCE.get(task.state, "The task wrote nothing here.")
