"""What goes when it is old, and what never does."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripthut.core.files import heads
from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.measures import figures
from scripthut.core.states import State
from scripthut.engine.beside.retention import Keeper, Rules
from scripthut.store import outputs
from scripthut.store.db import Database
from scripthut.store.files import fetches, pictures
from scripthut.store.files.kept import Kept
from scripthut.store.keeping import retention
from scripthut.store.models import Output, Picture, Run, Task
from scripthut.store.outputs import Found, KeptLog
from tests.store.plans import steps

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


def test_logs_of_former_attempts_stay_and_so_do_those_that_another_run_took_over(
    store: Store,
) -> None:
    store.run("first", 3, b"a")
    store.run("second", 2, b"b")
    with store.database.writing() as session:
        one = session.query(Task).filter_by(run_id="first").one()
        one.attempt, one.token = 3, "first.0.3"
        outputs.record_log(session, one, KeptLog("output", 0, 4, 4), NOW)
        taken = session.query(Task).filter_by(run_id="second").one()
        taken.token = "gone.0.1"  # of a run that was forgotten since
    for token in ("first.0.3", "first.0.2", "gone.0.1", "gone.1.1"):
        store.kept.append_log(token, "output", 0, b"log\n")
    for path in (store.kept.directory / "logs").glob("*/*"):
        os.utime(path, (LONG_AGO, LONG_AGO))

    store.keep()

    assert store.kept.logs().keys() == {"first.0.1", "first.0.3", "gone.0.1", "second.0.1"}


def test_what_was_made_of_a_file_stays_with_it_and_nothing_else_does(store: Store) -> None:
    store.run("new", 1, b"a plot", b"a table", b"metrics")
    sha = {row.raw: row.sha256 or "" for row in store.files("new")}
    with store.database.writing() as session:
        for row, path in zip(
            session.query(Output).order_by(Output.raw),
            ("a.png", "b.parquet", "metrics.json"),
            strict=True,
        ):
            row.path = path
    made = {
        "head of a plot": heads.key(sha[b"0.bin"]),
        "head of a table": heads.key(sha[b"1.bin"]),
        "figures of a plot": figures.key(sha[b"0.bin"], "a.png"),
        "figures of metrics": figures.key(sha[b"2.bin"], "metrics.json"),
    }
    for words, name in made.items():
        store.kept.put_as(name, words.encode())
        os.utime(store.kept.path(name), (LONG_AGO, LONG_AGO))

    store.keep()

    stays = {b"a plot", b"a table", b"metrics", b"head of a table", b"figures of metrics"}
    assert store.on_disk() == stays


def test_what_runs_share_is_not_counted_as_freed_with_the_first_of_them(store: Store) -> None:
    for age, name in ((9, "a"), (8, "b"), (7, "c")):
        store.run(name, age, b"s" * 1000, name.encode() * 996)  # and four of the log
    assert store.held() == 4000
    with store.database.reading() as session:
        assert retention.alone(session, "a") == 1000
    assert store.keep(bytes=3000) == 1
    assert store.held() == 3000


def test_a_run_whose_files_went_is_looked_at_again_only_for_what_was_fetched_since(
    store: Store,
) -> None:
    store.run("old", 31, b"one", b"two")
    assert store.keep(days=30) == 1

    def expirable() -> list[str]:
        with store.database.reading() as session:
            return [old.run_id for old in retention.expirable(session, NOW)]

    assert expirable() == []
    row = store.files("old")[0]
    with store.database.writing() as session:
        fetches.ask(session, session.merge(row), NOW)
    with store.database.writing() as session:
        assert fetches.finish(session, row.id, store.put(b"one"), None)
    assert expirable() == ["old"]
    assert store.keep(days=30) == 1
    assert store.on_disk() == set()


def test_pictures_that_nobody_has_are_found_by_their_content(store: Store, tmp_path: Path) -> None:
    store.run("new", 1, b"seen")
    sha = store.files("new")[0].sha256 or ""
    with store.database.writing() as session:
        pictures.want(session, [sha, "0" * 64])
    assert [step for step in steps(tmp_path, retention.unseen) if "outputs" in step] == [
        "SEARCH outputs USING COVERING INDEX ix_outputs_sha256 (sha256=?)"
    ]
    store.keep()
    with store.database.reading() as session:
        assert [row.sha256 for row in session.query(Picture)] == [sha]


def test_a_file_that_gets_its_name_during_a_sweep_ends_no_sweep(store: Store) -> None:
    store.run("new", 1, b"kept")
    left = store.kept.directory / "files" / "ff" / ".new-x"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    first = store.kept.directory / "files" / "00" / ("0" * 62)
    first.parent.mkdir(parents=True, exist_ok=True)
    first.touch()

    def is_wanted(_name: str) -> bool:
        left.unlink(missing_ok=True)  # it was renamed
        return True

    assert store.kept.sweep(is_wanted, NOW.timestamp() + 1) == 0
