"""Generators: their documents join the run once and whole, or they fail with the reason."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from scripthut.config.backends import Local
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Unreadable
from scripthut.engine import generate
from scripthut.engine.cycle import Cycle
from scripthut.engine.lead import Lead
from scripthut.store import lease, orders, runs
from scripthut.store.making import env, retries
from scripthut.store.models import EventRow, Lease
from scripthut.store.tasks import nodes
from tests.engine.world import World

PATH = "/home/ada/sims/more.json"


def task(key: str, **words: object) -> dict[str, object]:
    return {"id": key, "command": "true", **words}


def maker(key: str = "make", **words: object) -> dict[str, object]:
    return task(key, working_dir="sims", generates_source="more.json", **words)


def write(world: World, *tasks: dict[str, object], path: str = PATH, **top: object) -> None:
    world.cluster.documents[path] = json.dumps({"tasks": tasks, **top}).encode()


def made(world: World, *others: dict[str, object], **top: object) -> str:
    """A run whose generator has completed."""
    run_id = world.start({"tasks": [maker(), *others], **top})
    world.turn()
    world.cluster.ends("make")
    world.turn()
    return run_id


def history(world: World, key: str) -> list[str]:
    with world.database.reading() as session:
        rows = session.scalars(select(EventRow).where(EventRow.task_id == world.task(key).id))
        return [row.what for row in rows.all()]


def deps(world: World, run_id: str) -> dict[str, tuple[str, ...]]:
    with world.database.reading() as session:
        return {node.key: tuple(node.deps) for node in nodes(session, run_id)}


def test_a_document_joins_its_run_when_the_generator_completes(world: World) -> None:
    write(world, task("sim.1"), task("sim.2"), task("join", deps=["sim.*", "before"]))
    run_id = made(world, task("before"))
    assert world.cluster.asked_for == [PATH]
    assert world.states() == {
        "make": "completed",
        "before": "queued",
        "sim.1": "submitted",
        "sim.2": "submitted",
        "join": "pending",
    }
    assert deps(world, run_id)["join"] == ("sim.1", "sim.2", "before")
    assert history(world, "make")[-3:] == ["produced", "joined", "exited_ok"]
    added = world.task("sim.1")
    assert (added.maker, added.depth, added.base) == (world.task("make").id, 1, "sims")


def test_of_what_joins_it_is_said_what_the_machine_does_not_have(world: World) -> None:
    here = Local(type="local", name="hpc", cpus=2)
    world.cycle.hands = replace(world.cycle.hands, beyond=here.beyond)
    write(world, task("a", cpus=3))
    run_id = made(world)
    with world.database.reading() as session:
        notices = runs.find_run(session, run_id).notices
    assert notices == ["a asks for more processors than this machine has (2), and gets that."]


def test_a_generator_has_ended_when_its_job_did(world: World) -> None:
    made(world)
    ended = world.task("make").finished_at
    write(world, task("a"))
    world.turn(seconds=40)
    assert world.states() == {"make": "completed", "a": "submitted"}
    assert world.task("make").finished_at == ended


def test_a_document_is_waited_for_however_wrong_the_nodes_clock_is(world: World) -> None:
    world.cluster.is_ahead = -timedelta(hours=1)
    made(world)
    assert world.states() == {"make": "generating"}
    write(world, task("a"))
    world.turn()
    assert world.states() == {"make": "completed", "a": "submitted"}


def test_what_joins_works_where_its_generator_does(world: World) -> None:
    write(world, task("a"), task("b", working_dir="deep"), task("c", working_dir="~/else"))
    made(world)
    found = {job.key: job.working_dir for job in world.cluster.jobs.values()}
    assert (found["a"], found["b"], found["c"]) == ("sims", "sims/deep", "~/else")


def test_a_runs_folder_is_where_relative_paths_are(world: World) -> None:
    world.cluster.documents["/proj/sims/more.json"] = json.dumps([task("a")]).encode()
    world.start({"tasks": [maker(), task("home")]}, folder="/proj")
    world.turn()
    world.cluster.ends("make")
    world.turn()
    found = {job.key: job.working_dir for job in world.cluster.jobs.values()}
    assert found == {"make": "/proj/sims", "home": "/proj", "a": "/proj/sims"}


def test_a_dependent_waits_until_the_document_has_joined(world: World) -> None:
    made(world, task("next", deps=["make"]))
    assert world.states() == {"make": "generating", "next": "pending"}
    assert "cannot be read yet: No such file" in (world.task("make").reason or "")
    write(world, task("sim"))
    world.turn()
    assert world.states() == {"make": "completed", "next": "submitted", "sim": "submitted"}
    assert world.task("make").reason is None


@pytest.mark.parametrize(
    ("holds", "said"),
    [
        (b"{", "line 1, column 2: is not JSON: expecting property name"),
        (b"[{\xff}]", "byte 2: is not UTF-8 text"),
        (b'[{"id": "x", "command": "y", "cpus": 0}]', "tasks[0].cpus: "),
        (b'[{"id": "make", "command": "y"}]', 'tasks[0].id: the run has a task "make" already'),
        (b'[{"id": "x", "command": "y", "deps": ["no"]}]', 'there is no task "no"'),
        (b'[{"id": "x", "command": "y", "deps": ["no*"]}]', 'no task\'s id matches "no*"'),
        (
            b'[{"id": "x", "command": "y", "deps": ["z"]},'
            b' {"id": "z", "command": "y", "deps": ["x"]}]',
            "the dependencies go in a circle: x -> z -> x",
        ),
        (b'{"tasks": [{"id": "x", "command": "y"}], "env": [{"sett": {}}]}', "env[0].sett: "),
        (b'{"tasks": []}', "tasks: is empty"),
        (b'[{"id": "x", "command": "y", "cpus": ' + b"9" * 5000 + b"}]", "thousands of digits"),
        (b'[{"id": "x", "command": "y", "name": "\\ud800"}]', "[0].name: holds \\ud800, which is"),
        (Unreadable("it is larger than 32 MiB"), "cannot be read: it is larger than 32 MiB"),
        (Unreadable("No such file or directory", is_missing=True), "without having written its"),
    ],
)
def test_a_generator_fails_with_what_is_wrong_and_nothing_is_added(
    world: World, holds: bytes | Unreadable, said: str
) -> None:
    world.cluster.documents[PATH] = holds
    made(world, task("next", deps=["make"]))
    world.turn(seconds=70)
    assert world.states() == {"make": "failed", "next": "dep_failed"}
    assert said in (world.task("make").reason or "")
    assert PATH in (world.task("make").reason or "")


def test_a_document_that_breaks_its_reader_fails_its_generator_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise OverflowError("what nobody foresaw")

    monkeypatch.setattr(generate, "parse_text", breaks)
    write(world, task("x"))
    world.run({"innocent": []})
    made(world)
    world.turn()
    assert world.states() == {"innocent": "queued", "make": "failed"}
    assert "cannot be used: what nobody foresaw" in (world.task("make").reason or "")


def test_an_outage_decides_nothing(world: World) -> None:
    world.start({"tasks": [maker()]})
    world.turn()
    world.cluster.ends("make")
    real, world.cluster.read = world.cluster.read, broken  # type: ignore[method-assign]
    assert not world.turn(seconds=300, times=3).answered
    assert world.states() == {"make": "generating"}
    world.cluster.read = real  # type: ignore[method-assign]
    write(world, task("sim"))
    world.turn()
    assert world.states() == {"make": "completed", "sim": "submitted"}


def broken(*_: object) -> dict[str, bytes | Unreadable]:
    raise Unreachable("the connection was cut")


def test_a_generator_that_is_tried_again_adds_its_tasks_once(world: World) -> None:
    world.cluster.documents[PATH] = b"{"
    made(world)
    write(world, task("sim.1"), task("sim.2"))
    with world.database.writing() as session:
        failed = runs.find_task(session, "run00001", "make")
        assert retries.retry_task(session, failed, world.now) == 1
    world.turn()
    world.cluster.ends_newest("make")
    world.turn()
    assert world.states() == {"make": "completed", "sim.1": "submitted", "sim.2": "submitted"}
    world.turn(times=3)
    assert list(world.states()) == ["make", "sim.1", "sim.2"]


def test_a_cancelled_generator_adds_nothing(world: World) -> None:
    made(world)
    write(world, task("sim"))
    with world.database.writing() as session:
        orders.ask_cancel_run(session, runs.find_run(session, "run00001"), world.now)
    world.turn()
    assert world.states() == {"make": "cancelled"}


def test_a_wildcard_waits_for_what_a_generator_will_add(world: World) -> None:
    run_id = world.start({"tasks": [maker(), task("join", deps=["sim.*"])]})
    assert deps(world, run_id)["join"] == ("make",)
    write(world, task("sim.1"), task("sim.2"), task("other"))
    world.turn()
    world.cluster.ends("make")
    world.turn()
    assert deps(world, run_id)["join"] == ("make", "sim.1", "sim.2")
    world.cluster.ends("sim.1")
    world.turn()
    assert world.states()["join"] == "pending"
    world.cluster.ends("sim.2")
    world.turn()
    assert world.states()["join"] == "submitted"


def test_a_wildcard_that_matched_meets_what_joins_while_it_waits(world: World) -> None:
    run_id = world.start({"tasks": [maker(), task("sim.0"), task("join", deps=["make", "sim.*"])]})
    write(world, task("sim.1"), task("sim.report", deps=["join"]))
    world.turn()
    world.cluster.ends("make", "sim.0")
    world.turn()
    # One that waits for `join` itself cannot be meant.
    assert deps(world, run_id)["join"] == ("make", "sim.0", "sim.1")


def test_a_wildcard_that_nothing_will_ever_match_says_so(world: World) -> None:
    world.start({"tasks": [maker(), task("join", deps=["sim.*"]), task("end", deps=["join"])]})
    write(world, task("other"))
    world.turn()
    world.cluster.ends("make")
    world.turn(times=2)
    assert world.states() == {
        "make": "completed",
        "join": "dep_failed",
        "end": "dep_failed",
        "other": "queued",
    }
    assert 'No task\'s id matches its dependency "sim.*"' in (world.task("join").reason or "")


def test_a_generator_of_generators_holds_an_open_wildcard(world: World) -> None:
    run_id = world.start({"tasks": [maker(), task("join", deps=["sim.*"])]})
    write(world, task("inner", generates_source="inner.json"), task("sim.1"))
    write(world, task("sim.2"), path="/home/ada/sims/inner.json")
    world.turn()
    world.cluster.ends("make")
    world.turn()
    assert deps(world, run_id)["join"] == ("make", "sim.1", "inner")
    world.cluster.ends("sim.1", "inner")
    world.turn()
    assert world.states()["join"] == "pending"
    assert deps(world, run_id)["join"] == ("make", "sim.1", "inner", "sim.2")
    assert world.task("sim.2").depth == 2


def test_generators_of_generators_end_somewhere(world: World) -> None:
    world.start({"tasks": [maker("g0")]})
    world.turn()
    for n in range(11):
        write(world, task(f"g{n + 1}", generates_source="more.json"))
        world.cluster.ends(f"g{n}")
        world.turn()
    assert world.states()["g9"] == "completed"
    assert world.states()["g10"] == "failed"
    assert "generators of generators end after 10" in (world.task("g10").reason or "")


def test_a_run_does_not_grow_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripthut.store.making.generators.MOST", 3)
    write(world, task("a"), task("b"), task("c"))
    made(world)
    assert "more than 3 tasks" in (world.task("make").reason or "")
    assert world.states() == {"make": "failed"}


def test_environment_rules_of_a_document_hold_for_what_starts_later(world: World) -> None:
    write(
        world,
        task("sim", env=[{"include": "gpu"}]),
        env=[{"set": {"FROM": "generated ${params.seed}"}}],
        env_groups={"gpu": [{"set": {"GPU": "yes"}}]},
    )
    made(world, task("late", deps=["make"]), params={"seed": 7}, env=[{"set": {"FROM": "first"}}])
    with world.database.reading() as session:
        found = {k: env.given(runs.find_task(session, "run00001", k)) for k in world.states()}
    assert found["make"].values["FROM"] == "first"
    assert found["sim"].values["FROM"] == "generated 7"
    assert found["sim"].values["GPU"] == "yes"
    assert found["late"].variables["FROM"].ops[-1].source == "workflow-doc of make"


def test_ten_thousand_tasks_join_in_seconds(world: World) -> None:
    write(world, *[task(f"sim.{n}") for n in range(10_000)], task("join", deps=["sim.*"]))
    made(world, task("all", deps=["sim.*"]))
    assert len(world.states()) == 10_003
    assert len(world.task("join").deps) == 10_000
    assert len(world.task("all").deps) == 10_001


def test_a_run_is_not_over_before_what_joined_is(world: World) -> None:
    write(world, task("sim"))
    run_id = made(world)
    assert world.the_run(run_id).ended_at is None
    world.cluster.ends("sim")
    world.turn()
    assert world.the_run(run_id).ended_at is not None


def test_a_generator_that_is_lost_and_found_generates(world: World) -> None:
    world.start({"tasks": [maker()]})
    world.turn()
    world.cluster.runs("make")
    world.turn()
    world.cluster.purges("make")
    world.turn(seconds=400, times=4)
    assert world.states() == {"make": "lost"}
    write(world, task("sim"))
    world.cluster.ends_newest("make")
    world.turn()
    assert world.states() == {"make": "completed", "sim": "submitted"}


def test_an_engine_that_lost_its_lease_while_it_read_adds_nothing(world: World) -> None:
    write(world, task("sim"))
    world.start({"tasks": [maker()]})
    world.turn()
    world.cluster.ends("make")
    real = world.cluster.read

    def slowly(paths: Mapping[str, str], most: int) -> Mapping[str, bytes | Unreadable]:
        with world.database.writing() as session:
            session.execute(update(Lease).values(until=lease.database_time() - 1))
        assert lease.acquire(world.database, "another")
        return real(paths, most)

    world.cluster.read = slowly  # type: ignore[method-assign]
    assert not world.cycle.run(world.now).answered
    assert world.states() == {"make": "generating"}
    other = Lead(world.database, "another")
    assert other.renew()
    hands = replace(world.cycle.hands, writing=other.writing)
    world.cluster.read = real  # type: ignore[method-assign]
    assert Cycle(hands, "slurm", 100, clock=lambda: 0.0).run(world.now).answered
    assert world.states() == {"make": "completed", "sim": "submitted"}
