"""What lies on a backend's disk, and deletions there: requests out, answers in."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from scripthut.backends.node import Record, bytes_of
from scripthut.backends.sent.files import pack
from scripthut.core.disk import (
    LONGEST_JOB,
    Done,
    Kind,
    Removal,
    Scan,
    Scanned,
    Stage,
    Thing,
    Told,
    Wanted,
    Way,
)
from scripthut.core.errors import BadAnswer

SECONDS = 90  # for one command
SCAN_SECONDS = 1800  # that a look may take, by itself on the login node
EACH_SECONDS = 300  # for one thing of it


def asking(wanted: Wanted, home: PurePosixPath) -> Record:
    """The request that brings a look and deletions a step further."""
    request: dict[str, object] = {"clears": [_clearing(one) for one in wanted.removals]}
    if wanted.scan is not None:
        request["scan"] = _scanning(wanted.scan, home)
    return request


def _scanning(scan: Scan, home: PurePosixPath) -> Record:
    return {
        "id": scan.id,
        "home": str(home),
        "roots": list(scan.roots),
        "offset": scan.offset,
        "seconds": SCAN_SECONDS,
        "each": EACH_SECONDS,
    }


def _clearing(removal: Removal) -> Record:
    thing = removal.thing
    return {
        "id": removal.id,
        "kind": thing.kind.value,
        "root": thing.root,
        "name": pack(thing.name),
        "run": thing.run_id,
        "mark": thing.mark,
        "idle": removal.idle,
        "job": LONGEST_JOB.total_seconds(),
        "may": removal.may_begin,
        "moved": removal.is_moved,
    }


def told(wanted: Wanted, records: Sequence[Record]) -> Told:
    """What the node said of both. BadAnswer when it makes no sense."""
    removals: dict[str, Done] = {}
    scan: Scanned | None = None
    try:
        for record in records:
            if "removal" in record:
                freed, why = int(record.get("freed", 0)), record["why"]
                removals[record["removal"]] = Done(Way(record["way"]), freed, why)
            elif "scan" in record and wanted.scan is not None:
                scan = _scanned(record, wanted.scan.begun_at)
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"the login node said something that makes no sense: {error!r}") from error
    return Told(scan, removals)


def _scanned(record: Record, begun_at: datetime) -> Scanned:
    stage, note, home, total = Stage(record["scan"]), record.get("why"), None, None
    things = []
    for row in _rows(record.get("data", "")):
        if "total" in row:
            home, total = str(row["home"]), int(row["total"])
        elif "end" in row:
            stage, note = Stage.ENDED, row["note"]
        else:
            things.append(_thing(row, begun_at))
    return Scanned(stage, int(record.get("offset", 0)), home, total, tuple(things), note)


def _rows(data: str) -> Iterator[Record]:
    for line in bytes_of(data).splitlines():
        yield json.loads(line)


def _thing(row: Record, begun_at: datetime) -> Thing:
    age = row.get("age")
    return Thing(
        kind=Kind(row["kind"]),
        root=str(row["root"]),
        name=bytes_of(row["name"]),
        run_id=row["run"],
        mark=str(row.get("mark", "")),
        size=row.get("size"),
        files=int(row["files"]),
        is_whole=bool(row["whole"]),
        touched_at=None if age is None else begun_at - timedelta(seconds=float(age)),
        is_busy=bool(row.get("busy")),
        note=row.get("note"),
    )
