"""Rows say what was found, and are read in the order in which pages show them."""

from datetime import UTC, datetime, timedelta

import pytest

from scripthut.core.errors import NotFound
from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.states import State
from scripthut.store import outputs
from scripthut.store.db import Database, Session
from scripthut.store.models import Log, Run, Task
from scripthut.store.outputs import Found, KeptLog

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
RUN = "abcdefgh"
SHA = "a" * 64
OTHER = "b" * 64


@pytest.fixture(autouse=True)
def run(database: Database) -> None:
    """A run of three tasks, submitted from the last to the first."""
    with database.writing() as session:
        session.add(Run(id=RUN, name="study", backend="cluster", created_at=NOW))
        session.flush()
        for n, key in enumerate(("a", "b", "c")):
            at = NOW - timedelta(seconds=n)
            facts = {"key": key, "name": f"task {key}", "spec": {}, "deps": []}
            session.add(Task(run_id=RUN, n=n, submitted_at=at, state=State.RUNNING, **facts))


def task_named(session: Session, key: str) -> Task:
    return session.query(Task).filter_by(key=key).one()


def found(
    path: bytes, sha: str | None = SHA, size: int = 4, area: Area = Area.OUTPUT, mtime: int = 1
) -> Found:
    return Found(RemoteFile("t", area, path, size, mtime), sha, None, None)


def record(database: Database, key: str, *files: Found, keep_vanished: bool = False) -> bool:
    with database.writing() as session:
        return outputs.record(session, task_named(session, key), files, keep_vanished).has_changed


def paths(database: Database, key: str) -> list[str]:
    with database.reading() as session:
        return [row.path for row in outputs.files(session, task_named(session, key))]


def test_the_task_summary_stands_before_all_others(database: Database) -> None:
    names = [b"z.png", b"A.png", b"task-summary.md", b"sub/task-summary.md"]
    record(database, "a", *(found(name) for name in names))

    assert paths(database, "a") == ["task-summary.md", "A.png", "sub/task-summary.md", "z.png"]


def test_recording_the_same_again_changes_nothing(database: Database) -> None:
    assert record(database, "a", found(b"x"), found(b"y"))

    assert not record(database, "a", found(b"x"), found(b"y"))


def test_a_new_time_of_the_same_bytes_is_no_news(database: Database) -> None:
    record(database, "a", found(b"x"))

    assert not record(database, "a", found(b"x", mtime=2))
    assert record(database, "a", found(b"x", OTHER, mtime=3))


def test_what_was_not_found_any_more_goes_or_stays(database: Database) -> None:
    record(database, "a", found(b"x"), found(b"y"))

    assert not record(database, "a", found(b"x"), keep_vanished=True)
    assert paths(database, "a") == ["x", "y"]
    assert record(database, "a", found(b"x"))
    assert paths(database, "a") == ["x"]


def test_a_file_keeps_its_number_when_it_changes(database: Database) -> None:
    record(database, "a", found(b"x"))
    with database.reading() as session:
        before = outputs.file(session, RUN, "a", b"x").id
    record(database, "a", found(b"x", OTHER))

    with database.reading() as session:
        assert outputs.file_by_row(session, RUN, "a", before).sha256 == OTHER


def test_a_file_is_found_by_the_bytes_of_its_path_alone(database: Database) -> None:
    record(database, "a", found(b"caf\xe9.png"), found("café.png".encode(), OTHER))

    with database.reading() as session:
        assert outputs.file(session, RUN, "a", b"caf\xe9.png").sha256 == SHA
        assert outputs.file(session, RUN, "a", "café.png".encode()).sha256 == OTHER
        for wrong in (b"caf\\xe9.png", b"CAF\xe9.png", b"./caf\xe9.png", b""):
            with pytest.raises(NotFound):
                outputs.file(session, RUN, "a", wrong)


def test_a_file_that_is_not_kept_is_not_found(database: Database) -> None:
    record(database, "a", found(b"x", None))

    with database.reading() as session, pytest.raises(NotFound):
        outputs.file(session, RUN, "a", b"x")


def test_only_the_present_attempt_is_shown(database: Database) -> None:
    record(database, "a", found(b"first"))
    with database.writing() as session:
        task_named(session, "a").attempt = 2
    record(database, "a", found(b"second"))

    assert paths(database, "a") == ["second"]
    with database.reading() as session:
        assert outputs.task_of(session, task_named(session, "a").id, 1) is None
        assert outputs.task_of(session, task_named(session, "a").id, 2) is not None


def test_the_runs_summary_follows_the_order_of_submission(database: Database) -> None:
    for key in ("a", "b", "c"):
        record(database, key, found(f"{key}.md".encode(), area=Area.FRAGMENT), found(b"o.md"))
    record(database, "b", found(b"b.md", size=0, area=Area.FRAGMENT))

    with database.reading() as session:
        assert [s.key for s in outputs.sections(session, RUN)] == ["c", "a"]
        assert outputs.sections(session, "otherrun") == []


def test_names_for_people_hold_no_controls(database: Database) -> None:
    assert outputs.shown_path("a\n\u202eb\x1b.png".encode()) == "a\\x0a\\xe2\\x80\\xaeb\\x1b.png"


def test_a_logs_row_is_written_when_there_is_news_or_it_is_old(database: Database) -> None:
    def write(log: KeptLog, now: datetime) -> datetime:
        with database.writing() as session:
            outputs.record_log(session, task_named(session, "a"), log, now)
        with database.reading() as session:
            return session.query(Log).one().at

    same = KeptLog("output", 0, 10, 10)
    assert write(same, NOW) == NOW
    assert write(same, NOW + timedelta(seconds=5)) == NOW
    assert write(same, NOW + timedelta(seconds=11)) == NOW + timedelta(seconds=11)
    longer = KeptLog("output", 0, 12, 12)
    assert write(longer, NOW + timedelta(seconds=12)) == NOW + timedelta(seconds=12)
