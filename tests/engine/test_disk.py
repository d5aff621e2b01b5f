"""Looks at a disk and deletions, over a cluster that answers as a test says."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select, update

from scripthut.config import Live, parse
from scripthut.core.disk import Class, Done, Kind, Scanned, Stage, Thing, Told, Wanted, Way
from scripthut.core.errors import Conflict, Unreachable
from scripthut.core.jobs import Area, OutputLimits, RemoteFile
from scripthut.core.states import State
from scripthut.engine.cycle import Cycle
from scripthut.engine.disk import tend
from scripthut.engine.lead import Lead
from scripthut.engine.tries import MOST, Tries
from scripthut.engine.upkeep import Upkeep
from scripthut.store import outputs
from scripthut.store.db import Database
from scripthut.store.files import fetches
from scripthut.store.files.kept import Kept
from scripthut.store.keeping import retention
from scripthut.store.keeping.removal import remove_run
from scripthut.store.lease import Fenced
from scripthut.store.machines import checkouts, disk, disk_ends
from scripthut.store.making import reruns, retries
from scripthut.store.models import Checkout, DiskRemoval, Fetch, Output, Run, Task
from scripthut.store.outputs import Found
from tests.engine.cluster import START, FakeCluster
from tests.engine.world import World

SHA = "0123456789ab"
OLD = START - timedelta(days=40)


@dataclass
class Disks(FakeCluster):
    """A cluster with a disk: looks find `things`, deletions go as `ways` say, else at once."""

    things: tuple[Thing, ...] = ()
    stages: list[Stage] = field(default_factory=list)  # of the next answers; then it ends
    ways: list[Done] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    loses: bool = False  # the answer, after the act
    late: bool = False  # no deletion begins in time
    hangs: str | None = None  # over what has this name, or is that look

    def disk(self, wanted: Wanted) -> Told:
        if self.is_broken:
            raise Unreachable("hpc does not answer")
        self.wanted.append(wanted)
        names = [one.thing.name.decode() for one in wanted.removals]
        names += [wanted.scan.id] if wanted.scan else []
        if self.loses or self.hangs in names:
            raise Unreachable("the connection was cut")
        scan = None
        if wanted.scan is not None:
            stage = self.stages.pop(0) if self.stages else Stage.ENDED
            things = self.things if stage is Stage.ENDED else ()
            scan = Scanned(stage, 10, "/home/ada", len(self.things), things)
        if self.late:
            return Told(scan)
        done = [self.ways.pop(0) if self.ways else Done(Way.GONE, 5) for _ in wanted.removals]
        return Told(scan, dict(zip([one.id for one in wanted.removals], done, strict=True)))

    def hold(self, *_: object) -> None:
        """Nobody else is there."""


class Room(World):
    """A world with a disk."""

    cluster: Disks
    upkeep: Upkeep

    def scan(self, *things: Thing) -> None:
        self.cluster.things = things
        with self.database.writing() as session:
            assert disk.ask_scan(session, "hpc", "scan0001", self.now)
        self.turn()

    def shown(self) -> list[disk.Shown]:
        with self.database.reading() as session:
            return disk.shown(session, "hpc", self.now)

    def order(self, *ids: int) -> disk.Ordered:
        numbers = count()
        with self.database.writing() as session:
            chosen = disk.Chosen("scan0001", ids)
            return disk.ask_removal(
                session, "hpc", chosen, lambda: f"remove{next(numbers):02d}", self.now
            )

    def removals(self) -> list[DiskRemoval]:
        with self.database.reading() as session:
            return list(session.scalars(select(DiskRemoval).order_by(DiskRemoval.id)))

    def ended(self) -> str:
        """A run that has ended a while ago, all collected."""
        run_id = self.run({"a": []})
        self.turn()
        self.cluster.ends_newest("a")
        self.turn(times=2)
        with self.database.writing() as session:
            session.execute(update(Task).values(collected_at=self.now))
        return run_id


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Room:
    cluster = Disks()
    lead = Lead(database, "me")
    assert lead.renew()
    config = parse({"backends": [{"type": "slurm", "name": "hpc", "ssh": {"host": "hpc"}}]})
    upkeep = Upkeep(Live.of(config), lambda _: cluster)
    hands = lead.hands(cluster, Kept(tmp_path / "kept"), OutputLimits())
    cycle = Cycle(hands, "slurm", 100, upkeep, clock=lambda: cluster.now.timestamp())
    room = Room(database, cluster, cycle, lead)
    room.upkeep = upkeep
    return room


def logs(run_id: str, **more: object) -> Thing:
    facts = {"size": 1000, "touched_at": OLD, "mark": "1:2"} | more
    return Thing(Kind.RUN, "/home/ada/.cache/scripthut/logs", b"study", run_id, **facts)  # type: ignore[arg-type]


COMMIT = Thing(Kind.COMMIT, "/home/ada/scripthut-repos", SHA.encode(), size=9, touched_at=OLD)


def test_a_look_goes_on_for_as_long_as_it_takes_and_holds_nothing_up(world: Room) -> None:
    world.cluster.stages = [Stage.BUSY, Stage.GOING, Stage.GOING]
    run_id = world.run({"a": []})
    world.scan(logs("orphaned"))
    assert world.states(run_id) == {"a": "submitted"}
    assert world.shown() == []
    with world.database.reading() as session:
        waits = disk.state(session, "hpc").going
        assert waits is not None and "Another server" in str(waits.note)
        assert disk.due(session, world.now) == set()  # asked again in a while
    world.turn(seconds=30, times=4)
    (one,) = world.shown()
    assert one.verdict.whose is Class.ORPHANED
    assert [w.scan.offset for w in world.cluster.wanted if w.scan] == [0, 0, 10, 10]
    assert len(world.cluster.wanted) == 4  # and nothing is asked any more


def test_a_second_look_takes_the_place_of_the_first(world: Room) -> None:
    world.scan(logs("orphaned"))
    with world.database.writing() as session:
        assert disk.ask_scan(session, "hpc", "scan0002", world.now)
        assert not disk.ask_scan(session, "hpc", "scan0003", world.now)
    assert len(world.shown()) == 1  # the former is shown meanwhile
    world.cluster.things = ()
    world.turn()
    assert world.shown() == []


def test_an_answer_that_came_twice_is_written_once(world: Room) -> None:
    world.scan(logs("orphaned"))
    said = Scanned(Stage.ENDED, 20, None, None, (logs("zzzzzzzz"),))
    with world.database.writing() as session:
        disk.scanned(session, "scan0001", 0, said, world.now)
    assert len(world.shown()) == 1


def test_a_look_that_died_shows_what_it_had_found(world: Room) -> None:
    world.cluster.stages = [Stage.LOST]
    world.scan()
    with world.database.reading() as session:
        state = disk.state(session, "hpc")
    assert state.going is None and state.last is not None
    assert "did not come to its end" in str(state.last.note)


def test_what_runs_use_is_theirs(world: Room) -> None:
    ended, live = world.ended(), world.run({"a": []})
    world.scan(logs(ended), logs(live), logs("orphaned"), COMMIT)
    whose = {one.thing.run_id: one.verdict.whose for one in world.shown()}
    assert whose == {
        ended: Class.REFERENCED,
        live: Class.ACTIVE,
        "orphaned": Class.ORPHANED,
        None: Class.ORPHANED,
    }


def test_what_is_still_to_be_fetched_is_active(world: Room) -> None:
    run_id = world.ended()
    with world.database.writing() as session:
        session.execute(update(Task).values(collected_at=None))
    world.scan(logs(run_id))
    assert world.shown()[0].verdict.whose is Class.ACTIVE


@pytest.mark.parametrize(
    "facts",
    [
        {"folder": f"/home/ada/scripthut-repos/{SHA}"},
        {"folder": f"/nfs/home/ada/scripthut-repos/{SHA}/sub"},
        {"log_dir": f"~/scripthut-repos/{SHA}/.scripthut/wf/logs"},
    ],
)
def test_a_commit_is_a_runs_however_its_path_is_written(world: Room, facts: dict[str, str]) -> None:
    run_id = world.run({"a": []})
    with world.database.writing() as session:
        session.execute(update(Run).values(**facts, backend="another way there"))
    world.scan(COMMIT)
    (one,) = world.shown()
    assert [user.run_id for user in one.verdict.users] == [run_id]
    assert one.verdict.whose is Class.ACTIVE


def test_a_task_that_works_in_a_commits_directory_keeps_it(world: Room) -> None:
    world.start([{"id": "a", "command": "true", "working_dir": f"~/scripthut-repos/{SHA}"}])
    world.scan(COMMIT)
    assert world.shown()[0].verdict.whose is Class.ACTIVE


def test_only_what_may_go_is_ordered_and_the_rest_is_said(world: Room) -> None:
    live = world.run({"a": []})
    world.scan(
        logs(live), logs("orphaned"), Thing(Kind.OTHER, "/home/ada/x", b"thesis", touched_at=OLD)
    )
    ordered = world.order(*(one.id for one in world.shown()))
    assert [one.thing.run_id for one in ordered.going] == ["orphaned"]
    assert [why for _, why in ordered.staying] == [
        "A run that has not ended uses it.",
        "It is a server's own, or not of scripthut's making.",
    ]
    world.turn()
    (row,) = world.removals()
    assert row.is_gone and row.freed == 5
    assert [one.thing.run_id for one in world.shown()] == [live, None]
    assert world.cluster.wanted[-1].removals[0].idle == 86400


def test_a_commit_that_nobody_knows_must_be_idle_for_a_week(world: Room) -> None:
    world.scan(COMMIT)
    world.order(world.shown()[0].id)
    world.turn()
    assert world.cluster.wanted[-1].removals[0].idle == 7 * 86400


def test_nothing_goes_unscanned(world: Room) -> None:
    with pytest.raises(Conflict, match="not been scanned"):
        world.order(1)


def test_twice_ordered_is_once_deleted(world: Room) -> None:
    world.scan(logs("orphaned"))
    (one,) = world.shown()
    world.order(one.id)
    assert world.order(one.id).going == []
    assert len(world.removals()) == 1


def test_a_run_that_begins_again_before_the_act_keeps_its_files(world: Room) -> None:
    run_id = world.ended()
    world.scan(logs(run_id))
    world.cluster.is_broken = True
    world.order(world.shown()[0].id)
    world.turn()
    with world.database.writing() as session:
        session.execute(update(Run).values(ended_at=None))
    world.cluster.is_broken = False
    world.cluster.ways = [Done(Way.STAYS, 0, "a run uses it now")]
    world.turn(seconds=60)
    (wanted,) = [w for w in world.cluster.wanted if w.removals]
    assert not wanted.removals[0].may_begin
    (row,) = world.removals()
    assert (row.is_gone, row.problem) == (False, "a run uses it now")
    assert world.the_run(run_id).cleared_at is None


def test_what_was_scanned_in_another_account_stays(world: Room) -> None:
    run_id = world.ended()
    world.scan(logs(run_id), logs("orphaned"))
    world.order(*(one.id for one in world.shown()))
    with world.database.writing() as session:
        session.execute(update(DiskRemoval).values(home="/home/bob", is_moved=False))
        moved = update(DiskRemoval).where(DiskRemoval.run == "orphaned")
        session.execute(moved.values(is_moved=True))
    world.turn()
    assert [w for w in world.cluster.wanted if w.removals] == []
    ends = {row.run: (row.is_gone, row.problem) for row in world.removals()}
    why = "it was scanned in another account"
    assert ends == {run_id: (False, why), "orphaned": (True, why)}
    assert world.the_run(run_id).cleared_at is None


def test_an_engine_that_does_not_lead_any_more_deletes_nothing(world: Room) -> None:
    world.scan(logs("orphaned"))
    world.order(world.shown()[0].id)
    world.lead.release()
    assert Lead(world.database, "another").renew()
    with pytest.raises(Fenced):
        tend(world.cycle.hands, parse({}), Tries(), world.now)
    assert [w for w in world.cluster.wanted if w.removals] == []


def test_a_deletion_that_hangs_holds_nothing_up_and_is_given_up(world: Room) -> None:
    run_id = world.ended()
    commit_of(world, run_id)
    world.scan(COMMIT, logs("orphaned"))
    world.order(*(one.id for one in world.shown()))
    world.cluster.hangs = SHA
    live = world.run({"b": []})
    world.turn()
    assert world.states(live) == {"b": "submitted"} and world.backend().message is None
    with world.database.reading() as session:
        assert disk.due(session, world.now) == {"hpc"}
        resting = world.upkeep.tries.resting(world.now)
        assert disk.due(session, world.now, resting) == set()  # no cycle comes for them alone
    world.turn(seconds=60, times=30)
    asked = [[one.thing.kind for one in w.removals] for w in world.cluster.wanted if w.removals]
    assert sorted(map(len, asked)) == [1] * MOST + [2]  # each by itself, after the first time
    by_kind = {row.kind: row for row in world.removals()}
    assert by_kind["run"].is_gone
    assert not by_kind["commit"].is_gone and "no answer came" in str(by_kind["commit"].problem)
    with world.database.reading() as session:
        assert checkouts.at(session, "hpc", SHA) == []  # it may be there, or not
    assert world.upkeep.tries == Tries()


def test_a_step_in_which_nothing_begins_is_put_off(world: Room) -> None:
    world.scan(logs("orphaned"))
    world.order(world.shown()[0].id)
    world.cluster.late = True
    world.turn(times=5)
    assert len([w for w in world.cluster.wanted if w.removals]) == 1
    world.cluster.late = False
    world.turn(seconds=60)
    assert world.removals()[0].is_gone


def test_a_look_that_hangs_is_given_up(world: Room) -> None:
    world.cluster.hangs = "scan0001"
    world.scan(logs("orphaned"))
    world.turn(seconds=60, times=30)
    with world.database.reading() as session:
        state = disk.state(session, "hpc")
    assert state.going is None and state.last is not None
    assert "no answer came" in str(state.last.note)
    assert len(world.cluster.wanted) == MOST


def test_a_crash_between_the_act_and_its_record_repeats_the_order(world: Room) -> None:
    world.scan(logs("orphaned"))
    world.order(world.shown()[0].id)
    world.cluster.loses = True
    world.turn()
    assert world.removals()[0].ended_at is None
    world.cluster.loses = False
    world.cluster.ways = [Done(Way.GOING, 3), Done(Way.GOING, 3), Done(Way.GONE, 1)]
    world.turn(seconds=60, times=4)
    asked = [w.removals[0] for w in world.cluster.wanted if w.removals]
    assert [(one.id, one.is_moved) for one in asked] == [
        ("remove00", False), ("remove00", False), ("remove00", True), ("remove00", True),
    ]  # fmt: skip
    (row,) = world.removals()
    assert row.is_gone and row.freed == 7


def test_what_was_deleted_is_not_said_to_be_there(world: Room) -> None:
    run_id = world.ended()
    with world.database.writing() as session:
        task = session.scalars(select(Task)).one()
        files = {b"kept.png": "0" * 64, b"large.bin": None, b"link": None}
        notes = {b"link": "is a symbolic link: not followed"}
        found = [
            Found(RemoteFile("", Area.OUTPUT, raw, 9, 1, None), sha, None, notes.get(raw))
            for raw, sha in files.items()
        ]
        outputs.record(session, task, found, keep_vanished=True)
        session.flush()
        large = session.scalars(select(Output).where(Output.path == "large.bin")).one()
        fetches.ask(session, large, world.now)
    world.scan(logs(run_id))
    version = world.the_run(run_id).version
    world.order(world.shown()[0].id)
    world.turn()
    run = world.the_run(run_id)
    assert run.cleared_at == world.now and run.version > version
    with world.database.reading() as session:
        rows = {row.path: row for row in session.scalars(select(Output))}
        assert session.scalars(select(Fetch)).all() == []
    assert rows["kept.png"].sha256 and rows["kept.png"].note is None
    assert rows["large.bin"].note == "was deleted on hpc"
    assert not outputs.is_within_reach(rows["large.bin"])
    with world.database.writing() as session:
        retention.expire(session, run_id, "it was old", world.now)
    with world.database.reading() as session:
        kept = session.scalars(select(Output).where(Output.path == "kept.png")).one()
    assert kept.note == "was deleted on hpc, and was removed from the server: it was old"
    assert not outputs.is_within_reach(kept)


def test_a_run_whose_files_are_being_deleted_does_not_go_on_from_them(world: Room) -> None:
    run_id = world.run({"a": [], "b": []})
    world.turn()
    with world.database.writing() as session:
        ended = update(Task).values(collected_at=world.now)
        session.execute(ended.where(Task.key == "a").values(state=State.COMPLETED))
        session.execute(ended.where(Task.key == "b").values(state=State.FAILED))
        session.execute(update(Run).values(ended_at=world.now))
    world.scan(logs(run_id))
    world.cluster.ways = [Done(Way.GOING, 1), Done(Way.GOING, 1), Done(Way.GONE, 1)]
    world.order(world.shown()[0].id)
    for _ in range(2):  # ordered; begun
        with world.database.writing() as session:
            run = session.get_one(Run, run_id)
            with pytest.raises(Conflict, match="are being deleted"):
                retries.retry_failed(session, run, world.now)
            with pytest.raises(Conflict, match="are being deleted"):
                reruns.chosen(session, run, reruns.Mode.FAILED)
            assert reruns.chosen(session, run, reruns.Mode.ALL)  # it needs nothing of them
        world.turn()
    world.turn(times=2)
    with world.database.writing() as session:
        assert retries.retry_failed(session, session.get_one(Run, run_id), world.now) == 1


def test_a_run_that_began_again_while_its_files_went_knows_what_is_gone(world: Room) -> None:
    run_id = world.ended()
    with world.database.writing() as session:
        task = session.scalars(select(Task)).one()
        for attempt, raw in ((1, b"large.bin"), (2, b"new.bin")):
            task.attempt = attempt
            found = [Found(RemoteFile("", Area.OUTPUT, raw, 9, 1, None), None, None, None)]
            outputs.record(session, task, found, keep_vanished=True)
            session.flush()
        task.state, task.collected_at = State.RUNNING, None
    with world.database.writing() as session:
        disk_ends.clear(session, run_id, world.now)
    with world.database.reading() as session:
        notes = {row.path: row.note for row in session.scalars(select(Output))}
    assert notes == {"large.bin": "was deleted on hpc", "new.bin": None}
    assert world.task("a").collected_at is None and world.the_run(run_id).cleared_at is None


def test_what_was_never_fetched_is_said_to_be_gone(world: Room) -> None:
    run_id = world.ended()
    with world.database.writing() as session:
        session.execute(
            update(Task).values(collected_at=None, ended_seen_at=world.now - timedelta(days=3))
        )
    world.scan(logs(run_id))
    world.order(world.shown()[0].id)
    world.turn()
    task = world.task("a")
    assert task.collected_at and "deleted there before it was fetched" in str(task.outputs_problem)


def commit_of(world: Room, run_id: str) -> int:
    with world.database.writing() as session:
        row = Checkout(
            backend="hpc", root="~/scripthut-repos", name=SHA, source="study", label=SHA,
            ref="main", keep=False, stage="ready", path=f"/home/ada/scripthut-repos/{SHA}",
        )  # fmt: skip
        session.add(row)
        session.flush()
        facts = {"checkout_id": row.id, "folder": row.path, "git_sha": SHA}
        session.execute(update(Run).where(Run.id == run_id).values(**facts))
        return row.id


def test_a_run_whose_commit_goes_gets_a_new_directory_when_it_is_tried_again(world: Room) -> None:
    run_id = world.ended()
    commit_of(world, run_id)
    world.scan(COMMIT)
    world.order(world.shown()[0].id)
    assert world.the_run(run_id).folder is None  # nothing begins there any more
    world.turn()
    with world.database.reading() as session:
        assert checkouts.at(session, "hpc", SHA) == []
    assert world.the_run(run_id).checkout_id is None
    assert world.the_run(run_id).cleared_at is None  # its logs are elsewhere


def test_a_run_of_another_backend_with_the_same_home_gets_a_new_directory_too(world: Room) -> None:
    run_id, by_hand = world.ended(), world.ended()
    commit_of(world, run_id)
    with world.database.writing() as session:
        session.execute(update(Checkout).values(backend="another way there"))
        its = update(Run).where(Run.id == run_id)
        session.execute(its.values(backend="another way there"))
        own = update(Run).where(Run.id == by_hand)
        session.execute(own.values(folder=f"{COMMIT.root}/{SHA}"))
    world.scan(COMMIT)
    world.order(world.shown()[0].id)
    run = world.the_run(run_id)
    assert (run.folder, run.checkout_id) == (None, None)
    assert world.the_run(by_hand).folder  # nobody makes that anew


def test_a_commit_that_stays_is_used_as_before(world: Room) -> None:
    run_id = world.ended()
    commit_of(world, run_id)
    world.scan(COMMIT)
    world.order(world.shown()[0].id)
    world.cluster.ways = [Done(Way.STAYS, 0, "it was used lately, perhaps by another server")]
    world.turn()
    with world.database.reading() as session:
        (row,) = checkouts.at(session, "hpc", SHA)
    assert row.stage == "ready" and world.removals()[0].problem


def test_an_old_version_of_a_run_within_a_commit_goes_with_it(world: Room) -> None:
    run_id = world.ended()
    with world.database.writing() as session:
        session.execute(update(Run).values(log_dir=f"~/scripthut-repos/{SHA}/.scripthut/w/logs"))
    world.scan(COMMIT)
    world.order(world.shown()[0].id)
    world.turn()
    assert world.the_run(run_id).cleared_at is not None


def test_a_forgotten_run_leaves_the_orders_as_they_are(world: Room) -> None:
    run_id = world.ended()
    world.scan(logs(run_id))
    world.order(world.shown()[0].id)
    with world.database.writing() as session:
        remove_run(session, session.get_one(Run, run_id))
    assert len(world.removals()) == 1
    world.turn()
    assert world.removals()[0].is_gone
