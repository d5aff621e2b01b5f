"""What tasks write is kept, rendered and listed, whatever happens to the tasks."""

import base64
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest
from sqlalchemy import event

from scripthut.backends.base import Backend
from scripthut.core import paths
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import (
    Area,
    Chunk,
    Job,
    Listing,
    Observation,
    OutputLimits,
    RemoteFile,
    Resources,
)
from scripthut.core.markdown import policy
from scripthut.core.states import State
from scripthut.engine.base import Hands, Watched
from scripthut.engine.outputs import gathering, refresh
from scripthut.engine.outputs.collect import collect
from scripthut.engine.outputs.refresh import Refresher
from scripthut.store import outputs
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.models import Log, Output, Run, Task

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
RUN = "abcdefgh"
Key = tuple[Area, bytes]


@dataclass
class Disk:
    """What one task has written on a cluster, and the backend that brings it."""

    token: str
    files: dict[Key, bytes] = field(default_factory=dict)
    notes: dict[Key, str] = field(default_factory=dict)
    times: dict[Key, int] = field(default_factory=dict)
    fetched: list[bytes] = field(default_factory=list)
    fetches: int = 0
    breaks_after: int | None = None  # files that come before the line is cut
    unreadable: set[bytes] = field(default_factory=set)
    name: str = "cluster"

    def write(self, path: str | bytes, data: bytes = b"x", area: Area = Area.OUTPUT) -> None:
        key = (area, path.encode() if isinstance(path, str) else path)
        self.files[key] = data
        self.times[key] = self.times.get(key, 0) + 1

    def listing(self, more: int = 0, problem: str | None = None) -> Listing:
        files = tuple(
            RemoteFile(self.token, area, path, len(data), self.times[area, path], note)
            for (area, path), data in sorted(self.files.items())
            for note in [self.notes.get((area, path))]
        )
        return Listing(repr((files, more, problem)), files, more, problem)

    def fetch(
        self, files: Collection[tuple[Job, RemoteFile]]
    ) -> Iterator[tuple[RemoteFile, bytes]]:
        self.fetches += 1
        for n, (_job, file) in enumerate(files):
            if n == self.breaks_after:
                raise Unreachable("the line was cut")
            if file.path not in self.unreadable:
                self.fetched.append(file.path)
                yield file, self.files[file.area, file.path]


@dataclass
class Bench:
    """One task, its disk, and the engine's hands."""

    database: Database
    hands: Hands
    disk: Disk
    task_id: int
    job: Job
    ended_at: datetime | None = None

    def collect(
        self, now: datetime = NOW, listing: Listing | None = None, **seen: Any
    ) -> str | None:
        mark = self.task.listing_mark
        found = listing or self.disk.listing()
        if found.mark != mark:
            seen["listings"] = {self.disk.token: found}
        is_listed = self.task.collect_at is None or self.task.collect_at <= now
        failures = self.task.collect_failures
        if not is_listed:
            seen.pop("listings", None)
        watched = Watched(self.task_id, RUN, self.job, self.ended_at, mark, is_listed, failures)
        return collect(self.hands, {self.disk.token: watched}, Observation(**seen), now)

    def end(self) -> None:
        self.ended_at = NOW
        with self.database.writing() as session:
            task = session.get(Task, self.task_id)
            assert task
            task.finished_at = task.ended_seen_at = NOW
            task.state = State.FAILED

    @property
    def task(self) -> Task:
        with self.database.reading() as session:
            task = session.get(Task, self.task_id)
            assert task
            return task

    @property
    def version(self) -> int:
        with self.database.reading() as session:
            run = session.get(Run, RUN)
            assert run
            return run.version

    @property
    def rows(self) -> dict[str, Output]:
        with self.database.reading() as session:
            found = outputs.known(session, [self.task_id]).values()
            return {row.path: row for row in found}

    def html(self, path: str) -> str:
        name = self.rows[path].html
        assert name
        return self.hands.kept.read(name).decode()

    def data(self, path: str) -> bytes:
        sha = self.rows[path].sha256
        assert sha
        return self.hands.kept.read(sha)

    def logs(self) -> dict[str, Log]:
        with self.database.reading() as session:
            return {row.stream: row for row in session.query(Log).all()}


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    token = f"{RUN}.0.1"
    with database.writing() as session:
        session.add(Run(id=RUN, name="study", backend="cluster", created_at=NOW))
        session.flush()
        task = Task(
            run_id=RUN, n=0, key="fit", name="fit", spec={}, deps=[], token=token,
            state=State.RUNNING,
        )  # fmt: skip
        session.add(task)
        session.flush()
        task_id = task.id
    where = paths.for_task(PurePosixPath("/logs"), RUN, "fit", 1, token)
    job = Job(token, RUN, "study", "fit", "fit", 1, "true", "~", {}, Resources(), where, "7")
    disk = Disk(token)
    hands = Hands(
        cast(Backend, disk),
        database.reading,
        database.writing,
        Kept(tmp_path / "kept"),
        OutputLimits(),
    )
    return Bench(database, hands, disk, task_id, job)


def test_a_plot_is_kept_while_the_task_runs(bench: Bench) -> None:
    bench.disk.write("plot.png", b"\x89PNG")

    bench.collect()

    row = bench.rows["plot.png"]
    assert (row.size, row.kind, row.note) == (4, "image", None)
    assert bench.data("plot.png") == b"\x89PNG"
    assert bench.task.has_outputs
    assert not bench.task.has_run_summary
    assert bench.task.version == bench.version > 0


def test_markdown_is_rendered_in_its_folder(bench: Bench) -> None:
    bench.disk.write("sub/notes.md", b"![](plot.png)")

    bench.collect()

    assert f'src="{policy.BASE}sub/plot.png"' in bench.html("sub/notes.md")


def test_a_fragment_makes_a_run_summary_and_no_output(bench: Bench) -> None:
    bench.disk.write("fit.md", b"- **fit**: done ![](plot.png)", Area.FRAGMENT)

    bench.collect()

    assert bench.task.has_run_summary
    assert not bench.task.has_outputs
    assert f'src="{policy.BASE}plot.png"' in bench.html("fit.md")


def test_an_empty_fragment_is_no_summary(bench: Bench) -> None:
    bench.disk.write("fit.md", b"", Area.FRAGMENT)

    bench.collect()

    assert not bench.task.has_run_summary


def test_what_came_with_the_listing_is_not_fetched(bench: Bench) -> None:
    bench.disk.write("task-summary.md", b"# here")
    bench.disk.write("other.csv", b"1,2")

    bench.collect(contents={(bench.disk.token, Area.OUTPUT, b"task-summary.md"): b"# here"})

    assert bench.disk.fetched == [b"other.csv"]
    assert bench.data("task-summary.md") == b"# here"


def test_only_what_changed_is_fetched(bench: Bench) -> None:
    bench.disk.write("a.txt", b"a")
    bench.disk.write("b.txt", b"b")
    bench.collect()
    bench.disk.write("b.txt", b"B")

    bench.collect()

    assert bench.disk.fetched == [b"a.txt", b"b.txt", b"b.txt"]
    assert bench.data("b.txt") == b"B"


def test_many_files_are_one_fetch(bench: Bench) -> None:
    for n in range(150):
        bench.disk.write(f"{n}.txt", b"%d" % n)

    bench.collect()

    assert bench.disk.fetches == 1
    assert len(bench.rows) == 150


def test_nothing_new_changes_nothing(bench: Bench) -> None:
    bench.disk.write("a.txt")
    bench.collect()
    before = bench.version, bench.task.version

    bench.collect(now=NOW + timedelta(minutes=1))
    bench.collect(now=NOW + timedelta(minutes=2), listing=replace(bench.disk.listing(), mark="x"))

    assert (bench.version, bench.task.version) == before
    assert bench.disk.fetches == 1


def test_a_file_over_a_limit_is_listed_with_the_reason(bench: Bench) -> None:
    bench.disk.write("huge.bin", b"x" * 100)
    bench.disk.notes[Area.OUTPUT, b"huge.bin"] = "is larger than the limit of 5.0 MiB a file"

    bench.collect()

    row = bench.rows["huge.bin"]
    assert (row.size, row.sha256, row.note) == (
        100,
        None,
        "is larger than the limit of 5.0 MiB a file",
    )
    assert bench.disk.fetches == 0
    assert bench.task.listing_mark is not None
    assert bench.task.has_outputs


def test_a_file_that_grew_beyond_the_limit_is_no_longer_offered_as_it_was(bench: Bench) -> None:
    bench.disk.write("log.txt", b"short")
    bench.collect()
    bench.disk.write("log.txt", b"x" * 100)
    bench.disk.notes[Area.OUTPUT, b"log.txt"] = "is too large"

    bench.collect()

    row = bench.rows["log.txt"]
    assert (row.size, row.sha256, row.note) == (100, None, "is too large")


def test_files_beyond_the_listing_are_counted(bench: Bench) -> None:
    bench.disk.write("a.txt")

    bench.collect(listing=bench.disk.listing(more=9000))

    assert bench.task.outputs_more == 9000


def test_a_file_that_vanished_while_the_task_runs_goes(bench: Bench) -> None:
    bench.disk.write("a.txt")
    bench.disk.write("b.txt")
    bench.collect()
    bench.disk.files.pop((Area.OUTPUT, b"a.txt"))

    bench.collect()

    assert list(bench.rows) == ["b.txt"]


def test_a_purge_after_the_end_loses_nothing(bench: Bench) -> None:
    bench.disk.write("a.txt", b"kept")
    bench.collect()
    bench.end()
    bench.disk.files.clear()

    bench.collect(now=NOW + timedelta(seconds=10))

    assert bench.data("a.txt") == b"kept"
    assert bench.task.has_outputs


def test_a_directory_that_cannot_be_read_keeps_what_is_kept(bench: Bench) -> None:
    bench.disk.write("a.txt", b"kept")
    bench.collect()

    bench.collect(listing=Listing("m", (), 0, "The output directory cannot be read: stale"))

    assert bench.data("a.txt") == b"kept"
    assert bench.task.outputs_problem == "The output directory cannot be read: stale"


def test_a_cut_line_keeps_what_came_and_goes_on_later(bench: Bench) -> None:
    bench.disk.write("a.txt", b"a")
    bench.disk.write("b.txt", b"b")
    bench.disk.breaks_after = 1

    bench.collect()

    assert bench.data("a.txt") == b"a"
    assert bench.rows["b.txt"].sha256 is None
    assert bench.task.listing_mark is None

    bench.disk.breaks_after = None
    bench.collect()

    assert bench.disk.fetched == [b"a.txt", b"b.txt"]
    assert bench.data("b.txt") == b"b"
    assert bench.task.listing_mark is not None


def test_a_file_that_changes_while_it_is_read_keeps_its_last_whole_version(bench: Bench) -> None:
    bench.disk.write("a.txt", b"first")
    bench.collect()
    bench.disk.write("a.txt", b"second")
    bench.disk.unreadable.add(b"a.txt")

    bench.collect()

    assert bench.data("a.txt") == b"first"
    assert bench.rows["a.txt"].size == 5


def test_a_file_that_cannot_be_read_is_given_up_after_a_while(bench: Bench) -> None:
    bench.disk.write("a.txt")
    bench.disk.unreadable.add(b"a.txt")
    bench.end()

    bench.collect(now=NOW + timedelta(minutes=1))
    assert bench.task.collected_at is None

    bench.collect(now=NOW + timedelta(minutes=11))
    assert bench.rows["a.txt"].note == "could not be read"
    assert bench.task.collected_at is not None


def test_a_line_that_is_cut_says_of_no_file_that_it_cannot_be_read(bench: Bench) -> None:
    """What 500 tasks wrote may take longer to come than one that is unreadable is waited for."""
    bench.disk.write("a.txt", b"a")
    bench.disk.write("b.txt", b"b")
    bench.end()
    bench.disk.breaks_after = 1

    bench.collect(now=NOW + timedelta(hours=1))
    assert (bench.rows["b.txt"].note, bench.task.collected_at) == (None, None)

    bench.disk.breaks_after = None
    bench.collect(now=NOW + timedelta(hours=2))
    assert bench.data("b.txt") == b"b"


@pytest.mark.parametrize(
    "name",
    [b"my plot.png", b"it's.png", b"a\nb.png", b"caf\xe9.png", b"$(id).png", b"-rf.png", b"\\.png"],
)
def test_odd_names_are_kept_as_they_are(bench: Bench, name: bytes) -> None:
    bench.disk.write(name, b"data")

    bench.collect()

    (row,) = bench.rows.values()
    assert row.raw == name
    assert bench.data(row.path) == b"data"
    assert row.path.isprintable()


def test_hostile_markdown_is_shown_as_text_and_the_rest_goes_on(bench: Bench) -> None:
    bench.disk.write("a.md", b"[" * 16_000)
    bench.disk.write("b.md", b"**fine**")

    bench.collect()

    assert "could not be rendered" in bench.html("a.md")
    assert "<strong>fine</strong>" in bench.html("b.md")


def logs_of(bench: Bench, out: bytes = b"out\n", err: bytes = b"") -> dict[tuple[str, str], Chunk]:
    token = bench.disk.token
    return {
        (token, "output"): Chunk(0, out, len(out)),
        (token, "error"): Chunk(0, err, len(err)),
    }


def test_logs_are_kept_and_do_not_stir_the_pages(bench: Bench) -> None:
    bench.collect(logs=logs_of(bench, b"line\n"))
    before = bench.version

    bench.collect(logs=logs_of(bench, b"line\nmore\n"), now=NOW + timedelta(seconds=2))

    row = bench.logs()["output"]
    assert (row.start, row.end, row.size, row.at) == (0, 10, 10, NOW + timedelta(seconds=2))
    assert bench.hands.kept.read_log(bench.disk.token, "output").data == b"line\nmore\n"
    assert bench.version == before


def test_a_tail_begins_where_it_begins(bench: Bench) -> None:
    chunk = Chunk(1000, b"the end", 1007)

    bench.collect(logs={(bench.disk.token, "output"): chunk})

    row = bench.logs()["output"]
    assert (row.start, row.end, row.size) == (1000, 1007, 1007)


def test_an_ended_task_is_looked_at_once_more_for_late_writers(bench: Bench) -> None:
    bench.disk.write("a.txt", b"early")
    bench.end()

    bench.collect(now=NOW + timedelta(seconds=1), logs=logs_of(bench))
    assert bench.task.collected_at is None

    bench.disk.write("a.txt", b"late")
    bench.collect(now=NOW + timedelta(seconds=6), logs=logs_of(bench))

    assert bench.data("a.txt") == b"late"
    assert bench.task.collected_at == NOW + timedelta(seconds=6)
    assert bench.task.version == bench.version


def test_an_ended_task_whose_listing_did_not_change_is_done(bench: Bench) -> None:
    bench.disk.write("a.txt")
    bench.collect()
    bench.end()

    bench.collect(now=NOW + timedelta(seconds=6), logs=logs_of(bench))

    assert bench.task.collected_at is not None


def test_an_ended_task_waits_for_its_logs_but_not_for_ever(bench: Bench) -> None:
    bench.end()

    bench.collect(now=NOW + timedelta(seconds=6))
    assert bench.task.collected_at is None

    bench.collect(now=NOW + timedelta(seconds=61))
    assert bench.task.collected_at is not None


def test_logs_that_did_not_fit_into_the_answer_are_waited_for(bench: Bench) -> None:
    bench.collect()
    bench.end()
    later = frozenset({bench.disk.token})

    bench.collect(now=NOW + timedelta(minutes=9), later=later)
    assert bench.task.collected_at is None

    bench.collect(now=NOW + timedelta(minutes=10), logs=logs_of(bench, b"all of it"))
    assert bench.task.collected_at is not None
    assert bench.hands.kept.read_log(bench.disk.token, "output").data == b"all of it"


def test_a_listing_that_did_not_fit_into_the_answer_is_waited_for(bench: Bench) -> None:
    bench.disk.write("a.txt", b"early")
    bench.collect()
    bench.end()
    listing = bench.disk.listing()
    bench.disk.write("b.txt", b"last")

    later = frozenset({bench.disk.token})
    seen = {"logs": logs_of(bench), "later": later, "listing": listing}
    bench.collect(now=NOW + timedelta(minutes=9), **seen)  # as before, for all that is known
    assert bench.task.collected_at is None

    bench.collect(now=NOW + timedelta(minutes=10), logs=logs_of(bench))
    assert bench.data("b.txt") == b"last"
    assert bench.task.collected_at is not None


def test_a_log_that_was_cut_is_not_all_of_it(bench: Bench) -> None:
    bench.collect()
    bench.end()
    logs = logs_of(bench)
    logs[bench.disk.token, "output"] = Chunk(0, b"half", 8)

    bench.collect(now=NOW + timedelta(minutes=2), logs=logs)
    assert bench.task.collected_at is None


def test_an_ended_task_that_was_not_looked_at_is_not_done(bench: Bench) -> None:
    bench.end()
    watched = Watched(bench.task_id, RUN, bench.job, NOW, None)

    seen = Observation(logs=logs_of(bench))
    collect(bench.hands, {bench.disk.token: watched}, seen, NOW + timedelta(hours=1))

    assert bench.task.collected_at is None


def test_an_unreadable_directory_is_looked_at_again_for_a_while(bench: Bench) -> None:
    bench.end()
    broken = Listing("broken", (), 0, "The output directory cannot be read: I/O error")

    bench.collect(now=NOW + timedelta(seconds=6), listing=broken, logs=logs_of(bench))
    bench.collect(now=NOW + timedelta(seconds=9), listing=broken, logs=logs_of(bench))
    assert bench.task.collected_at is None

    bench.disk.write("a.txt", b"there after all")
    bench.collect(now=NOW + timedelta(hours=2), logs=logs_of(bench))
    assert bench.data("a.txt") == b"there after all"
    assert bench.task.outputs_problem is None
    assert bench.task.collected_at is not None


def test_a_directory_in_trouble_is_looked_into_ever_more_rarely_until_it_is_well(
    bench: Bench,
) -> None:
    broken = Listing("broken", (), 0, "The output directory cannot be read: Stale file handle")
    looks, now = [], NOW
    while now < NOW + timedelta(hours=1):
        if bench.task.collect_at is None or bench.task.collect_at <= now:
            looks.append((now - NOW).total_seconds())
        bench.collect(now=now, listing=broken)  # the same listing does not come twice
        now += timedelta(seconds=2)
    assert looks[:6] == [0, 4, 12, 28, 60, 124]
    assert len(looks) < 15
    assert bench.task.outputs_problem == broken.problem

    bench.disk.write("a.txt", b"there after all")
    bench.collect(now=now + timedelta(minutes=10))
    task = bench.task
    assert (task.outputs_problem, task.collect_failures, task.collect_at) == (None, 0, None)


def test_a_directory_that_vanishes_keeps_what_is_kept_and_says_so(bench: Bench) -> None:
    bench.disk.write("a.txt", b"kept")
    bench.collect()
    bench.collect(listing=Listing("gone", (), is_gone=True))

    assert bench.data("a.txt") == b"kept"
    assert (bench.task.outputs_problem or "").startswith("The output directory is not there any")

    bench.disk.write("b.txt")
    bench.collect(now=NOW + timedelta(minutes=1))
    assert set(bench.rows) == {"a.txt", "b.txt"}
    assert bench.task.outputs_problem is None


def test_a_directory_that_is_not_there_yet_is_no_trouble(bench: Bench) -> None:
    bench.collect(listing=Listing("gone", (), is_gone=True))
    assert (bench.task.outputs_problem, bench.task.collect_at) == (None, None)


def test_a_row_that_is_half_written_waits_until_it_is_whole_or_the_task_has_ended(
    bench: Bench,
) -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    bench.disk.write("task-summary.md", f"{table}| größ".encode()[:-1])
    bench.collect()
    assert bench.html("task-summary.md").count("<tr>") == 2
    bench.collect(now=NOW + timedelta(seconds=2))
    assert bench.html("task-summary.md").count("<tr>") == 2
    assert bench.disk.fetched.count(b"task-summary.md") == 1  # it is not fetched again for that

    bench.end()
    bench.collect(now=NOW + timedelta(seconds=6))
    assert bench.html("task-summary.md").count("<tr>") == 3
    assert bench.data("task-summary.md").endswith(b"gr\xc3\xb6\xc3")


def test_another_attempt_leaves_the_rows_alone(bench: Bench) -> None:
    bench.disk.write("a.txt")
    bench.job = replace(bench.job, attempt=2)

    bench.collect()

    assert bench.rows == {}


def test_a_disk_that_cannot_be_written_pauses_collecting_and_says_so(bench: Bench) -> None:
    bench.hands.kept.directory.write_text("in the way")
    bench.disk.write("a.txt", b"a")
    bench.end()

    notice = bench.collect(now=NOW + timedelta(seconds=10), logs=logs_of(bench))

    assert notice is not None
    assert "cannot be written" in notice
    assert bench.task.outputs_problem == notice
    assert bench.task.collected_at is None

    bench.hands.kept.directory.unlink()
    assert bench.collect(now=NOW + timedelta(seconds=20), logs=logs_of(bench)) is None

    assert bench.data("a.txt") == b"a"
    assert bench.task.outputs_problem is None
    assert bench.task.collected_at is not None


def test_what_an_older_version_rendered_is_rendered_again(bench: Bench) -> None:
    bench.disk.write("a.md", b"**a**")
    bench.disk.write("b.md", b"**b**")
    bench.collect()
    with bench.database.writing() as session:
        for row in session.query(Output).filter_by(path="a.md"):
            row.html = "0" * 64

    assert Refresher(bench.hands).run() == 1
    assert Refresher(bench.hands).run() == 0
    assert "<strong>a</strong>" in bench.html("a.md")


def test_what_takes_long_to_render_anew_goes_on_in_the_next_cycles(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "SECONDS", -1.0)  # each cycle has time for one file
    monkeypatch.setattr(refresh, "AT_ONCE", 2)
    for name in "abc":
        bench.disk.write(f"{name}.md", name.encode())
    bench.collect()
    bench.disk.write("d.txt")
    bench.collect()
    with bench.database.writing() as session:
        session.query(Output).update({"html": "0" * 64})
    refresher = Refresher(bench.hands)
    assert [refresher.run() for _ in range(4)] == [1, 1, 1, 0]
    assert refresher.is_done
    assert all(f"<p>{name}</p>" in bench.html(f"{name}.md") for name in "abc")


SECRET = "hunter22-and-more"


@pytest.fixture
def secretive(bench: Bench) -> Bench:
    bench.job = replace(
        bench.job, env={"HF_TOKEN": SECRET, "MY_PIN": "four-two", "HOME": "/home/u"}
    )
    bench.hands = replace(bench.hands, secret_names=frozenset({"MY_PIN"}))
    return bench


def test_a_summary_is_kept_without_the_secrets_of_the_task(secretive: Bench) -> None:
    code = base64.b64encode(b"user:" + SECRET.encode()).decode()
    text = f"with {SECRET}, four-two, {code}, in /home/u"
    secretive.disk.write("task-summary.md", text.encode())
    secretive.disk.write("fit.md", text.encode(), Area.FRAGMENT)

    secretive.collect()

    for path in ("task-summary.md", "fit.md"):
        kept = secretive.data(path).decode() + secretive.html(path)
        assert "with ***, ***, " in kept
        assert "in /home/u" in kept
        assert SECRET not in kept
        assert code[8:20] not in kept


def test_a_masked_file_is_not_fetched_again_and_again(secretive: Bench) -> None:
    secretive.disk.write("task-summary.md", SECRET.encode())
    secretive.collect()
    version = secretive.version

    secretive.collect()

    assert secretive.version == version
    assert secretive.task.listing_mark is not None


def test_a_log_is_kept_without_secrets_even_where_it_is_cut(secretive: Bench) -> None:
    log = f"login {SECRET} ok\n".encode() * 3
    token = secretive.disk.token
    for start, end in ((0, 12), (12, 30), (30, len(log))):
        piece = Chunk(start, log[start:end], len(log))
        secretive.collect(logs={(token, "output"): piece})

    kept = secretive.hands.kept.read_log(token, "output").data

    assert len(kept) == len(log), "places in a log stay what they are"
    for part in range(len(SECRET) - 5):
        assert SECRET[part : part + 6].encode() not in kept
    assert kept.count(b"login ") == kept.count(b" ok\n") == 3


def test_what_takes_too_long_for_one_cycle_is_kept_in_the_next_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "SECONDS", -1.0)  # each cycle has time for one file
    for name in "abc":
        bench.disk.write(f"{name}.txt", name.encode())
    bench.end()
    for kept in (1, 2, 3):
        bench.collect(NOW + timedelta(hours=1))
        assert sum(row.sha256 is not None for row in bench.rows.values()) == kept
        assert [row.note for row in bench.rows.values() if row.note] == []
    bench.collect()
    assert [bench.data(f"{name}.txt") for name in "abc"] == [b"a", b"b", b"c"]


def test_what_many_tasks_wrote_is_written_some_tasks_at_a_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench.database.writing() as session:
        for n in range(1, 50):
            session.add(
                Task(run_id=RUN, n=n, key=f"t{n}", name="t", spec={}, deps=[], state=State.RUNNING)
            )
    with bench.database.reading() as session:
        ids = [row.id for row in session.query(Task).order_by(Task.n)]
    watched, listings = {}, {}
    for n, row in enumerate(ids):
        token = f"{RUN}.{n}.1"
        files = tuple(
            RemoteFile(token, Area.OUTPUT, b"%d.npy" % at, 1, 1, note="is too large")
            for at in range(100)
        )
        listings[token] = Listing("mark", files)
        watched[token] = Watched(row, RUN, replace(bench.job, token=token), None, None)
    statements: list[str] = []
    event.listen(
        bench.database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_words: statements.append(statement),
    )

    collect(bench.hands, watched, Observation(listings=listings), NOW)

    asked = [one for one in statements if "FROM outputs" in one and one.startswith("SELECT")]
    with bench.database.reading() as session:
        assert session.query(Output).count() == 50 * 100
    assert bench.version == 3  # twenty tasks, twenty, and ten
    assert len(asked) == 1 + 3  # before what is fetched, and with each part that is written
