"""Runs of commits wait for their directory, and what its backend says moves it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from scripthut.config import Live, parse
from scripthut.core import folders
from scripthut.core.errors import Unreachable
from scripthut.core.folders import Folder, Placed
from scripthut.core.jobs import OutputLimits
from scripthut.core.workflow import document
from scripthut.engine.commits import placing
from scripthut.engine.commits.placing import fail
from scripthut.engine.cycle import Cycle
from scripthut.engine.lead import Lead
from scripthut.engine.upkeep import Upkeep
from scripthut.store import orders
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.machines import checkouts
from scripthut.store.machines.checkouts import Stage
from scripthut.store.making import retries
from scripthut.store.making.create import NewRun, Source, Workspace, create_run
from scripthut.store.models import Checkout, Run, Task
from tests.engine.cluster import FakeCluster
from tests.engine.world import World

SHA = "0123456789abcdef0123456789abcdef01234567"
WANTED, WORKING, READY, FAILED = folders.Stage
PATH = "/clones/0123456789ab-e3b0c4"


def called(sha: str) -> str:
    """The name of a commit's directory; one digit stands for a commit of that digit alone."""
    return f"{(sha * 12)[:12]}-e3b0c4"


@dataclass
class Placing(FakeCluster):
    """A cluster whose directories are as a test says: the next answer, the last one for ever."""

    answers: list[Placed] = field(default_factory=lambda: [Placed(WANTED, PATH)])
    asked: list[tuple[Folder, int, bytes]] = field(default_factory=list)
    dropped: list[list[str]] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)  # name -> why
    held: list[list[str]] = field(default_factory=list)

    def place(self, folder: Folder, offset: int = 0, data: bytes = b"") -> Placed:
        if self.is_broken:
            raise Unreachable("hpc does not answer")
        self.asked.append((folder, offset, data))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def drop(self, folders: Sequence[Folder], _idle: timedelta) -> list[str | None]:
        if self.is_broken:
            raise Unreachable("hpc does not answer")
        self.dropped.append([folder.name for folder in folders])
        return [self.stays.get(folder.name) for folder in folders]

    def hold(self, folders: Sequence[Folder], _notes: Sequence[PurePosixPath] = ()) -> None:
        self.held.append([folder.name for folder in folders])


class Ground(World):
    """A world with a source `study`."""

    cluster: Placing
    upkeep: Upkeep

    def start(self, sha: str = SHA, workspace: Workspace = Workspace.SHARED) -> str:
        self.runs += 1
        run_id = f"run{self.runs:05d}"
        tasks = [{"id": "a", "command": "true"}, {"id": "b", "command": "true", "deps": ["a"]}]
        source = Source("study", "w.json", "https://forge.example/x", "main", sha)
        new = NewRun("s/w", "hpc", document.parse(tasks), source=source, workspace=workspace)
        with self.database.writing() as session:
            create_run(session, run_id, new, self.now)
        return run_id

    def row(self) -> Checkout:
        with self.database.reading() as session:
            return session.scalars(select(Checkout)).one()

    def packed(self, data: bytes, file: Path) -> None:
        """As the source's thread does it."""
        file.write_bytes(data)
        facts = {"archive": "a" * 64, "file": str(file), "size": len(data), "sent": 0}
        with self.database.writing() as session:
            checkouts.change(session, self.row().id, Stage.PACKED, **facts)

    def packed_each(self, sizes: Sequence[int], folder: Path) -> None:
        """Archives of so many bytes for all directories, in their order."""
        with self.database.writing() as session:
            rows = session.scalars(select(Checkout).order_by(Checkout.id))
            for row, size in zip(rows, sizes, strict=True):
                file = folder / f"{row.id}.tar.gz"
                file.write_bytes(bytes(size))
                facts = {"archive": "a" * 64, "file": str(file), "size": size, "sent": 0}
                checkouts.change(session, row.id, Stage.PACKED, **facts)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[Ground]:
    config = parse(
        {
            "backends": [{"type": "slurm", "name": "hpc", "ssh": {"host": "none"}}],
            "sources": [{"type": "git", "name": "study", "url": "https://forge.example/x"}],
        }
    )
    cluster, lead = Placing(), Lead(database, "me")
    assert lead.renew()
    hands = lead.hands(cluster, Kept(tmp_path / "kept"), OutputLimits())
    upkeep = Upkeep(Live.of(config), lambda _: cluster)
    ground = Ground(database, cluster, Cycle(hands, "slurm", 100, upkeep, lambda: 0.0), lead)
    ground.upkeep = upkeep
    yield ground


def test_nothing_is_submitted_before_the_directory_is_there(world: Ground, tmp_path: Path) -> None:
    run_id = world.start()
    world.turn()
    assert (world.row().stage, world.states(run_id)) == (
        Stage.WANTED,
        dict.fromkeys("ab", "pending"),
    )
    world.turn(times=3)
    assert len(world.cluster.asked) == 1  # while it is packed, the cluster is not asked
    world.packed(b"archive", tmp_path / "a.tar.gz")
    world.cluster.answers = [Placed(WORKING, PATH, why="make"), Placed(READY, PATH)]
    world.turn()
    assert world.cluster.asked[-1][1:] == (0, b"archive")
    assert (world.row().stage, world.row().message) == (Stage.WORKING, "make")
    assert world.cluster.submitted == []
    world.turn()
    assert world.the_run(run_id).folder == PATH
    assert world.cluster.submitted == ["a"]
    (job,) = world.cluster.jobs.values()
    assert job.working_dir == PATH
    world.cluster.ends("a")
    world.turn(times=2)
    assert world.cluster.submitted == ["a", "b"]


def test_a_commit_that_is_there_costs_one_question(world: Ground) -> None:
    world.cluster.answers = [Placed(READY, PATH)]
    world.start()
    world.turn()
    assert world.cluster.submitted == ["a"]
    world.start()
    world.turn()
    assert world.cluster.submitted == ["a", "a"]
    assert len(world.cluster.asked) == 2
    world.turn(times=5)
    assert len(world.cluster.asked) == 2  # and nothing afterwards


def test_a_directory_that_was_deleted_is_made_again(world: Ground) -> None:
    world.cluster.answers = [Placed(READY, PATH), Placed(WANTED, PATH)]
    world.start()
    world.turn()
    world.start()
    world.turn()
    assert world.row().stage == Stage.WANTED
    assert world.cluster.submitted == ["a"]


def test_pieces_go_on_where_they_stopped(
    world: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripthut.engine.commits.placing.PIECE", 4)
    world.start()
    world.turn()
    world.packed(b"0123456789", tmp_path / "a.tar.gz")
    world.cluster.answers = [
        Placed(WANTED, PATH, 4),
        Placed(WANTED, PATH, 3),
        Placed(WANTED, PATH, 7),
    ]
    world.turn()
    assert [a[1:] for a in world.cluster.asked[1:]] == [(0, b"0123"), (4, b"4567")]
    assert world.row().sent == 3  # what the backend says counts
    world.cluster.is_broken = True
    world.turn()
    world.cluster.is_broken = False
    world.cluster.answers = [Placed(WANTED, PATH, 7), Placed(WORKING, PATH)]
    world.turn()
    assert [a[1:] for a in world.cluster.asked[3:]] == [(3, b"3456"), (7, b"789")]
    assert world.row().stage == Stage.WORKING


def test_however_many_commits_are_sent_a_cycle_spends_no_longer_on_it(
    world: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders to cancel, and looks at what runs, wait for the end of it."""
    for sha in "123":
        world.start(sha=sha * 40)
    world.turn()
    world.packed_each((40, 40, 40), tmp_path)
    asked = world.cluster.asked
    asked.clear()
    world.cluster.answers = [Placed(WANTED, PATH, sent) for sent in range(4, 40, 4)]
    monkeypatch.setattr(placing, "PIECE", 4)
    monkeypatch.setattr(placing, "time", SimpleNamespace(monotonic=lambda: 3.0 * len(asked)))
    world.turn()
    assert [offset for _, offset, _ in asked] == [0, 4, 8]


def test_a_small_archive_does_not_wait_until_a_large_one_is_whole(
    world: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sha in "12":
        world.start(sha=sha * 40)
    world.turn()
    world.packed_each((40, 4), tmp_path)
    asked = world.cluster.asked
    asked.clear()
    monkeypatch.setattr(placing, "PIECE", 4)
    monkeypatch.setattr(placing, "time", SimpleNamespace(monotonic=lambda: 9.0 * len(asked)))
    world.turn()
    assert [folder.name[0] for folder, _, _ in asked] == ["2"]


def test_an_archive_that_is_gone_is_packed_again(world: Ground, tmp_path: Path) -> None:
    """The engine that packed it may have been on another machine."""
    world.start()
    world.turn()
    world.packed(b"x", tmp_path / "a.tar.gz")
    (tmp_path / "a.tar.gz").unlink()
    world.turn()
    assert (world.row().stage, world.row().archive) == (Stage.WANTED, None)


def test_a_failure_ends_the_run_and_a_retry_has_it_made_anew(world: Ground) -> None:
    world.cluster.answers = [Placed(FAILED, PATH, why="postclone ended with exit code 2: no make")]
    runs = [world.start(), world.start()]
    world.turn(times=2)
    for run_id in runs:
        assert world.states(run_id) == {"a": "failed", "b": "dep_failed"}
    reason = (
        "The repository could not be prepared on hpc: postclone ended with exit code 2: no make"
    )
    assert world.task_of(runs[0], "a").reason == reason
    asked = len(world.cluster.asked)
    world.turn(times=3)
    assert len(world.cluster.asked) == asked  # nobody waits any more
    world.cluster.answers = [Placed(READY, PATH)]
    with world.database.writing() as session:
        retries.retry_failed(session, session.get_one(Run, runs[0]), world.now)
    world.turn(times=2)
    assert world.states(runs[0])["a"] == "queued"
    assert world.states(runs[1])["a"] == "failed"


def test_a_source_that_is_gone_from_the_configuration_ends_the_run(world: Ground) -> None:
    with world.database.writing() as session:
        source = Source("other", git_sha=SHA)
        tasks = document.parse([{"id": "a", "command": "true"}])
        create_run(session, "abcdefgh", NewRun("x", "hpc", tasks, source=source), world.now)
    world.turn()
    assert world.states() == {"a": "failed"}
    assert "no git source 'other' any more" in (world.task("a").reason or "")


def test_a_cancelled_run_waits_for_nothing(world: Ground, tmp_path: Path) -> None:
    run_id = world.start()
    world.turn()
    with world.database.writing() as session:
        orders.ask_cancel_run(session, session.get_one(Run, run_id), world.now)
    with world.database.reading() as session:
        assert checkouts.to_pack(session, world.now) == []
    world.turn(times=2)
    assert world.states() == {"a": "cancelled", "b": "cancelled"}
    assert len(world.cluster.asked) == 1


def test_a_workspace_of_its_own_has_the_run_s_name(world: Ground) -> None:
    run_id = world.start(workspace=Workspace.RUN)
    world.turn()
    ((folder, _, _),) = world.cluster.asked
    assert (folder.name, folder.keep) == (f"0123456789ab-e3b0c4-run-{run_id}", True)


def test_a_changed_working_copy_has_a_directory_of_its_own(world: Ground) -> None:
    world.start(sha=f"{SHA}-dirty.fedcba987654")
    world.turn()
    assert world.cluster.asked[0][0].name == "fedcba987654-e3b0c4"


def test_a_remote_that_is_down_is_asked_ever_more_rarely(world: Ground) -> None:
    world.start()
    world.turn()
    for pause in (2, 4, 8):
        with world.database.writing() as session:
            checkouts.put_off(session, world.row(), "The remote is down.", world.now)
        with world.database.reading() as session:
            later = world.now + timedelta(seconds=pause)
            assert not checkouts.to_pack(session, later - timedelta(seconds=0.1))
            assert checkouts.to_pack(session, later)
    assert world.row().message == "The remote is down."


def test_a_commit_that_git_refuses_ends_the_run(world: Ground) -> None:
    run_id = world.start()
    world.turn()
    hands = world.cycle.hands
    fail(hands.reading, hands.writing, world.row(), "git, about x: not our ref", world.now)
    world.turn()
    assert world.states(run_id) == {"a": "failed", "b": "dep_failed"}
    assert world.row().stage == Stage.FAILED


def test_the_runs_of_a_source_share_its_limit(world: Ground) -> None:
    world.cluster.answers = [Placed(READY, PATH)]
    part = world.upkeep.live.config.sources[0].model_copy(update={"max_concurrent": 1})
    world.upkeep.live.config = world.upkeep.live.config.model_copy(update={"sources": [part]})
    runs = [world.start(), world.start()]
    other = world.run({"x": [], "y": []})
    world.turn()
    assert [world.states(run_id)["a"] for run_id in runs] == ["submitted", "pending"]
    assert set(world.states(other).values()) == {"submitted"}
    world.cluster.ends("a")
    world.turn(times=2)
    assert world.cluster.submitted.count("a") + world.cluster.submitted.count("b") == 2


def keeping(world: Ground, **limits: int) -> None:
    """What the source keeps, from now on; the hour until the next look is over."""
    config = world.upkeep.live.config
    part = config.sources[0].model_copy(update=limits)
    world.upkeep.live.config = config.model_copy(update={"sources": [part]})
    world.upkeep.retired.clear()


def names(world: Ground) -> list[str]:
    with world.database.reading() as session:
        return sorted(session.scalars(select(Checkout.name)))


def commits(world: Ground, *marks: str) -> list[str]:
    """Runs of as many commits, an hour apart, all ended."""
    found = []
    for mark in marks:
        world.cluster.answers = [Placed(READY, f"/clones/{called(mark)}")]
        found.append(world.start(sha=mark * 40))
        world.turn()
        for key in "ab":
            world.cluster.ends_newest(key)
            world.turn(times=2)
        with world.database.writing() as session:
            session.execute(update(Task).values(collected_at=world.now))
        world.now += timedelta(hours=1)
    return found


def test_the_oldest_directories_go_and_one_that_is_in_use_never(world: Ground) -> None:
    first, *_ = commits(world, "1", "2", "3")
    world.turn()
    assert world.cluster.dropped == []  # nothing was wished for
    world.cluster.answers = [Placed(READY, f"/clones/{called('1')}")]
    live = world.start(sha="1" * 40)
    world.turn()
    keeping(world, keep_commits=2)
    world.turn()
    assert world.cluster.dropped == [[called("2")]]
    assert names(world) == [called("1"), called("3")]
    assert world.the_run(live).folder == world.the_run(first).folder == f"/clones/{called('1')}"
    world.upkeep.retired.clear()
    world.turn()
    assert world.cluster.dropped == [[called("2")]]  # nothing to delete, nothing asked


def test_a_run_whose_directory_went_gets_a_new_one_when_it_is_tried_again(world: Ground) -> None:
    world.cluster.answers = [Placed(READY, PATH)]
    run_id = world.start()
    world.turn()
    world.cluster.ends("a", code=1)
    world.turn(times=3)
    with world.database.writing() as session:
        session.execute(update(Task).values(collected_at=world.now))
    world.now += timedelta(days=8)
    keeping(world, keep_days=7)
    world.cluster.answers = [Placed(READY, f"/clones/{called('9')}")]
    world.start(sha="9" * 40)  # something to do: an idle backend is not asked for this
    world.turn()
    assert world.cluster.dropped == [[called(SHA)]]
    assert world.the_run(run_id).folder is None
    with world.database.writing() as session:
        retries.retry_failed(session, session.get_one(Run, run_id), world.now)
    world.cluster.answers = [Placed(READY, PATH)]
    world.turn(times=2)
    assert world.the_run(run_id).folder == PATH
    assert names(world) == sorted([called(SHA), called("9")])


def test_what_another_server_uses_stays_and_an_outage_forgets_nothing(world: Ground) -> None:
    commits(world, "1", "2")
    keeping(world, keep_commits=1)
    world.cluster.stays = {called("1"): "another server uses it, or has lately"}
    world.start(sha="2" * 40)
    world.turn()
    assert (world.cluster.dropped, names(world)) == ([[called("1")]], [called("1"), called("2")])
    world.cluster.stays = {}
    world.upkeep.retired.clear()
    world.cluster.is_broken = True
    world.turn()
    assert len(world.cluster.dropped) == 1
    world.cluster.is_broken = False
    world.turn()
    assert (len(world.cluster.dropped), names(world)) == (2, [called("2")])


def beside(world: Ground, **columns: object) -> str:
    """A run of another backend in the directory of the first commit, going on for days."""
    run_id = world.start(sha="1" * 40)
    other = Checkout(
        backend="other", root="~/scripthut-repos", name=called("1"), source="study", label="1" * 40
    )
    other.ref, other.keep, other.stage = "main", False, Stage.READY
    with world.database.writing() as session:
        if not columns:
            other.root = session.scalars(select(Checkout.root)).first() or ""
            session.add(other)
            session.flush()
            columns = {"checkout_id": other.id}
        session.execute(update(Run).where(Run.id == run_id).values(backend="other", **columns))
    return run_id


@pytest.mark.parametrize("columns", [{}, {"folder": f"/clones/{called('1')}"}], ids=["row", "path"])
def test_a_directory_stays_while_a_run_of_another_backend_works_in_it(
    world: Ground, columns: dict[str, object]
) -> None:
    commits(world, "1", "2")
    run_id = beside(world, **columns)
    keeping(world, keep_commits=1)
    world.start(sha="2" * 40)
    world.turn()
    assert (world.cluster.dropped, called("1") in names(world)) == ([], True)
    over = {"ended_at": world.now, "folder": f"/clones/{called('1')}"}
    with world.database.writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**over))
    world.upkeep.retired.clear()
    world.turn()
    assert world.cluster.dropped == [[called("1")]]
    assert world.the_run(run_id).folder is None  # its tasks tried again, it is made anew


def test_a_directory_stays_while_a_task_of_any_run_works_below_it(world: Ground) -> None:
    commits(world, "1", "2")
    live = world.start(sha="2" * 40)
    with world.database.writing() as session:
        below = {"base": f"/clones/{called('1')}/deep"}
        session.execute(update(Task).where(Task.run_id == live).values(**below))
    keeping(world, keep_commits=1)
    world.turn()
    assert world.cluster.dropped == []


def test_a_directory_stays_until_what_its_tasks_wrote_is_here(world: Ground) -> None:
    first, _ = commits(world, "1", "2")
    with world.database.writing() as session:
        late = {"collected_at": None, "collect_at": world.now + timedelta(days=1)}
        session.execute(update(Task).where(Task.run_id == first).values(**late))
    world.start(sha="2" * 40)
    keeping(world, keep_commits=1)
    world.turn()
    assert world.cluster.dropped == []


def test_every_hour_other_servers_are_told_what_is_in_use(world: Ground) -> None:
    commits(world, "1")
    world.cluster.answers = [Placed(READY, PATH)]
    world.start()
    world.turn(times=3)
    world.cluster.held.clear()
    world.turn(seconds=1300, times=6)
    assert world.cluster.held == [[called(SHA)]] * 2
    config = world.upkeep.live.config
    world.upkeep.live.config = config.model_copy(update={"sources": [], "backends": []})
    world.turn(seconds=3700)
    assert world.cluster.held == [[called(SHA)]] * 3  # its jobs are still there
