"""A paused backend gets nothing new; what it has goes on, and can be cancelled."""

from scripthut.store import orders
from scripthut.store.machines import pauses
from scripthut.store.machines.pauses import Kind, Words
from scripthut.store.models import Run
from tests.engine.world import World


def pause(world: World, kind: Kind = Kind.BACKEND, name: str = "hpc") -> None:
    with world.database.writing() as session:
        pauses.pause(session, kind, name, Words("ada", "maintenance"), world.now)


def resume(world: World) -> None:
    with world.database.writing() as session:
        pauses.resume(session, Kind.BACKEND, "hpc")


def test_nothing_is_submitted_while_it_is_paused(world: World) -> None:
    pause(world)
    world.run({"a": [], "b": []})
    world.turn(times=5)
    assert world.cluster.submitted == []
    assert world.states() == {"a": "pending", "b": "pending"}
    resume(world)
    world.turn()
    assert world.cluster.submitted == ["a", "b"]


def test_what_runs_is_watched_to_its_end_and_what_follows_waits(world: World) -> None:
    world.run({"a": [], "b": ["a"]})
    world.turn()
    world.cluster.runs("a")
    pause(world)
    world.turn()
    assert world.states()["a"] == "running"
    world.cluster.ends("a")
    world.turn(times=3)
    assert world.states() == {"a": "completed", "b": "pending"}
    assert world.cluster.submitted == ["a"]


def test_what_runs_can_be_cancelled(world: World) -> None:
    run_id = world.run({"a": []})
    world.turn()
    world.cluster.runs("a")
    pause(world)
    with world.database.writing() as session:
        orders.ask_cancel_run(session, session.get_one(Run, run_id), world.now)
    world.turn(times=2)
    assert world.cluster.cancelled
    assert world.states() == {"a": "cancelled"}


def test_a_pause_outlives_the_engine_and_binds_every_other(world: World) -> None:
    pause(world)
    world.run({"a": []})
    world.lead.release()
    world.turn(times=2)
    assert world.cluster.submitted == []


def test_a_source_of_the_same_name_is_another_thing(world: World) -> None:
    pause(world, Kind.SOURCE, "hpc")
    world.run({"a": []})
    world.turn()
    assert world.cluster.submitted == ["a"]
