"""What a scan finds on a real disk, hostile names among it, and how what was ordered goes."""
# Names are bytes here, which Path does not take:
# ruff: noqa: PTH110, PTH118

import os
import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from scripthut.backends.disk import asking
from scripthut.backends.local import LocalBackend
from scripthut.backends.sent import clear as node_clear
from scripthut.backends.sent import free
from scripthut.backends.sent import things as node_things
from scripthut.core.disk import Done, Kind, Removal, Scan, Stage, Thing, Wanted, Way

NOW = datetime.now(UTC)
DAY = 86400.0
SHA = "0123456789ab"
RUN = "abcdefgh"


@dataclass
class Disk:
    """A home with what scripthut holds there, and a backend that looks at it."""

    home: Path
    backend: LocalBackend
    scans: int = 0
    things: list[Thing] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.home / ".cache" / "scripthut"

    def logs(self, run: str = RUN, name: str = "study", age: float = 2 * DAY) -> Path:
        """The folder of a run's logs, with logs, outputs and notes that old."""
        folder = self.cache / "logs" / name
        write(folder / f"scripthut_{run}_fit.1.out", b"o" * 5000)
        write(folder / f"scripthut_{run}_fit.1.err", b"e")
        write(folder / "outputs" / run / "fit.1" / "plot.png", b"p" * 20000)
        write(folder / ".scripthut" / run / f"{run}.0.1.exit", b"code=0\n")
        (folder / ".scripthut" / run / f"{run}.0.1.claim").symlink_to("job:12")
        aged(folder, age)
        return folder

    def commit(self, name: str = SHA, age: float = 2 * DAY, mark: str | None = '{"is": "ready"}'):
        root = self.home / "scripthut-repos"
        write(root / name / "main.py", b"m" * 9000)
        write(root / name / ".git" / "HEAD", b"x")
        if mark is not None:
            write(root / ".scripthut" / f"{name}.state", mark.encode())
        aged(root, age)
        return root / name

    def scan(self, roots: tuple[str, ...] = ("~/scripthut-repos",)) -> list[Thing]:
        """Look to the end, as the engine does."""
        self.scans += 1
        scan = Scan(f"scan{self.scans:04d}", roots, datetime.now(UTC))
        found: list[Thing] = []
        deadline = time.monotonic() + 20
        while True:
            told = self.backend.disk(Wanted(scan)).scan
            assert told is not None
            found += told.things
            if told.stage is Stage.ENDED:
                self.things = found
                return found
            assert told.stage is Stage.GOING and time.monotonic() < deadline, told
            scan = replace(scan, offset=told.offset)
            time.sleep(0.02)

    def one(self, kind: Kind, name: str | None = None) -> Thing:
        (thing,) = [t for t in self.things if t.kind is kind and name in (None, t.run_id)]
        return thing

    def drop(
        self, thing: Thing, idle: float = DAY, order: str = "remove01", may_begin: bool = True
    ) -> Done:
        """Delete to the end."""
        removal = Removal(order, thing, idle, may_begin, is_moved=False)
        while True:
            done = self.backend.disk(Wanted(removals=(removal,))).removals[order]
            if done.way is not Way.GOING:
                return done
            removal = replace(removal, is_moved=True)


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def aged(top: Path, age: float) -> None:
    """Make all below a directory that old."""
    then = time.time() - age
    for place, folders, files in os.walk(os.fsencode(top)):
        for name in [*folders, *files]:
            os.utime(os.path.join(place, name), (then, then), follow_symlinks=False)
    os.utime(top, (then, then))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Disk(tmp_path, LocalBackend("here"))


def test_all_that_is_ours_is_found_in_its_kind_and_measured(disk: Disk) -> None:
    disk.logs()
    disk.commit()
    write(disk.cache / "scripthut.db", b"d" * 4096)
    write(disk.home / "scripthut-repos" / ".scripthut" / f"{'0' * 64}.tar.gz", b"a" * 7000)
    found = {(t.kind, os.fsdecode(t.name), t.run_id): t for t in disk.scan()}
    run = found[Kind.RUN, "study", RUN]
    assert 25_000 <= (run.size or 0) <= 60_000 and run.files == 5 and run.is_whole
    assert run.touched_at is not None and 1.9 < (NOW - run.touched_at).total_seconds() / DAY < 2.1
    assert not run.is_busy
    assert found[Kind.COMMIT, SHA, None].size
    assert found[Kind.LEFTOVER, f"{'0' * 64}.tar.gz", None].size
    assert found[Kind.OTHER, "scripthut.db", None].size == 4096
    assert len(found) == 4


def test_a_job_that_has_not_said_its_end_is_seen(disk: Disk) -> None:
    folder = disk.logs()
    (folder / ".scripthut" / RUN / f"{RUN}.0.1.exit").unlink()
    disk.scan()
    assert disk.one(Kind.RUN).is_busy


@pytest.mark.parametrize("name", [b"line\nbreak", b"caf\xe9 \xff", b"-rf *", b"a'b\"c$(x)"])
def test_any_name_is_found_as_its_bytes_are_and_only_ours_can_go(disk: Disk, name: bytes) -> None:
    folder = disk.logs()
    strange = os.path.join(os.fsencode(folder / "outputs" / RUN / "fit.1"), name)
    Path(os.fsdecode(strange)).write_bytes(b"x" * 5000)
    stranger = os.path.join(os.fsencode(disk.cache / "logs"), name)
    Path(os.fsdecode(stranger)).write_bytes(b"x")
    disk.scan()
    (other,) = [t for t in disk.things if t.kind is Kind.OTHER]
    assert other.name == name
    assert disk.drop(disk.one(Kind.RUN), idle=0).way is Way.GONE
    assert not os.path.exists(strange) and os.path.exists(stranger)


def test_links_are_neither_followed_nor_measured_nor_emptied(disk: Disk, tmp_path: Path) -> None:
    away = tmp_path / "precious"
    write(away / "thesis.tex", b"t" * 500_000)
    folder = disk.logs()
    (folder / "outputs" / RUN / "fit.1" / "away").symlink_to(away)
    (disk.cache / "logs" / "elsewhere").symlink_to(away)
    (folder / "outputs" / "zzzzzzzz").symlink_to(away)
    disk.scan()
    assert (disk.one(Kind.RUN).size or 0) < 100_000
    assert {t.name for t in disk.things if t.kind is Kind.OTHER} == {
        b"elsewhere", b"study/outputs/zzzzzzzz"
    }  # fmt: skip
    assert disk.drop(disk.one(Kind.RUN), idle=0).way is Way.GONE
    assert (away / "thesis.tex").exists()


def test_a_runs_files_go_and_those_of_others_stay(disk: Disk) -> None:
    folder = disk.logs(age=8 * DAY)
    disk.logs("zyxwvuts", age=8 * DAY)
    disk.scan()
    done = disk.drop(disk.one(Kind.RUN, RUN))
    assert done.way is Way.GONE and done.why is None and done.freed > 20_000
    left = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert left and all("zyxwvuts" in path for path in left)
    assert not any(RUN in path.name for path in folder.rglob("*"))


def test_young_notes_stay_for_jobs_that_the_scheduler_takes_late(disk: Disk) -> None:
    folder = disk.logs(age=3 * DAY)
    disk.scan()
    assert disk.drop(disk.one(Kind.RUN), idle=0).way is Way.GONE
    assert [p.name for p in (folder / ".scripthut" / RUN).glob("*.claim")] == [f"{RUN}.0.1.claim"]
    assert not (folder / "outputs" / RUN).exists()


def test_what_was_exchanged_since_the_scan_stays(disk: Disk, tmp_path: Path) -> None:
    folder, away = disk.logs(), tmp_path / "precious"
    write(away / "thesis.tex", b"t")
    disk.commit()
    disk.scan()
    outputs = folder / "outputs" / RUN
    outputs.rename(tmp_path / "moved")
    outputs.symlink_to(away)
    here = disk.home / "scripthut-repos" / SHA
    here.rename(tmp_path / "commit")
    here.symlink_to(away)
    for kind in (Kind.RUN, Kind.COMMIT):
        done = disk.drop(disk.one(kind), idle=0)
        assert done.way is Way.STAYS and "not what was scanned" in str(done.why)
    assert (away / "thesis.tex").exists() and outputs.is_symlink() and here.is_symlink()


def test_a_folder_exchanged_for_a_link_is_not_entered(disk: Disk, tmp_path: Path) -> None:
    folder = disk.logs()
    disk.scan()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    done = disk.drop(disk.one(Kind.RUN), idle=0)
    assert done.way is Way.STAYS and "symbolic link" in str(done.why)
    assert (tmp_path / "moved" / "outputs" / RUN / "fit.1" / "plot.png").exists()


def test_another_directory_of_the_same_name_is_another_one(disk: Disk, tmp_path: Path) -> None:
    place = disk.commit()
    disk.scan()
    place.rename(tmp_path / "kept")
    disk.commit()
    assert disk.drop(disk.one(Kind.COMMIT), idle=0).way is Way.STAYS
    assert (place / "main.py").exists()


def test_a_commits_directory_goes_with_its_mark(disk: Disk) -> None:
    place = disk.commit()
    disk.scan()
    assert disk.drop(disk.one(Kind.COMMIT)).way is Way.GONE
    assert not place.exists()
    assert [p.name for p in (place.parent / ".scripthut").iterdir()] == []


def test_a_directory_that_a_server_holds_stays(disk: Disk) -> None:
    place = disk.commit()
    disk.scan()
    (place.parent / ".scripthut" / f"{SHA}.state").touch()
    done = disk.drop(disk.one(Kind.COMMIT))
    assert done.way is Way.STAYS and "another server" in str(done.why) and place.exists()


def test_notes_that_a_server_holds_keep_its_run(disk: Disk) -> None:
    folder = disk.logs()
    disk.scan()
    disk.backend.hold([], [folder / ".scripthut" / RUN])
    done = disk.drop(disk.one(Kind.RUN))
    assert done.way is Way.STAYS and (folder / "outputs" / RUN).exists()


def test_a_directory_of_that_name_which_nobody_marked_is_a_strangers(disk: Disk) -> None:
    write(disk.home / "scripthut-repos" / SHA / "thesis.tex", b"t")
    (stranger,) = disk.scan()
    assert (stranger.kind, stranger.size) == (Kind.OTHER, None)
    assert disk.drop(stranger, idle=0).way is Way.STAYS


def test_a_run_named_like_another_ones_outputs_is_not_taken_for_them(disk: Disk) -> None:
    disk.logs(RUN, name="study/outputs/zyxwvuts")
    disk.scan()
    assert {t.kind for t in disk.things} == {Kind.OTHER}


def test_a_deletion_that_was_cut_off_goes_on(disk: Disk) -> None:
    """The answer was lost: what is asked again is the same order."""
    place = disk.commit()
    disk.scan()
    thing, hidden = disk.one(Kind.COMMIT), place.parent / ".scripthut"
    (hidden / "remove01.gone").mkdir()
    place.rename(hidden / "remove01.gone" / "it")
    assert disk.drop(thing, may_begin=False).way is Way.GONE
    assert not (hidden / "remove01.gone").exists()
    assert disk.drop(thing).way is Way.GONE


@pytest.mark.parametrize("at", [node_clear.SECONDS, node_clear.HOLDS])
def test_what_has_not_begun_when_time_is_up_is_asked_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, at: float
) -> None:
    """A file system that hangs for an hour makes no old verdict act."""
    folder = disk.logs()
    disk.scan()
    thing = disk.one(Kind.RUN)
    seconds = [0.0, 0.0 if at == node_clear.HOLDS else at + 1]  # at the start, and at the look
    clock = SimpleNamespace(monotonic=lambda: seconds.pop(0) if seconds else at + 1)
    monkeypatch.setattr(node_clear, "time", clock)
    wanted = Wanted(removals=(Removal("remove01", thing, 0, may_begin=True, is_moved=False),))
    said: list[dict[str, object]] = []
    node_clear.clear(asking(wanted, PurePosixPath(disk.home))["clears"], said.append)  # type: ignore[arg-type]
    assert said == [] and (folder / "outputs" / RUN / "fit.1" / "plot.png").exists()
    assert not (folder / ".scripthut" / "remove01.gone").exists()


def test_what_takes_longer_to_list_than_there_is_time_goes_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "remove01.gone" / "it"
    place.mkdir(parents=True)
    for n in range(20):
        (place / f"{n}").touch()
    now, listing = [0.0], os.listdir

    def slow(path: int) -> list[str]:
        now[0] += 10
        return listing(path)

    monkeypatch.setattr(free, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(free.os, "listdir", slow)
    monkeypatch.setattr(free, "LEAST", 5)
    hidden = os.open(tmp_path, os.O_RDONLY)
    ways = [free.free(hidden, "remove01.gone", now[0] + 3)["way"] for _ in range(6)]
    os.close(hidden)
    assert (ways[0], ways[-1]) == ("going", "gone")
    assert listing(tmp_path) == []


def test_what_a_run_has_begun_to_use_stays(disk: Disk) -> None:
    disk.logs()
    disk.scan()
    done = disk.drop(disk.one(Kind.RUN), idle=0, may_begin=False)
    assert done == Done(Way.STAYS, 0, "a run uses it now")


def test_a_job_that_was_given_up_and_runs_on_keeps_its_runs_files(disk: Disk) -> None:
    folder = disk.logs()
    (folder / ".scripthut" / RUN / f"{RUN}.0.1.exit").unlink()
    disk.scan()
    (folder / f"scripthut_{RUN}_fit.1.out").write_text("a line more")
    done = disk.drop(disk.one(Kind.RUN), idle=0)
    assert done.way is Way.STAYS and "not said that it ended" in str(done.why)
    aged(folder, 2 * 3600)
    assert disk.drop(disk.one(Kind.RUN), idle=0).way is Way.GONE


@pytest.mark.parametrize("end", ["part", "gone"])
def test_a_deletion_that_was_cut_off_before_it_moved_anything_begins_anew(
    disk: Disk, end: str
) -> None:
    folder, place = disk.logs(), disk.commit()
    disk.scan()
    for hidden in (folder / ".scripthut", place.parent / ".scripthut"):
        (hidden / f"remove01.{end}").mkdir()
    for kind in (Kind.RUN, Kind.COMMIT):
        assert disk.drop(disk.one(kind), idle=0).way is Way.GONE
    assert not (folder / "outputs" / RUN).exists() and not place.exists()
    assert not list(folder.glob("scripthut_*"))
    assert list((place.parent / ".scripthut").iterdir()) == []


def cut_off(disk: Disk) -> tuple[Path, Path]:
    """A deletion that ended after it had moved some of a run: its folder, and what was moved."""
    folder = disk.logs()
    disk.scan()
    half = folder / ".scripthut" / "remove01.part"
    half.mkdir()
    (folder / f"scripthut_{RUN}_fit.1.out").rename(half / f"scripthut_{RUN}_fit.1.out")
    return folder, half


def test_a_deletion_that_was_cut_off_in_the_middle_moves_the_rest(disk: Disk) -> None:
    folder, half = cut_off(disk)
    assert disk.drop(disk.one(Kind.RUN), idle=0).way is Way.GONE
    assert not half.exists() and not list(folder.glob("scripthut_*"))
    assert not (folder / "outputs" / RUN).exists()


def test_what_was_half_moved_comes_back_when_a_run_has_begun_to_use_it(disk: Disk) -> None:
    folder, half = cut_off(disk)
    done = disk.drop(disk.one(Kind.RUN), idle=0, may_begin=False)
    assert done == Done(Way.STAYS, 0, "a run uses it now")
    assert not half.exists()
    assert (folder / f"scripthut_{RUN}_fit.1.out").read_bytes() == b"o" * 5000


def test_what_comes_back_covers_nothing_that_is_new(disk: Disk) -> None:
    folder, half = cut_off(disk)
    new = folder / f"scripthut_{RUN}_fit.1.out"
    new.write_text("the next attempt")
    done = disk.drop(disk.one(Kind.RUN), idle=0, may_begin=False)
    assert done.way is Way.STAYS and ".scripthut/remove01.part" in str(done.why)
    assert new.read_text() == "the next attempt"
    aged(half, 2 * DAY)
    disk.scan()
    left = disk.one(Kind.LEFTOVER)
    assert left.name == b"study/remove01.part" and (left.size or 0) >= 5000
    assert disk.drop(left, order="remove02").way is Way.GONE
    assert not half.exists() and new.exists()


def test_a_mark_goes_with_a_directory_that_was_moved_before_a_crash(disk: Disk) -> None:
    place = disk.commit()
    disk.scan()
    hidden = place.parent / ".scripthut"
    (hidden / "remove01.part").mkdir()
    place.rename(hidden / "remove01.part" / "it")
    assert disk.drop(disk.one(Kind.COMMIT)).way is Way.GONE
    assert list(hidden.iterdir()) == []


def test_a_directory_that_is_made_anew_keeps_its_mark(disk: Disk) -> None:
    place = disk.commit()
    disk.scan()
    hidden = place.parent / ".scripthut"
    (hidden / "remove01.part").mkdir()
    place.rename(hidden / "remove01.part" / "it")
    (hidden / f"{SHA}.state").write_text("")  # a maker's lock
    assert disk.drop(disk.one(Kind.COMMIT)).way is Way.GONE
    assert [p.name for p in hidden.iterdir()] == [f"{SHA}.state"]


def test_what_cannot_be_moved_whole_is_not_moved_at_all(disk: Disk) -> None:
    folder = disk.logs(age=8 * DAY)
    disk.scan()
    half = folder / ".scripthut" / "remove01.part"
    write(half / "outputs" / "x", b"")  # which no directory can be renamed to
    done = disk.drop(disk.one(Kind.RUN), idle=0)
    assert done.way is Way.STAYS and "not empty" in str(done.why)
    assert len(list(folder.glob("scripthut_*"))) == 2
    assert (folder / "outputs" / RUN / "fit.1" / "plot.png").exists()
    assert (folder / ".scripthut" / RUN).exists()
    assert [p.name for p in half.iterdir()] == ["outputs"]


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes another user")
def test_outputs_that_are_closed_leave_a_runs_logs_where_they_are(disk: Disk) -> None:
    """A directory that its owner may not write to cannot be moved to another one."""
    folder = disk.logs()
    disk.scan()
    wanted = Wanted(
        removals=(Removal("remove01", disk.one(Kind.RUN), 0, may_begin=True, is_moved=False),)
    )
    (request,) = asking(wanted, PurePosixPath(disk.home))["clears"]  # type: ignore[misc]
    said: list[dict[str, object]] = []
    with TemporaryDirectory() as public:
        logs = Path(public) / "logs"
        shutil.move(disk.cache / "logs", logs)
        folder = logs / "study"
        (folder / "outputs" / RUN).chmod(0o555)
        for place in [Path(public), *Path(public).rglob("*")]:
            os.chown(place, 65534, 65534, follow_symlinks=False)
        mark = node_things.mark_of((folder / "outputs" / RUN).stat())
        os.seteuid(65534)
        try:
            node_clear.clear([{**request, "root": str(logs), "mark": mark}], said.append)
        finally:
            os.seteuid(0)
        assert [(one["way"], one["why"]) for one in said] == [("stays", "Permission denied")]
        assert len(list(folder.glob("scripthut_*"))) == 2
        assert [p.name for p in (folder / ".scripthut").iterdir()] == [RUN]


def test_a_deep_and_closed_tree_goes(disk: Disk) -> None:
    folder = disk.logs(age=8 * DAY)
    here = folder / "outputs" / RUN / "deep"
    here.mkdir()
    top = os.open(here, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=top)
        below = os.open("d", os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = below
    os.close(top)
    closed = folder / "outputs" / RUN / "closed"
    write(closed / "inner" / "x", b"x")
    (closed / "inner").chmod(0o500)
    closed.chmod(0o000)
    disk.scan()
    assert not disk.one(Kind.RUN).is_whole
    assert disk.drop(disk.one(Kind.RUN), idle=0).way is Way.GONE
    assert not (folder / "outputs" / RUN).exists()


def test_one_look_at_a_time(disk: Disk) -> None:
    disk.logs()
    place = disk.cache / ".disk"
    place.mkdir()
    (place / "scan").write_text("of another server")
    scan = Scan("scan0001", (), NOW)
    told = disk.backend.disk(Wanted(scan)).scan
    assert told is not None and told.stage is Stage.BUSY
    os.utime(place / "scan", (1, 1))  # it has died
    assert disk.scan()


def test_a_look_that_died_is_said_to_have(disk: Disk) -> None:
    disk.logs()
    disk.scan()
    found = disk.cache / ".disk" / "scan0009.found"
    found.write_text("")
    told = disk.backend.disk(Wanted(Scan("scan0009", (), NOW))).scan
    assert told is not None and told.stage is Stage.LOST and told.note
    told = disk.backend.disk(Wanted(Scan("scan0010", (), NOW, offset=50))).scan
    assert told is not None and told.stage is Stage.LOST


def test_no_root_is_looked_at_twice_by_two_names(disk: Disk) -> None:
    disk.commit()
    (disk.home / "also").symlink_to(disk.home / "scripthut-repos")
    disk.scan(("~/scripthut-repos", str(disk.home / "also"), "/nowhere"))
    assert len(disk.things) == 1
