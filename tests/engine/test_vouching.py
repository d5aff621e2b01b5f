"""A person says what became of a lost task: what waits goes on, and a generator generates."""

import json

import pytest
from sqlalchemy import select

from scripthut.core.errors import Conflict
from scripthut.core.states import State
from scripthut.store.making import vouching
from scripthut.store.models import EventRow, Usage
from tests.engine.world import World


def lose(world: World, key: str) -> None:
    world.turn()
    world.cluster.runs(key)
    world.turn()
    world.cluster.purges(key)
    world.turn(seconds=60, times=13)
    assert world.states()[key] == "lost"


def vouch(world: World, key: str, completed: bool, note: str = "") -> State:
    with world.database.writing() as session:
        return vouching.vouch(session, session.merge(world.task(key)), completed, note, world.now)


def test_what_waits_for_a_task_that_is_vouched_for_goes_on(world: World) -> None:
    world.run({"a": [], "b": ["a"]})
    lose(world, "a")
    last_seen = world.task("a").missing_since
    assert vouch(world, "a", True, " the files\n are there ") is State.COMPLETED
    a = world.task("a")
    assert a.reason == "A person says that it completed: the files are there"
    assert a.finished_at == last_seen and a.exit_code is None
    world.turn()
    assert world.states() == {"a": "completed", "b": "submitted"}
    with world.database.reading() as session:
        what = session.scalars(select(EventRow.what).where(EventRow.task_id == a.id)).all()
        assert what[-1] == "vouched"
        hours = sum(session.scalars(select(Usage.cpu_seconds))) / 3600
    assert hours < 0.1  # what passed after the last trace is not counted as computed


def test_a_task_that_is_said_to_have_failed_breaks_what_waits_and_can_be_tried_again(
    world: World,
) -> None:
    run_id = world.run({"a": [], "b": ["a"]})
    lose(world, "a")
    assert vouch(world, "a", False) is State.FAILED
    world.turn()
    assert world.states() == {"a": "failed", "b": "dep_failed"}
    assert world.the_run(run_id).ended_at is not None


def test_a_generator_that_is_vouched_for_has_its_document_read(world: World) -> None:
    world.start(
        {
            "tasks": [
                {"id": "make", "command": "x", "working_dir": "d", "generates_source": "m.json"}
            ]
        }
    )
    lose(world, "make")
    world.cluster.documents["/home/ada/d/m.json"] = json.dumps(
        [{"id": "sim", "command": "true"}]
    ).encode()
    assert vouch(world, "make", True) is State.GENERATING
    world.turn()
    assert world.states() == {"make": "completed", "sim": "submitted"}


@pytest.mark.parametrize("completed", [True, False])
def test_only_what_is_lost_is_vouched_for(world: World, completed: bool) -> None:
    world.run({"a": []})
    world.turn()
    with pytest.raises(Conflict, match="only one that is lost"):
        vouch(world, "a", completed)
