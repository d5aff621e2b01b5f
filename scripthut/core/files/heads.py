"""How files of columns begin, as it is kept: what the child that can read them found."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from scripthut.core.files.previews import suffix

VERSION = "1"
ROWS = 200
COLUMNS = 100
CELL = 500  # characters
EXTRA = "scripthut[science]"


@dataclass(frozen=True)
class Head:
    """The schema, and the first rows as text; `why` says why there is none of it."""

    columns: Sequence[tuple[str, str]]  # names and types
    rows: Sequence[Sequence[str]]
    count: int = 0  # of all rows
    why: str | None = None


def has_head(path: str) -> bool:
    """Whether a file is one of columns, by its name."""
    return suffix(path) in ("parquet", "pq")


def key(sha: str) -> str:
    """The name under which a file's head is kept: 64 hexadecimal digits."""
    return sha256(f"head {VERSION}\n{sha}".encode()).hexdigest()


def kept(head: Head) -> bytes:
    """A head as it is kept."""
    rows = [list(row) for row in head.rows]
    return json.dumps([list(head.columns), rows, head.count, head.why]).encode()


def opened(data: bytes) -> Head:
    """What kept() gave."""
    columns, rows, count, why = json.loads(data)
    return Head([(name, kind) for name, kind in columns], rows, count, why)
