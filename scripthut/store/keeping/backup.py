"""Backups: a database and the files it names in one tar, taken while servers are at work.

Whatever the database is, in a backup it is a SQLite file: it can be restored to either kind, and
the migrations bring a backup of an older version on. The files are copied after the database, so
those that its rows name are there; a manifest with the hash of each is the last member.
"""

import io
import json
import os
import re
import sqlite3
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Table, func, insert, select, text

from scripthut.core.errors import Conflict, HutError, Refused
from scripthut.store.db import Database
from scripthut.store.keeping import migrate
from scripthut.store.models import Base

FORMAT = 1
DATABASE, MANIFEST = "database.sqlite", "manifest.json"
NAME = re.compile(  # of a member, when it is written and when it is read
    r"database\.sqlite|manifest\.json|kept/files/[0-9a-f]{2}/[0-9a-f]{62}"
    r"|kept/logs/[A-Za-z0-9_-]+/[A-Za-z0-9][A-Za-z0-9._-]*\.(?:output|error)"
)
ROWS = 500  # of a table at once
PIECE = 1024 * 1024  # bytes of a file at once
# What is of the moment alone: who looks at what, what is on its way, who leads.
PASSING = frozenset(
    {"watches", "piece_wishes", "fetches", "frames", "leases", "logins", "commands"}
)


@dataclass(frozen=True)
class Member:
    """A file of a backup."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `revision`: of its tables; `files`: by name, the database too."""

    version: str
    revision: str
    made_at: str
    files: Mapping[str, Member] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(member.size for member in self.files.values())

    def as_json(self) -> bytes:
        """The text of its member."""
        files = {name: [member.size, member.sha256] for name, member in self.files.items()}
        return (json.dumps({**self.__dict__, "files": files}, indent=1) + "\n").encode()

    @classmethod
    def read(cls, data: bytes) -> "Manifest":
        """From its text. Refused when it is none of a kind that is known here."""
        try:
            told: dict[str, Any] = json.loads(data)
            if told["format"] != FORMAT:
                raise Refused(
                    f"This backup has the form {told['format']}, and this version of scripthut "
                    f"reads the form {FORMAT}: restore it with scripthut {told.get('version')}."
                )
            files = {name: Member(*member) for name, member in told["files"].items()}
            return cls(told["version"], told["revision"], told["made_at"], files)
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"The backup's manifest cannot be read: {error!r}") from error


def back_up(url: str, kept: Path, file: Path, version: str, now: datetime) -> Manifest:
    """Write a backup to a file, whole or not at all. Conflict when there is such a file."""
    if file.exists():
        raise Conflict(f"There is a file {file} already: name another one.")
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".hut-backup-") as scratch:
            # In a directory of our own: nobody has put a link there for us to write through.
            snapshot, part = Path(scratch) / DATABASE, Path(scratch) / "backup"
            snapshot.touch(0o600)
            _snapshot(url, snapshot)
            part.touch(0o600)
            with part.open("wb") as out, _tar(out, file.suffix in (".gz", ".tgz")) as tar:
                found = _fill(tar, snapshot, kept)
                made = Manifest(version, migrate.revision(snapshot), now.isoformat(), found)
                _add(tar, MANIFEST, made.as_json())
            part.rename(file)
            return made
    except OSError as error:
        raise HutError(f"The backup {file} cannot be written: {error.strerror or error}") from error


def _tar(out: IO[bytes], is_small: bool) -> tarfile.TarFile:
    if is_small:
        return tarfile.open(fileobj=out, mode="w:gz", compresslevel=3)
    return tarfile.open(fileobj=out, mode="w")


def _fill(tar: tarfile.TarFile, snapshot: Path, kept: Path) -> dict[str, Member]:
    found: dict[str, Member] = {}
    paths = [*sorted(kept.glob("files/??/*")), *sorted(kept.glob("logs/*/*"))]
    names = {path: f"kept/{path.relative_to(kept)}" for path in paths}
    for path, name in {snapshot: DATABASE, **names}.items():
        if not NAME.fullmatch(name):
            continue  # being written in this moment, or nothing of ours
        with suppress(FileNotFoundError), path.open("rb") as data:  # a sweep may take one
            if name.startswith("kept/logs/"):  # written in place: longer or shorter at any moment
                found[name] = _add(tar, name, data.read())
            else:
                found[name] = _copy(tar, name, data, os.fstat(data.fileno()).st_size)
    return found


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> Member:
    return _copy(tar, name, io.BytesIO(data), len(data))


def _copy(tar: tarfile.TarFile, name: str, data: IO[bytes], size: int) -> Member:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    hashed = Hashed(data)
    tar.addfile(entry, hashed)
    return Member(size, hashed.hash.hexdigest())


class Hashed(io.RawIOBase):
    """Bytes that are hashed while they are read."""

    def __init__(self, data: IO[bytes]) -> None:
        """`data`: where they come from."""
        super().__init__()
        self.hash = sha256()
        self._data = data

    def read(self, size: int = -1) -> bytes:
        """See io."""
        found = self._data.read(size)
        self.hash.update(found)
        return found


def _snapshot(url: str, target: Path) -> None:
    """One state of a database as a SQLite file, while others write."""
    database = Database(url)
    try:
        if database.url.get_backend_name() != "sqlite":
            _copy_out(database, target)
            return
        source = Path(database.url.database or "")
        if not source.is_file():
            raise Refused(f"There is no database {source}: start a server with it first.")
        with closing(sqlite3.connect(source, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        raise HutError(f"The database cannot be copied: {error}") from error
    finally:
        database.dispose()


def _copy_out(source: Database, target: Path) -> None:
    migrate.upgrade(f"sqlite:///{target}")
    copy = Database(f"sqlite:///{target}")
    options = {"isolation_level": "REPEATABLE READ"}  # one state, for all of its tables
    with source.engine.connect().execution_options(**options) as old:
        if migrate.current(old) != migrate.head():
            raise Conflict(
                "The database's tables are those of another version of scripthut: back it up with "
                "the one that its server runs."
            )
        with copy.writing() as session:
            copy_rows(old, session.connection())
    copy.dispose()
    make_one_file(target)


def make_one_file(path: Path) -> None:
    """Let a SQLite database have no log of writes beside it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def copy_rows(old: Connection, new: Connection) -> None:
    """All rows of all tables, from one database to another whose tables are empty."""
    for table in Base.metadata.sorted_tables:
        if table.name in PASSING:
            continue
        order = select(table).order_by(*table.primary_key)
        for part in old.execution_options(yield_per=ROWS).execute(order).mappings().partitions():
            new.execute(insert(table), [dict(row) for row in part])
        if new.dialect.name == "postgresql":
            _go_on_counting(new, table)


def _go_on_counting(new: Connection, table: Table) -> None:
    """Let PostgreSQL number new rows after those that were brought."""
    column = table.autoincrement_column
    if column is None:
        return
    most = new.execute(select(func.max(column))).scalar()
    if most is not None:
        where = {"table": table.name, "column": column.name, "most": most}
        statement = "SELECT setval(pg_get_serial_sequence(:table, :column), :most)"
        new.execute(text(statement), where)
