"""Backups: one state of a database and its files, whole or refused, on SQLite and PostgreSQL."""

import io
import sqlite3
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import func, insert, select, text

from scripthut.core.errors import Conflict, HutError, Refused
from scripthut.core.jobs import Area
from scripthut.core.workflow.document import parse
from scripthut.store import lease
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.keeping import migrate
from scripthut.store.keeping.backup import MANIFEST, PASSING, back_up
from scripthut.store.keeping.restore import restore
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import Base, EventRow, Output, Run, Task

pytestmark = pytest.mark.own_database("each test runs on both kinds by itself")

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ANOTHER = NewRun("x", "hpc", parse([{"id": "a", "command": "x"}]))
KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def place(request: pytest.FixtureRequest, kind: str, path: Path) -> str:
    """The address of a database without tables."""
    path.mkdir()
    if kind == "sqlite":
        return f"sqlite:///{path}/hut.db"
    url = str(request.getfixturevalue("postgres_url"))
    empty(url)
    request.addfinalizer(lambda: empty(url))
    return url


def empty(url: str) -> None:
    database = Database(url)
    with database.writing() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    database.dispose()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place(request, getattr(request, "param", "sqlite"), tmp_path / "from")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "from" / "kept")


@pytest.fixture
def filled(url: str, kept: Kept) -> Iterator[Database]:
    """A database with a run, an output and a log, all of them kept."""
    migrate.upgrade(url)
    database = Database(url)
    tasks = [{"id": "a", "command": "true"}, {"id": "b", "command": "é'\n", "deps": ["a"]}]
    with database.writing() as session:
        create_run(session, "abcdefgh", NewRun("study", "hpc", parse(tasks)), NOW)
        first = session.scalars(select(Task.id).where(Task.n == 0)).one()
        words = {"area": Area.OUTPUT, "raw": b"a\xff.txt", "path": "a?.txt", "mtime_ns": 2**60}
        sha = kept.put(b"what a task wrote")
        row = {**words, "task_id": first, "attempt": 1, "size": 2**40, "kind": "text"}
        session.execute(insert(Output).values(**row, sha256=sha))
    kept.append_log("abcdefgh.0.1", "output", 0, b"hello\n")
    yield database
    database.dispose()


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows that are to last, by their tables."""
    with database.reading() as session:
        return {
            table.name: [
                tuple(r) for r in session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
            if table.name not in PASSING
        }


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("name", ["hut.tar", "hut.tar.gz"])
def test_what_was_backed_up_comes_back_in_either_kind_of_database(
    request: pytest.FixtureRequest,
    filled: Database,
    url: str,
    kept: Kept,
    tmp_path: Path,
    target: str,
    name: str,
) -> None:
    file, before = tmp_path / name, rows(filled)
    made = back_up(url, kept.directory, file, "1", NOW)
    assert len(made.files) == 3
    assert file.stat().st_mode & 0o777 == 0o600
    there = place(request, target, tmp_path / "to")
    again = Kept(tmp_path / "to" / "kept")
    assert restore(file, there, again.directory, False, NOW).manifest == made
    database = Database(there)
    assert rows(database) == before
    assert again.read(sha256(b"what a task wrote").hexdigest()) == b"what a task wrote"
    assert again.read_log("abcdefgh.0.1", "output").data == b"hello\n"
    with database.writing() as session:  # new rows are numbered after the old ones
        create_run(
            session, "bcdefghj", NewRun("x", "hpc", parse([{"id": "a", "command": "x"}])), NOW
        )
        assert session.execute(select(func.max(Task.id))).scalar_one() == 3
    database.dispose()
    assert list(tmp_path.glob(".*")) == []


def test_a_backup_is_one_state_while_others_write(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    over, wrote = Event(), Event()

    def write() -> None:
        while not over.is_set():
            with filled.writing() as session:
                row = {"run_id": "abcdefgh", "at": NOW, "what": "x"}
                session.execute(insert(EventRow), [row, row])
            wrote.set()

    writer = Thread(target=write)
    writer.start()
    assert wrote.wait(30)
    for n in range(3):
        back_up(url, kept.directory, tmp_path / f"{n}.tar", "1", NOW)
        with tarfile.open(tmp_path / f"{n}.tar") as tar:
            data = tar.extractfile("database.sqlite")
            assert data is not None
            (tmp_path / f"{n}.db").write_bytes(data.read())
    over.set()
    writer.join(30)
    counts = []
    for n in range(3):
        with sqlite3.connect(tmp_path / f"{n}.db") as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            counts.append(
                copy.execute("SELECT count(*) FROM events WHERE what = 'x'").fetchone()[0]
            )
    assert all(count % 2 == 0 for count in counts)
    assert counts[0] < counts[2], "nobody wrote meanwhile"


def test_a_log_that_is_begun_anew_while_it_is_read_is_taken_as_it_is(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    over, wrote = Event(), Event()

    def write() -> None:
        while not over.is_set():
            kept.append_log("abcdefgh.0.1", "output", 0, b"x" * 900_000)
            kept.append_log("abcdefgh.0.1", "output", 0, b"hello\n")  # trims it in place
            wrote.set()

    writer = Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(30)
        for n in range(20):
            back_up(url, kept.directory, tmp_path / f"{n}.tar", "1", NOW)
    finally:
        over.set()
        writer.join(30)
    there = tmp_path / "to"
    restore(tmp_path / "19.tar", f"sqlite:///{there}/hut.db", there / "kept", False, NOW)


def test_what_else_lies_among_the_kept_files_is_left_out(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    for stray in ("files/ab/notes.txt", "logs/abcdefgh/a log~", "logs/abcdefgh/.new-x1"):
        (kept.directory / stray).parent.mkdir(exist_ok=True)
        (kept.directory / stray).write_text("mine")
    made = back_up(url, kept.directory, tmp_path / "hut.tar", "1", NOW)
    assert len(made.files) == 3
    there = tmp_path / "to"
    restore(tmp_path / "hut.tar", f"sqlite:///{there}/hut.db", there / "kept", False, NOW)


def test_nothing_is_written_through_a_link_that_lies_beside_the_backup(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".hut.tar.part").symlink_to(tmp_path / "theirs")
    back_up(url, kept.directory, tmp_path / "hut.tar", "1", NOW)
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "hut.tar").is_symlink()


def damaged(file: Path, how: str) -> Path:
    """The backup with something wrong."""
    bad = file.with_name("bad.tar")
    if how == "cut":
        bad.write_bytes(file.read_bytes()[:-20_000])
    elif how == "no tar":
        bad.write_bytes(b"hello" * 1000)
    elif how == "changed":
        bad.write_bytes(file.read_bytes().replace(b"what a task wrote", b"what a task WROTE"))
    else:
        with tarfile.open(file) as old, tarfile.open(bad, "w") as new:
            for entry in old:
                data = old.extractfile(entry)
                assert data is not None
                changed = data.read()
                if how == "a file more" and entry.name == MANIFEST:
                    more = tarfile.TarInfo("kept/files/aa/" + "b" * 62)
                    new.addfile(more, io.BytesIO())
                if how == "a form of tomorrow" and entry.name == MANIFEST:
                    changed = changed.replace(b'"format": 1', b'"format": 2')
                if how == "a way out" and entry.name == MANIFEST:
                    new.addfile(tarfile.TarInfo("kept/../../evil"), io.BytesIO())
                if how == "a link" and entry.name == MANIFEST:
                    link = tarfile.TarInfo("kept/logs/abcdefgh/abcdefgh.1.1.output")
                    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
                    new.addfile(link)
                if how == "a file less" and entry.name.startswith("kept/files"):
                    continue
                entry.size = len(changed)
                new.addfile(entry, io.BytesIO(changed))
    return bad


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("cut", "not a whole one"),
        ("no tar", "is no backup"),
        ("changed", "damaged: kept/files/"),
        ("a file more", "damaged: kept/files/aa/"),
        ("a file less", "damaged: kept/files/"),
        ("a form of tomorrow", "restore it with scripthut 1"),
        ("a way out", "which is no part of a backup"),
        ("a link", "which is no part of a backup"),
    ],
)
def test_what_is_not_whole_is_refused_and_nothing_is_changed(
    filled: Database, url: str, kept: Kept, tmp_path: Path, how: str, says: str
) -> None:
    back_up(url, kept.directory, tmp_path / "good.tar", "1", NOW)
    bad = damaged(tmp_path / "good.tar", how)
    there = tmp_path / "to"
    with pytest.raises(Refused, match=says):
        restore(bad, f"sqlite:///{there}/hut.db", there / "kept", True, NOW)
    assert list(there.rglob("*")) == []
    assert not (tmp_path / "evil").exists()


def test_a_backup_of_a_newer_program_is_refused_with_a_sentence(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    with filled.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'tomorrow'"))
    made = back_up(url, kept.directory, tmp_path / "new.tar", "99", NOW)
    assert made.revision == "tomorrow"
    there = tmp_path / "to"
    with pytest.raises(Conflict, match="newer scripthut"):
        restore(tmp_path / "new.tar", f"sqlite:///{there}/hut.db", there / "kept", False, NOW)
    assert list(there.rglob("*")) == []


@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_runs_that_are_there_are_replaced_on_demand_alone_and_never_under_a_server(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    file, before = tmp_path / "hut.tar", rows(filled)
    back_up(url, kept.directory, file, "1", NOW)
    with filled.writing() as session:
        create_run(
            session, "later111", NewRun("x", "hpc", parse([{"id": "a", "command": "x"}])), NOW
        )
    with pytest.raises(Conflict, match=r"There are runs in .* already, 2 of them: --overwrite"):
        restore(file, url, kept.directory, False, NOW)
    lease.acquire(filled, "somebody")
    with pytest.raises(Conflict, match="A server is at work"):
        restore(file, url, kept.directory, True, NOW)
    lease.release(filled, "somebody")
    filled.dispose()
    done = restore(file, url, kept.directory, True, NOW)
    database = Database(url)
    assert rows(database) == before
    database.dispose()
    if url.startswith("sqlite"):
        assert done.set_aside is not None
        former = Database(f"sqlite:///{done.set_aside}")
        with former.reading() as session:
            assert session.get(Run, "later111") is not None
        former.dispose()


def test_logs_stay_as_they_are_when_the_database_cannot_be_put(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    back_up(url, kept.directory, tmp_path / "hut.tar", "1", NOW)
    kept.append_log("abcdefgh.0.1", "output", 6, b"later\n")
    long = tmp_path / f"{'h' * 240}.db"  # with a word behind it, for setting it aside, too long
    long.touch()
    with pytest.raises(HutError, match="cannot be restored: File name too long"):
        restore(tmp_path / "hut.tar", f"sqlite:///{long}", kept.directory, True, NOW)
    assert kept.read_log("abcdefgh.0.1", "output").data == b"hello\nlater\n"


def test_a_backup_never_takes_the_place_of_another_file(
    filled: Database, url: str, kept: Kept, tmp_path: Path
) -> None:
    (tmp_path / "hut.tar").write_text("mine")
    with pytest.raises(Conflict, match="name another one"):
        back_up(url, kept.directory, tmp_path / "hut.tar", "1", NOW)
    with pytest.raises(HutError, match="cannot be written: No such file or directory"):
        back_up(url, kept.directory, tmp_path / "nowhere" / "hut.tar", "1", NOW)
    with pytest.raises(Refused, match="There is no database"):
        back_up(f"sqlite:///{tmp_path}/none.db", kept.directory, tmp_path / "x.tar", "1", NOW)
    assert (tmp_path / "hut.tar").read_text() == "mine"
    assert not (tmp_path / "x.tar").exists()
