"""Trying again, over the simulated cluster."""

import pytest

from scripthut.core.errors import Conflict
from scripthut.store import orders
from scripthut.store.keeping import retention
from scripthut.store.making import retries
from scripthut.store.models import Run
from tests.engine.world import World


def fail(world: World, *keys: str, code: int = 1) -> None:
    world.turn()
    world.cluster.ends(*keys, code=code)
    world.turn()


def retry(world: World, key: str) -> int:
    with world.database.writing() as session:
        return retries.retry_task(session, session.merge(world.task(key)), world.now)


def test_a_failed_task_is_tried_again_and_its_dependents_follow(world: World) -> None:
    run_id = world.run({"a": [], "b": ["a"], "c": ["b"], "other": []})
    fail(world, "a")
    world.cluster.ends("other")
    world.turn()
    assert world.states() == {
        "a": "failed",
        "b": "dep_failed",
        "c": "dep_failed",
        "other": "completed",
    }
    assert world.the_run(run_id).ended_at is not None
    assert retry(world, "a") == 3
    assert world.the_run(run_id).ended_at is None
    first = world.task("a").attempt
    world.turn()
    assert world.states()["a"] == "submitted"
    assert (first, world.task("a").token) == (2, f"{run_id}.0.2")
    assert (world.task("a").exit_code, world.task("a").reason) == (None, None)
    for key in ("a", "b", "c"):
        world.cluster.ends_newest(key)
        world.turn()
    assert set(world.states().values()) == {"completed"}
    assert world.the_run(run_id).ended_at is not None


def test_a_dependent_that_something_else_broke_stays_broken(world: World) -> None:
    world.run({"a": [], "b": [], "c": ["a", "b"]})
    fail(world, "a", "b")
    retry(world, "a")
    world.turn()
    assert world.states() == {"a": "submitted", "b": "failed", "c": "dep_failed"}


def test_all_that_failed_is_tried_again_at_once(world: World) -> None:
    run_id = world.run({"a": [], "b": [], "ok": [], "c": ["a", "b"]})
    world.turn()
    world.cluster.ends("ok")
    world.cluster.ends("a", "b", code=2)
    world.turn()
    with world.database.writing() as session:
        assert retries.retry_failed(session, session.get_one(Run, run_id), world.now) == 3
    world.turn()
    assert world.states() == {"a": "submitted", "b": "submitted", "ok": "completed", "c": "pending"}


def test_a_lost_task_can_be_tried_again(world: World) -> None:
    world.run({"a": []})
    world.turn()
    world.cluster.runs("a")
    world.turn()
    world.cluster.purges("a")
    world.turn(seconds=60, times=13)
    assert world.states() == {"a": "lost"}
    retry(world, "a")
    world.turn()
    assert world.cluster.submitted == ["a", "a"]


def test_what_has_not_ended_badly_cannot_be_tried_again(world: World) -> None:
    run_id = world.run({"a": [], "b": []})
    world.turn()
    with pytest.raises(Conflict, match="is submitted"):
        retry(world, "a")
    world.cluster.ends("a", "b")
    world.turn()
    with world.database.writing() as session, pytest.raises(Conflict, match="no task"):
        retries.retry_failed(session, session.get_one(Run, run_id), world.now)


def test_a_cancelled_run_that_is_tried_again_is_not_cancelled_again(world: World) -> None:
    run_id = world.run({"a": [], "b": ["a"]})
    world.turn()
    with world.database.writing() as session:
        orders.ask_cancel_run(session, session.get_one(Run, run_id), world.now)
    world.turn(times=2)
    assert world.states() == {"a": "cancelled", "b": "cancelled"}
    with world.database.writing() as session:
        assert retries.retry_failed(session, session.get_one(Run, run_id), world.now) == 2
    world.turn(times=2)
    assert world.states() == {"a": "queued", "b": "pending"}
    assert world.cluster.cancelled == ["a"]


def test_there_is_an_end_to_trying(world: World) -> None:
    world.run({"a": []})
    fail(world, "a")
    world.change("a", attempt=retries.MOST)
    with pytest.raises(Conflict, match="start a new run"):
        retry(world, "a")


def test_a_run_whose_files_were_removed_holds_some_again_when_it_is_retried(world: World) -> None:
    run_id = world.run({"a": []})
    fail(world, "a")
    world.change("a", collected_at=world.now)
    with world.database.writing() as session:
        retention.expire(session, run_id, "it was old", world.now)
    assert world.the_run(run_id).removed_at is not None
    retry(world, "a")
    run = world.the_run(run_id)
    assert (run.removed_at, run.removed_why) == (None, None)
