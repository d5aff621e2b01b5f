"""Running again: a new run that names its origin, and takes over what completed."""

import json

import pytest
from sqlalchemy import select

from scripthut.core.errors import Conflict
from scripthut.core.jobs import Area
from scripthut.store import runs
from scripthut.store.making import about, env, reruns
from scripthut.store.making.reruns import Mode
from scripthut.store.models import Log, Output, Task
from tests.engine.world import World

DOCUMENT = {
    "title": "A study",
    "params": {"seed": 7},
    "env": [{"set": {"SEED": "${params.seed}"}}],
    "tasks": [
        {"id": "make", "command": "true", "generates_source": "/w/more.json"},
        {"id": "join", "command": "true", "deps": ["sim.*"]},
    ],
}
MORE = {
    "tasks": [
        {"id": "sim.1", "command": "true"},
        {"id": "sim.2", "command": "true"},
        {"id": "inner", "command": "true", "generates_source": "/w/inner.json"},
    ],
    "env": [{"set": {"FROM": "more"}}],
}


def again(world: World, run_id: str, mode: Mode, new_id: str = "againrun", **words: str) -> str:
    with world.database.writing() as session:
        origin = runs.find_run(session, run_id)
        return reruns.rerun(session, origin, new_id, mode, world.now, **words).id


def half_done(world: World) -> str:
    """A run whose generator completed, and of whose generated tasks one failed."""
    world.cluster.documents["/w/more.json"] = json.dumps(MORE).encode()
    world.cluster.documents["/w/inner.json"] = b"{"
    run_id = world.start(DOCUMENT, folder="/w")
    world.turn()
    world.cluster.ends("make")
    world.turn()
    world.cluster.ends("sim.1", "inner")
    world.cluster.ends("sim.2", code=1)
    world.turn(times=2)
    assert world.states() == {
        "make": "completed",
        "join": "dep_failed",
        "sim.1": "completed",
        "sim.2": "failed",
        "inner": "failed",
    }
    return run_id


def test_all_of_it_begins_with_the_first_document(world: World) -> None:
    origin = half_done(world)
    new_id = again(world, origin, Mode.ALL)
    assert world.states(new_id) == {"make": "pending", "join": "pending"}
    with world.database.reading() as session:
        run, first = runs.find_run(session, new_id), runs.find_run(session, origin)
        found = about.about(session, new_id)
        assert about.about(session, origin).reruns == (new_id,)
        task = runs.find_task(session, new_id, "make")
    assert (run.origin, run.name, run.folder, run.params) == (origin, "study", "/w", {"seed": 7})
    assert (found.title, found.params) == ("A study", {"seed": "7"})
    assert len(first.env or []) == 2
    assert [layer["source"] for layer in run.env or []] == ["workflow-doc"]
    assert env.given(task).values["SEED"] == "7"
    world.turn()
    world.cluster.ends_newest("make")
    world.turn()
    assert set(world.states(new_id)) == {"make", "join", "sim.1", "sim.2", "inner"}
    assert world.states(new_id)["join"] == "pending"


def test_what_completed_is_taken_over_and_the_rest_is_done_again(world: World) -> None:
    origin = half_done(world)
    before = len(world.cluster.submitted)
    new_id = again(world, origin, Mode.FAILED)
    assert world.states(new_id) == {
        "make": "completed",
        "join": "pending",
        "sim.1": "completed",
        "sim.2": "pending",
        "inner": "pending",
    }
    world.cluster.documents["/w/inner.json"] = b'[{"id": "sim.3", "command": "true"}]'
    world.turn()
    assert world.cluster.submitted[before:] == ["sim.2", "inner"]
    world.cluster.ends_newest("sim.2")
    world.cluster.ends_newest("inner")
    world.turn()
    world.cluster.ends_newest("sim.3")
    world.turn()
    world.cluster.ends_newest("join")
    world.turn()
    assert set(world.states(new_id).values()) == {"completed"}
    assert len(world.states(new_id)) == 6
    with world.database.reading() as session:
        assert [layer["source"] for layer in runs.find_run(session, new_id).env or []] == [
            "workflow-doc",
            "workflow-doc of make",
        ]
        restored = runs.find_task(session, new_id, "sim.1")
        maker = runs.find_task(session, new_id, "make")
    assert restored.reason == f"Taken over from the run {origin}"
    assert restored.maker == maker.id


def test_what_was_taken_over_shows_what_it_wrote(world: World) -> None:
    origin = half_done(world)
    with world.database.writing() as session:
        old = runs.find_task(session, origin, "sim.1")
        old.has_outputs = True
        known = {"task_id": old.id, "area": Area.OUTPUT, "mtime_ns": 1, "kind": "other"}
        session.add(Output(raw=b"a", path="a", size=1, sha256="a" * 64, **known))
        session.add(Output(raw=b"b", path="b", size=9, **known))
        session.add(Log(task_id=old.id, stream="output", start=0, end=3, size=3, at=world.now))
        token = old.token
    new_id = again(world, origin, Mode.FAILED)
    with world.database.reading() as session:
        new = runs.find_task(session, new_id, "sim.1")
        files = session.scalars(select(Output).where(Output.task_id == new.id)).all()
        logs = session.scalars(select(Log).where(Log.task_id == new.id)).all()
    assert (new.has_outputs, new.token, new.job_id) == (True, token, None)
    assert [(f.path, f.sha256, f.note) for f in files] == [
        ("a", "a" * 64, None),
        ("b", None, None),
    ]
    assert [log.end for log in logs] == [3]


def test_a_run_that_goes_on_is_not_run_again(world: World) -> None:
    run_id = world.run({"a": []})
    with pytest.raises(Conflict, match="is not over"):
        again(world, run_id, Mode.ALL)


def test_where_all_completed_there_is_nothing_to_repeat(world: World) -> None:
    run_id = world.run({"a": []})
    world.turn()
    world.cluster.ends("a")
    world.turn()
    with pytest.raises(Conflict, match="All tasks of the run run00001 completed"):
        again(world, run_id, Mode.FAILED)
    assert world.states(again(world, run_id, Mode.ALL)) == {"a": "pending"}


def test_one_request_makes_one_rerun(world: World) -> None:
    origin = half_done(world)
    assert again(world, origin, Mode.ALL, "firstrun", request_key="k") == "firstrun"
    assert again(world, origin, Mode.ALL, "secondru", request_key="k") == "firstrun"
    with world.database.reading() as session:
        assert len(session.scalars(select(Task).where(Task.run_id == "firstrun")).all()) == 2


def test_ten_thousand_tasks_are_taken_over_in_seconds(world: World) -> None:
    run_id = world.run({**{f"a.{n}": [] for n in range(10_000)}, "z": []})
    with world.database.writing() as session:
        for task in session.scalars(select(Task).where(Task.run_id == run_id)):
            task.state = "failed" if task.key == "z" else "completed"  # type: ignore[assignment]
        runs.find_run(session, run_id).ended_at = world.now
    states = world.states(again(world, run_id, Mode.FAILED))
    assert list(states.values()).count("completed") == 10_000
    assert states["z"] == "pending"
