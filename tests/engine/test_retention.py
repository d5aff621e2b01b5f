"""What goes when it is old, and what never does."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.states import State
from scripthut.engine.retention import Keeper, Rules
from scripthut.store import outputs, retention
from scripthut.store.db import Database
from scripthut.store.kept import Kept
from scripthut.store.models import Output, Run, Task
from scripthut.store.outputs import Found, KeptLog

NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO = (NOW - timedelta(days=400)).timestamp()


@dataclass
class Store:
    """Runs of one task each, what they hold, and who lets it go."""

    database: Database
    kept: Kept

    def run(self, run_id: str, age: int, *contents: bytes, ended: bool = True) -> None:
        """A run that ended so many days ago and holds files of these contents, and a log."""
        at = NOW - timedelta(days=age)
        token = f"{run_id}.0.1"
        with self.database.writing() as session:
            session.add(
                Run(id=run_id, name="study", backend="hpc", created_at=at,
                    ended_at=at if ended else None)
            )  # fmt: skip
            session.flush()
            task = Task(
                run_id=run_id, n=0, key="fit", name="fit", spec={}, deps=[], token=token,
                job_id="7", finished_at=at, ended_seen_at=at, collected_at=at,
                state=State.COMPLETED if ended else State.RUNNING,
            )  # fmt: skip
            session.add(task)
            session.flush()
            found = [
                Found(RemoteFile(token, Area.OUTPUT, b"%d.bin" % n, len(data), 1), self.put(data))
                for n, data in enumerate(contents)
            ]
            outputs.record(session, task, found)
            start, end = self.kept.append_log(token, "output", 0, b"log\n")
            outputs.record_log(session, task, KeptLog("output", start, end, end), at)
        for path in (self.kept.directory / "logs" / run_id).iterdir():
            os.utime(path, (LONG_AGO, LONG_AGO))

    def put(self, data: bytes) -> str:
        sha = self.kept.put(data)
        os.utime(self.kept.path(sha), (LONG_AGO, LONG_AGO))
        return sha

    def keep(self, **rules: int) -> int:
        keeper = Keeper(self.database.reading, self.database.writing, self.kept)
        return keeper.run(Rules(**rules), NOW)

    def files(self, run_id: str) -> list[Output]:
        with self.database.reading() as session:
            return list(session.query(Output).join(Task).filter(Task.run_id == run_id))

    def held(self, run_id: str | None = None) -> int:
        with self.database.reading() as session:
            return retention.held(session, None if run_id is None else [run_id]).bytes

    def on_disk(self) -> set[bytes]:
        return {path.read_bytes() for path in (self.kept.directory / "files").glob("??/*")}


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Store:
    return Store(database, Kept(tmp_path / "kept"))


def test_by_default_nothing_goes(store: Store) -> None:
    store.run("old", 4000, b"a")
    assert store.keep() == 0
    assert store.on_disk() == {b"a"}
    assert store.held("old") == 1 + 4


def test_what_is_too_old_goes_and_is_named_with_its_hash_and_the_reason(store: Store) -> None:
    store.run("old", 31, b"only mine", b"shared")
    store.run("new", 29, b"shared", b"new")
    assert store.keep(days=30) == 1
    assert store.on_disk() == {b"shared", b"new"}
    for row, data in zip(store.files("old"), (b"only mine", b"shared"), strict=True):
        assert row.sha256 is None
        assert row.was_sha256 == store.kept.put(data)
        assert row.size == len(data)
        assert "ended more than 30 days ago (settings.outputs.keep_days)" in (row.note or "")
        assert outputs.is_within_reach(row)  # it may still be on the cluster
    assert store.held("old") == 0
    assert not (store.kept.directory / "logs" / "old" / "old.0.1.output").exists()
    assert (store.kept.directory / "logs" / "new" / "new.0.1.output").exists()
    with store.database.reading() as session:
        run = session.get_one(Run, "old")
        assert run.removed_at == NOW
        assert run.version > 0  # open pages hear of it
    assert store.keep(days=30) == 0


def test_what_is_too_much_goes_the_oldest_first_until_it_fits(store: Store) -> None:
    for age, name in ((9, "a"), (8, "b"), (7, "c"), (6, "d")):
        store.run(name, age, name.encode() * 996)  # and four of the log
    assert store.held() == 4000
    assert store.keep(bytes=2500) == 2
    assert store.on_disk() == {b"c" * 996, b"d" * 996}
    assert "settings.outputs.keep_bytes" in (store.files("a")[0].note or "")


def test_a_pinned_run_and_one_that_goes_on_stay(store: Store) -> None:
    store.run("pinned", 50, b"pinned")
    store.run("going", 50, b"going", ended=False)
    with store.database.writing() as session:
        retention.pin(session, session.get_one(Run, "pinned"), NOW)
    assert store.keep(days=1, bytes=0) == 0
    assert store.on_disk() == {b"pinned", b"going"}
    with store.database.writing() as session:
        retention.pin(session, session.get_one(Run, "pinned"), None)
    assert store.keep(days=1) == 1


def test_bytes_without_a_row_go_once_they_are_not_young(store: Store) -> None:
    store.run("new", 1, b"kept")
    store.put(b"of a crash")
    store.kept.put(b"a moment ago")
    left = store.kept.directory / "files" / "ab" / ".new-x"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (LONG_AGO, LONG_AGO))
    store.keep()
    assert store.on_disk() == {b"kept", b"a moment ago"}


def test_bytes_that_are_put_again_are_young_again(store: Store) -> None:
    store.put(b"again")
    store.kept.put(b"again")
    store.keep()
    assert store.on_disk() == {b"again"}


def test_a_removal_that_was_cut_short_is_finished(store: Store) -> None:
    store.run("old", 31, b"x")
    with store.database.writing() as session:  # the rows went, and then the power
        retention.expire(session, "old", "it was old", NOW)
    assert store.on_disk() == {b"x"}
    store.keep()
    assert store.on_disk() == set()
