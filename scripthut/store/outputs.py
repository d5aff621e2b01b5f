"""What tasks wrote, as rows: files, fragments of the run's summary, and the kept part of logs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.orm import Session

from scripthut.core.errors import NotFound
from scripthut.core.files.previews import Kind, kind
from scripthut.core.jobs import Area, RemoteFile
from scripthut.store.models import Log, Output, Task

SUMMARY = b"task-summary.md"
# How notes begin of what is never opened; all other files can be read where they are.
DELETED = "was deleted on"
CLOSED = (
    DELETED,
    "is a symbolic link",
    "is a named pipe",
    "is a socket",
    "is a device",
    "is a hard link",
    "is a directory",
    "cannot be looked into",
)
FRESH = timedelta(seconds=10)  # a log's row that says nothing new is not written more often

AT_ONCE = 500  # ids in one statement

Place: TypeAlias = tuple[int, Area, bytes]
"""Which file of which task: the task's row, the area, the path's bytes."""


@dataclass(frozen=True)
class Found:
    """A listed file, and what is kept of it. `sha256` None: nothing, because (see `note`), or yet.

    `html` names the kept HTML of a Markdown document; None for anything else.
    """

    file: RemoteFile
    sha256: str | None = None
    html: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Section:
    """One task's part of the run's summary."""

    key: str
    name: str
    file: Output


@dataclass(frozen=True)
class Listing:
    """What a task's present attempt wrote. `more`: how many files the list leaves out."""

    key: str
    more: int
    problem: str | None
    files: list[Output]


def shown_path(raw: bytes) -> str:
    r"""A path for people: bytes that are not UTF-8, and controls, are written as \xNN.

    >>> shown_path(b"caf\xe9.png"), shown_path("größe\n".encode())
    ('caf\\xe9.png', 'größe\\x0a')
    """
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8"))


def kind_of(area: Area, raw: bytes) -> Kind:
    """How a file is shown; a fragment of the run's summary is Markdown whatever its name."""
    return Kind.MARKDOWN if area is Area.FRAGMENT else kind(shown_path(raw))


def is_within_reach(file: Output) -> bool:
    """Whether a file that is not kept can be read where it is."""
    return file.sha256 is None and not (file.note or "").startswith(CLOSED)


def folder_of(area: Area, raw: bytes) -> str:
    """The folder in which a document's relative addresses begin; "" for the output directory.

    Those of a fragment begin there too: it stands beside no other files.
    """
    if area is Area.FRAGMENT:
        return ""
    return str(PurePosixPath(raw.decode("utf-8", "replace")).parent).removeprefix(".")


@dataclass(frozen=True, slots=True)
class Known:
    """A row of a file: what a cycle has to know of each of many thousands."""

    id: int
    task_id: int
    area: Area
    raw: bytes
    path: str
    size: int
    mtime_ns: int
    kind: str
    sha256: str | None
    html: str | None
    note: str | None


_KNOWN = [getattr(Output, name) for name in Known.__dataclass_fields__]


def known(session: Session, task_ids: Collection[int]) -> dict[Place, Known]:
    """The rows of the tasks' present attempts, by place."""
    statement = (
        select(*_KNOWN)
        .join(Task, Task.id == Output.task_id)
        .where(Task.id.in_(task_ids), Output.attempt == Task.attempt, Output.area != Area.LOG)
    )
    rows = (Known(*row) for row in session.execute(statement))
    return {(row.task_id, row.area, row.raw): row for row in rows}


@dataclass(frozen=True)
class Written:
    """What became of a task's rows. An empty fragment is no part of the run's summary."""

    has_changed: bool  # anything that a page shows
    has_outputs: bool
    has_summary: bool
    has_new_summary: bool  # other than before, or none any more


def task_of(session: Session, task_id: int, attempt: int) -> Task | None:
    """A task for writing; None when it has gone on to another attempt."""
    task = session.get(Task, task_id, with_for_update=True)
    return task if task is not None and task.attempt == attempt else None


def record(
    session: Session,
    task: Task,
    found: Iterable[Found],
    keep_vanished: bool = False,
    rows: Iterable[Known] | None = None,
) -> Written:
    """Make a task's rows say what was found.

    `rows` are as `known` has them in this transaction; None: they are asked for. A file that was
    not listed any more goes, unless `keep_vanished`. One that is listed and could not be had yet
    keeps what is kept of it.
    """
    rows = known(session, [task.id]).values() if rows is None else rows
    before = {(row.area, row.raw): row for row in rows}
    left, new, changes, has_changed = dict(before), list[_Row](), list[_Row](), False
    there = {place: _shown(row) for place, row in before.items()}
    for one in found:
        place = (one.file.area, one.file.path)
        row = left.pop(place, None)
        facts = _facts(one)
        if row is None:
            new.append(_row(task, one))
        elif one.sha256 is None and one.note is None:
            continue
        elif any(getattr(row, name) != value for name, value in facts.items()):
            changes.append({"id": row.id, **facts})
        there[place] = (one.file.size, one.sha256, one.html, one.note)
        has_changed |= row is None or there[place] != _shown(row)
    gone = {} if keep_vanished else left
    _write(session, new, changes, [row.id for row in gone.values()])
    there = {place: shown for place, shown in there.items() if place not in gone}
    fragments = {place: shown for place, shown in there.items() if place[0] is Area.FRAGMENT}
    return Written(
        has_changed or bool(gone),
        has_outputs=any(area is Area.OUTPUT for area, _ in there),
        has_summary=any(size > 0 for size, *_ in fragments.values()),
        has_new_summary=fragments
        != {place: _shown(row) for place, row in before.items() if place[0] is Area.FRAGMENT},
    )


_Row: TypeAlias = dict[str, Any]


def _shown(row: Known) -> tuple[int, str | None, str | None, str | None]:
    return row.size, row.sha256, row.html, row.note


def _row(task: Task, one: Found) -> _Row:
    words = {"path": shown_path(one.file.path), "kind": kind_of(one.file.area, one.file.path)}
    key = {"task_id": task.id, "attempt": task.attempt}
    return {**key, "area": one.file.area, "raw": one.file.path, **words, **_facts(one)}


def _facts(one: Found) -> _Row:
    facts = {"size": one.file.size, "mtime_ns": one.file.mtime_ns}
    return {**facts, "sha256": one.sha256, "html": one.html, "note": one.note}


def _write(session: Session, new: list[_Row], changes: list[_Row], gone: Sequence[int]) -> None:
    """Three statements, however many files there are."""
    if new:
        session.execute(insert(Output), new)
    if changes:
        session.execute(update(Output), changes)
    for at in range(0, len(gone), AT_ONCE):
        session.execute(delete(Output).where(Output.id.in_(gone[at : at + AT_ONCE])))


def files(session: Session, task: Task, attempt: int | None = None) -> list[Output]:
    """The files of a task's present attempt, or of another: its summary, then by their paths."""
    statement = select(Output).where(
        Output.task_id == task.id,
        Output.attempt == (attempt or task.attempt),
        Output.area == Area.OUTPUT,
    )
    return sorted(session.scalars(statement), key=_in_list)


def of_run(session: Session, run_id: str) -> list[Listing]:
    """What each of a run's tasks wrote, in the document's order, without those that wrote none."""
    of_attempt = (
        (Output.task_id == Task.id)
        & (Output.attempt == Task.attempt)
        & (Output.area == Area.OUTPUT)
    )
    statement = (
        select(Task.key, Task.outputs_more, Task.outputs_problem, Output)
        .outerjoin(Output, of_attempt)
        .where(Task.run_id == run_id, Task.has_outputs)
        .order_by(Task.n)
    )
    found: dict[str, Listing] = {}
    for key, more, problem, row in session.execute(statement):
        listing = found.setdefault(key, Listing(key, more, problem, []))
        if row is not None:
            listing.files.append(row)
    for listing in found.values():
        listing.files.sort(key=_in_list)
    return list(found.values())


def _in_list(row: Output) -> tuple[bool, str]:
    return row.raw != SUMMARY, row.path


def file(session: Session, run_id: str, key: str, raw: bytes) -> Output:
    """A listed file by its path's bytes, exactly. NotFound for anything else, all alike."""
    present = _of_task(run_id, key).where(Output.attempt == Task.attempt)
    return _one(session, present.where(Output.raw == raw, Output.area == Area.OUTPUT))


def file_by_row(session: Session, run_id: str, key: str, row: int) -> Output:
    """A kept file of any attempt by its row. NotFound as for file()."""
    return _one(session, _of_task(run_id, key).where(Output.id == row))


def file_of(session: Session, run_id: str, key: str, attempt: int, raw: bytes) -> Output:
    """A kept file of one attempt by its path's bytes. NotFound as for file()."""
    statement = _of_task(run_id, key).where(Output.attempt == attempt, Output.raw == raw)
    return _one(session, statement.where(Output.area == Area.OUTPUT))


def listed(session: Session, run_id: str, key: str, row: int) -> Output:
    """A listed file or long log of any attempt by its row, kept or not. NotFound for all else."""
    statement = (
        select(Output)
        .join(Task, Task.id == Output.task_id)
        .where(Task.run_id == run_id, Task.key == key, Output.id == row)
        .where(Output.area != Area.FRAGMENT)
    )
    found = session.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("There is no such file among what this task wrote.")
    return found


def file_of_attempt(session: Session, task_id: int, attempt: int, raw: bytes) -> Output:
    """A kept file of one attempt by its path's bytes. NotFound as for file()."""
    statement = select(Output).where(
        Output.task_id == task_id,
        Output.attempt == attempt,
        Output.area == Area.OUTPUT,
        Output.raw == raw,
        Output.sha256.is_not(None),
    )
    return _one(session, statement)


def file_of_attempt_by_row(session: Session, task_id: int, attempt: int, row: int) -> Output:
    """A kept file of one attempt by its row. NotFound as for file()."""
    statement = select(Output).where(
        Output.id == row,
        Output.task_id == task_id,
        Output.attempt == attempt,
        Output.area == Area.OUTPUT,
        Output.sha256.is_not(None),
    )
    return _one(session, statement)


def _of_task(run_id: str, key: str) -> Select[Output]:
    return (
        select(Output)
        .join(Task, Task.id == Output.task_id)
        .where(Task.run_id == run_id, Task.key == key)
        .where(Output.area != Area.FRAGMENT, Output.sha256.is_not(None))
    )


def _one(session: Session, statement: Select[Output]) -> Output:
    found = session.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("There is no such file among what this task wrote and the server has kept.")
    return found


def sections(session: Session, run_id: str) -> list[Section]:
    """The parts of a run's summary, in the order in which their tasks were submitted."""
    statement = (
        select(Task.key, Task.name, Output)
        .join(Output, Output.task_id == Task.id)
        .where(Task.run_id == run_id, Output.attempt == Task.attempt, Output.size > 0)
        .where(Output.area == Area.FRAGMENT)
        .order_by(Task.submitted_at.nulls_first(), Task.n)
    )
    return [Section(*row) for row in session.execute(statement)]


@dataclass(frozen=True)
class KeptLog:
    """Bytes `start` to `end` of a log are kept; the log is `size` bytes long by now."""

    stream: str
    start: int
    end: int
    size: int


def record_log(session: Session, task: Task, log: KeptLog, now: datetime) -> None:
    """Make a log's row say what is kept of it."""
    statement = select(Log).where(
        Log.task_id == task.id, Log.attempt == task.attempt, Log.stream == log.stream
    )
    row = session.scalars(statement).one_or_none()
    facts = {"start": log.start, "end": log.end, "size": log.size}
    if row is None:
        key = {"task_id": task.id, "attempt": task.attempt, "stream": log.stream}
        session.add(Log(**key, **facts, at=now))
    elif row.at < now - FRESH or any(getattr(row, n) != v for n, v in facts.items()):
        for name, value in facts.items():
            setattr(row, name, value)
        row.at = now
    if log.start:
        _record_long_log(session, task, log)


def _record_long_log(session: Session, task: Task, log: KeptLog) -> None:
    """Let a log of which the beginning is not kept be a file that is read where it is."""
    key = {"task_id": task.id, "attempt": task.attempt, "area": Area.LOG}
    raw = log.stream.encode()
    row = session.scalars(select(Output).filter_by(**key, raw=raw)).one_or_none()
    if row is None:
        words = {"path": f"{log.stream}.log", "kind": Kind.TEXT, "mtime_ns": 0}
        session.add(Output(**key, raw=raw, **words, size=log.size))
    elif row.sha256 is None:
        row.size = log.size
    elif row.size != log.size:  # it has grown since it was fetched whole
        row.sha256, row.size = None, log.size


def long_log(
    session: Session, task: Task, stream: str, attempt: int | None = None
) -> Output | None:
    """The row of a log that is read where it is; None: all of it is kept, or nothing."""
    key = {"task_id": task.id, "attempt": attempt or task.attempt, "area": Area.LOG}
    return session.scalars(select(Output).filter_by(**key, raw=stream.encode())).one_or_none()
