"""The engine over a simulated cluster: nothing lost, nothing twice, silence proves nothing."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from scripthut.core.jobs import Rejected, Used
from scripthut.engine.cycle import Cycle
from scripthut.store import lease, orders, tasks
from scripthut.store.db import DatabaseDown, Session
from scripthut.store.models import EventRow, Lease, Run, Task
from tests.engine.world import World


def test_a_fan_out_and_fan_in_goes_from_start_to_end(world: World) -> None:
    run_id = world.run({"a": [], "b": [], "merge": ["a", "b"]})
    world.turn()
    assert world.states() == {"a": "submitted", "b": "submitted", "merge": "pending"}
    world.cluster.runs("a", "b")
    world.turn()
    assert world.states() == {"a": "running", "b": "running", "merge": "pending"}
    world.cluster.ends("a", "b")
    world.turn()
    assert world.states() == {"a": "completed", "b": "completed", "merge": "submitted"}
    world.cluster.ends("merge")
    world.turn()
    assert world.is_over()
    assert world.the_run(run_id).ended_at == world.now


def test_an_outage_changes_nothing_and_is_shown(world: World) -> None:
    world.run({"a": [], "b": ["a"]})
    world.turn()
    world.cluster.runs("a")
    world.turn()
    world.cluster.is_broken = True
    before = world.now
    world.turn(seconds=60, times=30)
    assert world.states() == {"a": "running", "b": "pending"}
    assert world.backend().failing_since > before
    assert "no route to host" in world.backend().message
    world.cluster.is_broken = False
    world.cluster.ends("a")
    world.turn()
    assert world.states() == {"a": "completed", "b": "submitted"}
    assert world.backend().failing_since is None


def test_a_job_that_ended_and_was_purged_during_an_outage_is_judged_by_its_note(
    world: World,
) -> None:
    world.run({"a": []})
    world.turn()
    world.cluster.runs("a")
    world.turn()
    world.cluster.is_broken = True
    world.turn(seconds=60, times=30)
    world.cluster.ends("a", code=3)
    world.cluster.purges("a")
    world.cluster.is_broken = False
    world.turn(times=2)
    assert world.states() == {"a": "failed"}
    assert (world.task("a").exit_code, world.task("a").reason) == (3, "Exited with code 3")


def test_a_submission_whose_answer_was_lost_is_adopted(world: World) -> None:
    world.run({"a": [], "b": []})
    world.cluster.loses_answers = True
    world.turn()
    assert world.states() == {"a": "submitting", "b": "submitting"}
    world.cluster.loses_answers = False
    world.turn()
    assert world.states() == {"a": "queued", "b": "queued"}
    world.turn(seconds=30, times=10)
    assert world.cluster.submitted == ["a", "b"]


def test_a_submission_that_never_arrived_is_repeated_after_a_minute_of_answers(
    world: World,
) -> None:
    world.run({"a": []})
    world.cluster.drops_questions = True
    world.turn()
    world.cluster.drops_questions = False
    world.cluster.is_broken = True
    world.turn(seconds=60, times=5)
    world.cluster.is_broken = False
    world.turn(seconds=10, times=4)
    assert world.states() == {"a": "submitting"}
    assert world.cluster.submitted == []
    world.turn(seconds=10, times=5)
    assert world.cluster.submitted == ["a"]
    assert world.states() == {"a": "queued"}


def test_a_refused_task_fails_in_the_schedulers_words_and_the_others_go_on(world: World) -> None:
    world.run({"a": [], "b": [], "c": ["a"]})
    world.cluster.refuses = {"a": Rejected("invalid partition specified: nosuch")}
    world.turn(times=2)
    assert world.states() == {"a": "failed", "b": "queued", "c": "dep_failed"}
    assert "invalid partition specified: nosuch" in world.task("a").reason
    assert "'a'" in world.task("c").reason


def test_a_limit_of_the_scheduler_makes_tasks_wait_and_not_fail(world: World) -> None:
    world.run({"a": []})
    world.cluster.refuses = {"a": Rejected("too many jobs", wait=True)}
    world.turn(times=3)
    assert world.states() == {"a": "pending"}
    assert world.task("a").reason == "Waits: too many jobs"
    world.cluster.refuses = {}
    world.turn(seconds=31)
    assert world.states() == {"a": "submitted"}


def test_a_task_that_settles_holds_its_dependents_back_until_it_is_lost(world: World) -> None:
    world.run({"a": [], "b": ["a"]})
    world.turn()
    world.cluster.runs("a")
    world.turn()
    world.cluster.purges("a")
    world.turn(seconds=60, times=9)
    assert world.states() == {"a": "settling", "b": "pending"}
    world.turn(seconds=60, times=3)
    assert world.states() == {"a": "lost", "b": "pending"}
    assert world.cluster.submitted == ["a"]


def test_a_live_task_is_cancelled_when_the_scheduler_says_so(world: World) -> None:
    run_id = world.run({"a": [], "b": ["a"]})
    world.turn()
    world.cluster.is_broken = True
    with world.database.writing() as session:
        orders.ask_cancel_run(session, session.get(Run, run_id), world.now)
    world.turn(times=3)
    assert world.states() == {"a": "submitted", "b": "cancelled"}
    world.cluster.is_broken = False
    world.turn()
    assert world.cluster.cancelled == ["a"]
    assert world.states() == {"a": "cancelled", "b": "cancelled"}


def test_a_task_cancelled_while_it_is_submitted_is_cancelled_after_it_is_accepted(
    world: World,
) -> None:
    run_id = world.run({"a": []})
    world.cluster.loses_answers = True
    world.turn()
    with world.database.writing() as session:
        orders.ask_cancel_run(session, session.get(Run, run_id), world.now)
    assert world.states() == {"a": "submitting"}
    world.cluster.loses_answers = False
    world.turn(times=3)
    assert world.cluster.cancelled == ["a"]
    assert world.states() == {"a": "cancelled"}


def test_nothing_is_submitted_after_a_cancel(world: World) -> None:
    run_id = world.run({f"t{i}": [] for i in range(5)})
    with world.database.writing() as session:
        orders.ask_cancel_run(session, session.get(Run, run_id), world.now)
    world.turn(times=3)
    assert world.cluster.submitted == []


def test_a_big_run_does_not_starve_a_small_one(world: World) -> None:
    big = world.run({f"b{i}": [] for i in range(300)})
    world.turn()
    small = world.run({f"s{i}": [] for i in range(4)})
    world.cluster.ends(*[f"b{i}" for i in range(6)])
    world.turn()
    assert list(world.states(small).values()) == ["submitted"] * 4
    assert list(world.states(big).values()).count("submitted") == 2


def test_the_commands_of_a_cycle_do_not_grow_with_the_tasks(world: World) -> None:
    costs = []
    for count in (10, 90):
        world.run({f"{count}.{i}": [] for i in range(count)})
        world.turn()
        before = world.cluster.commands
        world.turn()
        costs.append(world.cluster.commands - before)
    assert costs[0] == costs[1]


def test_a_crash_between_the_intent_and_the_act_submits_once(world: World) -> None:
    world.run({"a": []})
    world.cluster.drops_questions = True  # as if the server had died before it asked
    world.turn()
    world.cluster.drops_questions = False
    world.turn(seconds=10, times=8)
    assert world.cluster.submitted == ["a"]


def test_a_leader_that_slept_writes_nothing(world: World) -> None:
    world.run({"a": []})
    world.turn()
    world.cluster.ends("a")
    with world.database.writing() as session:
        session.execute(update(Lease).values(until=lease.database_time() - 1))
    assert lease.acquire(world.database, "another")
    assert not world.cycle.run(world.now).answered
    assert world.states() == {"a": "submitted"}


@pytest.mark.parametrize("code", [0, 7])
def test_every_move_is_in_the_history(world: World, code: int) -> None:
    world.run({"a": []})
    world.turn()
    world.cluster.runs("a")
    world.turn()
    world.cluster.ends("a", code=code)
    world.turn()
    with world.database.reading() as session:
        task = session.scalars(select(Task.id)).one()
        rows = session.scalars(select(EventRow).where(EventRow.task_id == task)).all()
    ending = ("exited_ok", "completed") if code == 0 else ("exited_bad", "failed")
    assert [(row.what, row.new) for row in rows] == [
        ("claimed", "submitting"),
        ("accepted", "submitted"),
        ("seen_running", "running"),
        ending,
    ]


@pytest.mark.parametrize("says", [None, Rejected("too many jobs", wait=True)])
def test_a_task_cancelled_while_its_submission_comes_to_nothing_is_never_submitted(
    world: World, says: Rejected | None
) -> None:
    run_id = world.run({"a": []})
    world.cluster.drops_questions = True
    world.turn()
    with world.database.writing() as session:
        orders.ask_cancel_run(session, session.get(Run, run_id), world.now)
    world.cluster.drops_questions = False
    world.cluster.refuses = {"a": says} if says else {}
    world.turn(seconds=15, times=12)
    assert world.cluster.submitted == []
    assert world.states() == {"a": "cancelled"}
    assert world.task("a").reason == "Cancelled before it was submitted"


def test_all_that_hangs_on_a_broken_task_ends_with_it_however_much(world: World) -> None:
    chain = {f"c{i}": [f"c{i - 1}"] if i else ["a"] for i in range(250)}
    run_id = world.run({"a": [], **{f"t{i}": ["a"] for i in range(250)}, **chain})
    world.cluster.refuses = {"a": Rejected("no such partition")}
    world.turn(times=2)
    ended = world.states()
    assert ended.pop("a") == "failed"
    assert set(ended.values()) == {"dep_failed"}
    assert world.the_run(run_id).ended_at == world.now
    assert world.task("c7").reason == "Dependency 'c6' did not complete"


def test_what_an_engine_had_in_its_hands_is_void_when_it_leads_again(world: World) -> None:
    world.run({"a": []})
    world.turn()
    world.cluster.ends("a")
    for holder in ("another", "me"):  # it slept, another one led, and it leads again
        with world.database.writing() as session:
            session.execute(update(Lease).values(until=lease.database_time() - 1))
        assert lease.acquire(world.database, holder)
    before = world.lead.epoch
    while world.lead.epoch == before:  # it renews once a second
        assert world.lead.renew()
        time.sleep(0.05)
    assert not world.cycle.run(world.now).answered
    assert world.states() == {"a": "submitted"}


def test_a_database_that_goes_away_in_a_cycle_voids_it_and_is_asked_again(world: World) -> None:
    @contextmanager
    def goes() -> Iterator[Session]:
        raise DatabaseDown("The database does not answer: it went away")
        yield

    world.run({"a": []})
    hands = replace(world.cycle.hands, writing=goes)
    assert not Cycle(hands, "slurm", 100, clock=lambda: 0.0).run(world.now).answered
    assert world.cluster.submitted == []
    world.turn()
    assert world.cluster.submitted == ["a"]


def test_a_clock_that_is_set_back_does_not_make_a_pause_longer(world: World) -> None:
    passed = itertools.count(0.0, 2.0)
    cycle = Cycle(world.cycle.hands, "slurm", 100, clock=lambda: next(passed))
    world.run({"a": []})
    world.cluster.refuses = {"a": Rejected("too many jobs", wait=True)}
    assert cycle.run(world.now).answered
    world.cluster.refuses = {}
    assert cycle.run(world.now + timedelta(seconds=6)).answered
    assert world.states() == {"a": "pending"}
    assert cycle.run(world.now - timedelta(hours=5)).answered
    assert world.states() == {"a": "submitted"}


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_uses_up_no_patience(world: World, hours: int) -> None:
    seconds = itertools.count(0.0, 2.0)
    cycle = Cycle(world.cycle.hands, "slurm", 100, clock=lambda: passed)

    def turn(after: float = 2.0) -> None:
        nonlocal passed
        passed = next(seconds)
        world.now += timedelta(seconds=after)
        world.cluster.now = world.now
        assert world.lead.renew()
        assert cycle.run(world.now).answered

    passed = 0.0
    world.run({"a": [], "b": []})
    turn()
    world.cluster.runs("a")
    world.cluster.purges("b")
    for _ in range(10):
        turn()
    world.cluster.purges("a")
    turn()
    before = {"a": "settling", "b": "settling"}
    assert world.states() == before
    turn(3600 * hours)  # by the time of day alone
    assert world.states() == before
    turn()
    assert world.states() == before
    assert world.cluster.submitted == ["a", "b"]


@pytest.mark.parametrize("is_submitted", [False, True])
def test_a_task_that_breaks_what_is_done_with_it_is_left_alone_and_says_so(
    world: World, is_submitted: bool
) -> None:
    world.run({"odd": [], "even": []})
    if is_submitted:
        world.turn()
    world.change("odd", spec={"name": "a row of which nobody knows how it came to be"})
    world.turn(times=2)
    world.cluster.ends("even")
    world.turn(times=2)
    assert world.states() == {
        "odd": "submitted" if is_submitted else "submitting",
        "even": "completed",
    }
    assert "see the log" in (world.task("odd").reason or "")


def test_what_follows_is_dated_after_the_end_it_follows(world: World) -> None:
    world.run({"a": [], "b": ["a"]})
    world.turn()
    world.cluster.now += timedelta(seconds=2)  # `a` ends while a long look is taken
    world.cluster.ends("a")
    slow = Cycle(world.cycle.hands, "slurm", 100, clock=itertools.count(0, 3).__next__)
    assert slow.run(world.now).answered
    ended = world.task("a").finished_at
    assert ended == world.cluster.now
    assert world.task("b").submitted_at >= ended


@pytest.mark.parametrize(("makes_arrays", "submitted"), [(False, 100), (True, 150)])
def test_more_are_submitted_at_once_only_where_they_can_go_as_an_array(
    world: World, makes_arrays: bool, submitted: int
) -> None:
    world.cluster.makes_arrays = makes_arrays
    world.start([{"id": f"t.{n}", "command": "true", "array": True} for n in range(150)])
    cycle = Cycle(world.cycle.hands, "slurm", 500, clock=lambda: 0.0)
    assert cycle.run(world.now).answered
    assert len(world.cluster.submitted) == submitted


def test_the_tasks_of_a_run_in_which_nothing_moves_are_not_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = tasks.nodes
    monkeypatch.setattr(tasks, "nodes", lambda session, run: read.append(run) or real(session, run))
    world.run({"a": [], "b": ["a"], "c": ["b"]})
    world.turn()
    world.turn()
    before = len(read)
    for _ in range(3):
        world.turn()
    assert len(read) == before
    world.cluster.ends("a")
    world.turn()
    assert world.states() == {"a": "completed", "b": "submitted", "c": "pending"}
    assert len(read) == before + 1


def test_what_may_start_next_does_not_wait_for_what_was_written(world: World) -> None:
    world.run({"a": [], "b": ["a"]})
    world.turn()
    world.cluster.writes = True
    world.cluster.ends("a")
    world.turn()
    assert world.cluster.submitted_when_fetched == [["a", "b"]]


def test_what_a_task_used_is_the_most_that_its_note_and_the_records_know(world: World) -> None:
    world.run({"a": [], "b": []})
    world.turn()
    world.cluster.ends("a", "b")
    token = world.task("a").token
    world.cluster.notes[token] = replace(world.cluster.notes[token], used=Used(2**30, 3.5))
    world.cluster.used = {"a": Used(2**31, 2.0), "b": Used(5, None)}
    world.turn()
    assert (world.task("a").memory_used, world.task("a").cpu_used) == (2**30, 3.5)
    world.turn()
    assert (world.task("a").memory_used, world.task("a").cpu_used) == (2**31, 3.5)
    assert (world.task("b").memory_used, world.task("b").cpu_used) == (5, None)
