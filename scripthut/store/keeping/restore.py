"""A backup becomes a database and kept files again: all of it is checked before anything counts."""

import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from sqlalchemy import delete, func, inspect, select

from scripthut.core.errors import Conflict, HutError, Refused
from scripthut.store import lease
from scripthut.store.db import Database
from scripthut.store.files.kept import make_folder
from scripthut.store.keeping import migrate
from scripthut.store.keeping.backup import (
    DATABASE,
    MANIFEST,
    NAME,
    PASSING,
    PIECE,
    Hashed,
    Manifest,
    Member,
    copy_rows,
    make_one_file,
)
from scripthut.store.models import Base, Run

MOST_MANIFEST = 1024 * 1024 * 1024


@dataclass(frozen=True)
class Restored:
    """What was restored, and where the former database is now, if there was one."""

    manifest: Manifest
    set_aside: Path | None = None


def restore(file: Path, url: str, kept: Path, overwrite: bool, now: datetime) -> Restored:
    """Restore a backup. Refused when it is not whole; Conflict when a database is in the way."""
    try:
        _check_free(url, overwrite)
        make_folder(kept.parent, kept.parent)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".hut-restore-") as scratch:
            top = Path(scratch)
            manifest = _unpack(file, top)
            migrate.upgrade(f"sqlite:///{top / DATABASE}")
            _forget_the_moment(top / DATABASE)
            # Files are named after their content, so they are in nobody's way; logs are not.
            _move(top, "kept/files/*/*", kept)
            aside = _put(top / DATABASE, url, now)
            _move(top, "kept/logs/*/*", kept)
            return Restored(manifest, aside)
    except OSError as error:
        raise HutError(f"{file} cannot be restored: {error.strerror or error}") from error


def _move(top: Path, pattern: str, kept: Path) -> None:
    for path in sorted(top.glob(pattern)):
        target = kept / path.relative_to(top / "kept")
        make_folder(target.parent, kept)
        shutil.move(path, target)


def _check_free(url: str, overwrite: bool) -> None:
    database = Database(url)
    shown = database.url.render_as_string(hide_password=True)
    try:
        path = database.url.database
        if database.url.get_backend_name() == "sqlite" and not Path(path or "").exists():
            return
        with database.reading() as session:
            if not inspect(session.connection()).has_table(Run.__tablename__):
                return
            if lease.leader(session) is not None:
                raise Conflict(
                    f"A server is at work on {shown}: stop it, and restore once it has ended."
                )
            runs = session.execute(select(func.count()).select_from(Run)).scalar_one()
        if runs and not overwrite:
            raise Conflict(
                f"There are runs in {shown} already, {runs} of them: --overwrite puts the backup "
                "in their place, or name another database or data_dir in the configuration."
            )
    finally:
        database.dispose()


def _unpack(file: Path, top: Path) -> Manifest:
    """Every member below `top`, each as its manifest says."""
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(file, "r|*") as tar:
            for entry in tar:
                data = tar.extractfile(entry) if entry.isreg() else None
                if data is None or not NAME.fullmatch(entry.name):
                    raise Refused(f"{file} holds {entry.name!r}, which is no part of a backup.")
                if entry.name == MANIFEST:
                    manifest = Manifest.read(data.read(MOST_MANIFEST))
                else:
                    found[entry.name] = _write(top / entry.name, data)
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"{file} is no backup, or not a whole one: {error}") from error
    if manifest is None or DATABASE not in found:
        raise Refused(f"{file} is no backup, or not a whole one: it has no manifest at its end.")
    names = found.keys() | manifest.files.keys()
    wrong = sorted(name for name in names if found.get(name) != manifest.files.get(name))
    if wrong:
        raise Refused(
            f"{file} is damaged: {wrong[0]} is not what its manifest says"
            + (f", nor are {len(wrong) - 1} more." if len(wrong) > 1 else ".")
        )
    return manifest


def _write(path: Path, data: IO[bytes]) -> Member:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    hashed = Hashed(data)
    size = 0
    path.touch(0o600)
    with path.open("wb") as out:
        while piece := hashed.read(PIECE):
            out.write(piece)
            size += len(piece)
    return Member(size, hashed.hash.hexdigest())


def _forget_the_moment(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    with database.writing() as session:
        for table in Base.metadata.sorted_tables:
            if table.name in PASSING:
                session.execute(delete(table))
    database.dispose()
    make_one_file(path)


def _put(new: Path, url: str, now: datetime) -> Path | None:
    """Put the database where its address says; the former one is set aside, never lost."""
    database = Database(url)
    if database.url.get_backend_name() != "sqlite":
        _copy_in(new, database)
        return None
    path = Path(database.url.database or "")
    database.dispose()
    aside = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%S}") if path.exists() else None
    if aside is not None:
        for suffix in (
            "-wal",
            "-shm",
            "",
        ):  # a log left behind would be read as the new one's
            former = path.with_name(path.name + suffix)
            if former.exists():
                former.rename(aside.with_name(aside.name + suffix))
    shutil.move(new, path)
    return aside


def _copy_in(new: Path, database: Database) -> None:
    migrate.upgrade(database.url.render_as_string(hide_password=False))
    source = Database(f"sqlite:///{new}")
    try:
        with source.engine.connect() as old, database.writing() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
            copy_rows(old, session.connection())
    finally:
        source.dispose()
        database.dispose()
