"""A SQLite that another process has locked, that may not be written, that has no room left."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from scripthut.core.survey import Wish
from scripthut.store import lease, watches
from scripthut.store.db import IN_PASSING, Database, DatabaseDown
from scripthut.store.machines import surveys
from scripthut.store.models import Base, Lease, LoginRow, SurveyRow, WatchRow

pytestmark = pytest.mark.own_database("SQLite is what is tested")

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOBODY = 65534
HOLDS = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process writes for as long as the `with` lasts."""
    words = [sys.executable, "-c", HOLDS, file]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.communicate()


def filled(file: Path, patience: float | None = None) -> Database:
    database = Database(f"sqlite:///{file}", patience)
    Base.metadata.create_all(database.engine)
    lease.acquire(database, "me")
    return database


def test_a_writer_waits_as_long_as_its_patience_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "hut.db"
    database, patient = filled(file, patience=0.6), Database(f"sqlite:///{file}", patience=20)
    with locked(file):
        for _ in range(2):  # the connection has been used before, and still has its patience
            began = time.monotonic()
            with pytest.raises(DatabaseDown, match=r"is locked\. Another process") as caught:
                lease.acquire(database, "somebody else")
            assert 0.5 < time.monotonic() - began < 3
        assert "nothing was changed here, try again in a moment" in str(caught.value)
        with database.reading() as session:
            assert lease.leader(session)[0] == "me", "reading goes on"
    with patient.writing() as session:
        session.execute(update(Lease).values(until=0.0))
    assert lease.acquire(database, "somebody else") == 2
    database.dispose()
    patient.dispose()


def test_what_is_noted_in_passing_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A page that says who looks at it is shown, however long somebody else writes."""
    file = tmp_path / "hut.db"
    database = filled(file, patience=30)
    with locked(file):
        began = time.monotonic()
        surveys.look(database, "hpc", Wish(facts=True), NOW)
        watches.renew(database, "abcdefgh", 0, "run", NOW)
        assert time.monotonic() - began < 2 * IN_PASSING + 2
    with database.reading() as session:
        for row in (SurveyRow, WatchRow):
            assert session.scalar(select(func.count()).select_from(row)) == 0
    surveys.look(database, "hpc", Wish(facts=True), NOW)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(SurveyRow)) == 1
    database.dispose()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may go into, as pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="hut-db-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(file: Path) -> str:
    """What a process of another user is told when it writes; reading must do."""
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(tell, write_to(file).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(listen) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


def write_to(file: Path) -> str:
    database = Database(f"sqlite:///{file}")
    try:
        with database.reading() as session:
            holder = lease.leader(session)[0]
        lease.acquire(database, "somebody else")
    except DatabaseDown as error:
        return f"{holder} leads. {error}"
    return "written"


@pytest.mark.skipif(os.geteuid() != 0, reason="being another user needs root")
@pytest.mark.parametrize("what", ["the file", "the directory too"])
def test_a_database_that_may_not_be_written_says_whose_it_must_be(
    open_directory: Path, what: str
) -> None:
    file = open_directory / "hut.db"
    stays = filled(file)  # as of a server of another user: its -wal and -shm are there
    with stays.reading() as session:
        session.get(Lease, "engine")
        for part in open_directory.iterdir():
            part.chmod(0o644)
        if what == "the file":
            open_directory.chmod(0o777)
        said = as_nobody(file)
    assert said.startswith("me leads. ")
    assert "attempt to write a readonly database. Nothing was changed" in said
    assert "writable for the user that runs scripthut" in said
    with stays.reading() as session:
        assert lease.leader(session)[0] == "me"
    stays.dispose()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_undoes_the_whole_write_and_says_so(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        database = filled(small / "hut.db")
        room = shutil.disk_usage(small).free
        with (
            pytest.raises(DatabaseDown, match=r"disk is full\. Nothing was changed: make room"),
            database.writing() as session,
        ):
            session.execute(update(Lease).values(until=1.0))
            for n in range(2 * room // 10_000):
                large = {"x": "x" * 10_000}
                session.add(LoginRow(backend=f"b{n}", wanted_until=0.0, until=0.0, question=large))
            session.flush()
        with database.reading() as session:
            assert session.scalar(select(func.count()).select_from(LoginRow)) == 0
            held = session.get(Lease, "engine")
            assert held is not None
            assert held.until != 1.0, "the half that had room must be undone"
        assert lease.acquire(database, "me") is not None, "and it goes on where there is room"
        database.dispose()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_process_whose_connections_all_wait_says_that_the_database_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = filled(tmp_path / "hut.db")
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.1)
    with ExitStack() as held:
        for _ in range(database.engine.pool.size() + database.engine.pool._max_overflow):  # type: ignore[attr-defined]
            held.enter_context(database.reading()).connection()
        one_more = pytest.raises(DatabaseDown, match="all connections that this process may have")
        with one_more, database.reading() as session:
            session.connection()
    with database.reading() as session:
        assert session.get(Lease, "engine") is not None
    database.dispose()
