"""Retry policies: what failed for a named reason is tried again, later, and with more."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from scripthut.core.causes import Cause
from scripthut.core.jobs import ExitNote, Phase, Sighting
from scripthut.core.judge import RETURNS, WORD
from scripthut.core.retrying import again
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store import orders, runs
from scripthut.store.making import retries
from scripthut.store.models import EventRow
from tests.engine.world import World

GIB = 1024**3
SAID = {
    "OUT_OF_MEMORY": "Ran out of memory: ask for more with `memory`",
    "NODE_FAIL": "Its node failed",
    "TIMEOUT": "Reached its time limit of 1:00:00",
    "FAILED": "Exited with code 1",
}


def start(world: World, **policy: object) -> None:
    world.start(
        [
            {"id": "fit", "command": "true", "memory": "4G", "retry": policy},
            {"id": "next", "command": "true", "deps": ["fit"]},
        ]
    )
    world.turn()


def fails(world: World, word: str) -> None:
    """The newest attempt of `fit` ends badly; the collector has what it wrote."""
    job = [job for job in world.cluster.jobs.values() if job.key == "fit"][-1]
    world.cluster.rows[job.job_id or ""] = Sighting(
        job.job_id or "", Phase.FAILED, word, SAID[word], started_at=world.now, ended_at=world.now
    )
    world.cluster.claimed[job.token] = job.job_id or ""
    if word == "FAILED" and not world.cluster.claims:  # else it was killed outright
        began = world.now - timedelta(seconds=5)
        note = ExitNote(job.token, job.job_id or "", 1, began, world.now, "n1")
        world.cluster.notes[job.token] = note
    world.turn()
    if word in RETURNS:  # it might have been requeued
        world.turn(seconds=WORD.total_seconds())


def history(world: World) -> list[str]:
    with world.database.reading() as session:
        rows = session.scalars(select(EventRow).where(EventRow.task_id == world.task("fit").id))
        return [row.what for row in rows.all()]


def waits(world: World) -> None:
    """Until what the former attempt wrote is kept, or was waited for."""
    world.turn(seconds=130, times=2)


def test_out_of_memory_is_tried_again_with_more_memory(world: World) -> None:
    start(world, count=2, on="out_of_memory", wait="1m", max_memory="12G")
    fails(world, "OUT_OF_MEMORY")
    assert world.states() == {"fit": "retrying", "next": "pending"}
    task = world.task("fit")
    assert task.reason == (
        "Ran out of memory: ask for more with `memory`; tried again after 0:01:00 as attempt 2, "
        "with 8.0 GiB of memory"
    )
    assert world.the_run("run00001").ended_at is None
    waits(world)
    jobs = [job for job in world.cluster.jobs.values() if job.key == "fit"]
    assert [(job.attempt, job.resources.memory) for job in jobs] == [(1, 4 * GIB), (2, 8 * GIB)]
    assert world.task("fit").attempt == 2
    assert jobs[1].env["SCRIPTHUT_ATTEMPT"] == "2"
    fails(world, "OUT_OF_MEMORY")
    waits(world)
    jobs = [job for job in world.cluster.jobs.values() if job.key == "fit"]
    assert jobs[-1].resources.memory == 12 * GIB
    fails(world, "OUT_OF_MEMORY")
    assert world.states() == {"fit": "failed", "next": "dep_failed"}
    assert history(world).count("will_retry") == history(world).count("due") == 2


def test_what_completes_in_a_later_attempt_lets_the_others_follow(world: World) -> None:
    start(world, on="node_failure", wait="0s")
    fails(world, "NODE_FAIL")
    waits(world)
    world.cluster.ends_newest("fit")
    world.turn()
    assert world.states() == {"fit": "completed", "next": "submitted"}


def test_another_reason_than_those_named_is_no_reason(world: World) -> None:
    start(world, on=["node_failure", "preempted"])
    fails(world, "FAILED")
    assert world.states() == {"fit": "failed", "next": "dep_failed"}
    assert world.task("fit").cause == "any"


def test_a_retry_waits_for_its_time(world: World) -> None:
    start(world, on="any", wait="1h", backoff=3)
    fails(world, "FAILED")
    world.turn(seconds=1700, times=2)
    assert world.states()["fit"] == "retrying"
    world.turn(seconds=300)
    assert world.task("fit").attempt == 2
    fails(world, "FAILED")
    began = world.now
    assert ((world.task("fit").retry_at or began) - began).total_seconds() == 3 * 3600


def test_what_the_former_attempt_wrote_is_waited_for(world: World) -> None:
    start(world, on="any", wait="0s")
    fails(world, "FAILED")
    world.turn(times=3)
    assert world.states()["fit"] == "retrying"
    world.change("fit", collected_at=world.now)
    world.turn()
    assert world.task("fit").attempt == 2


def test_a_node_whose_clock_is_ahead_delays_no_retry(world: World) -> None:
    start(world, on="any", wait="0s")
    world.cluster.is_ahead = timedelta(hours=3)
    world.cluster.ends("fit", code=1)
    world.turn(seconds=20, times=8)
    assert world.task("fit").attempt == 2


def test_the_intent_survives_another_engine(world: World) -> None:
    start(world, on="any", wait="1m")
    fails(world, "FAILED")
    fresh = replace(world, cycle=type(world.cycle)(world.cycle.hands, "slurm", 100))
    fresh.turn(seconds=130, times=2)
    assert fresh.task("fit").attempt == 2


def test_a_person_need_not_wait_and_may_cancel(world: World) -> None:
    start(world, on="any", wait="1h")
    fails(world, "FAILED")
    with world.database.writing() as session:
        retries.retry_task(session, runs.find_task(session, "run00001", "fit"), world.now)
    assert (world.states()["fit"], world.task("fit").attempt) == ("pending", 2)
    world.turn()
    fails(world, "FAILED")
    assert world.states()["fit"] == "retrying"
    with world.database.writing() as session:
        orders.ask_cancel_task(session, runs.find_task(session, "run00001", "fit"), world.now)
    world.turn()
    assert world.states() == {"fit": "cancelled", "next": "dep_failed"}


def test_a_task_that_was_told_to_end_is_not_tried_again(world: World) -> None:
    start(world, on="any", wait="0s")
    world.change("fit", cancel_asked_at=world.now, cancel_sent_at=world.now)
    fails(world, "FAILED")
    assert world.states()["fit"] == "failed"


def spec(**words: object) -> TaskSpec:
    return TaskSpec.model_validate({"id": "a", "command": "true", **words})


@pytest.mark.parametrize(
    ("policy", "cause", "asked"),
    [
        ({"on": "timeout", "time": 1.5}, Cause.TIMEOUT, {"time_limit": 5400, "timeout": 450}),
        ({"on": "timeout", "max_time": "70m"}, Cause.TIMEOUT, {"time_limit": 4200, "timeout": 600}),
        ({"on": "any"}, Cause.OUT_OF_MEMORY, {"memory": 8 * GIB}),
        ({"on": "any", "memory": 1}, Cause.OUT_OF_MEMORY, {}),
        ({"on": "any"}, Cause.NODE_FAILURE, {}),
    ],
)
def test_the_next_attempt_asks_for_more_of_what_was_missing(
    policy: dict[str, object], cause: Cause, asked: dict[str, int]
) -> None:
    found = again(spec(retry=policy, timeout="5m"), 1, cause, None)
    assert found is not None
    assert found.asked == asked


def test_more_than_its_most_is_never_asked_for() -> None:
    policy = {"on": "out_of_memory", "max_memory": "8G"}
    assert again(spec(retry=policy), 2, Cause.OUT_OF_MEMORY, {"memory": 8 * GIB}) is None


def test_a_number_alone_means_so_many_more_attempts_for_any_reason() -> None:
    found = [again(spec(retry=2), n, Cause.ANY, None) for n in (1, 2, 3)]
    assert [one and one.wait for one in found] == [60, 120, None]


def test_a_job_that_was_killed_outright_counts_as_out_of_memory(world: World) -> None:
    start(world, on="out_of_memory", wait="0s")
    world.cluster.claims = True
    fails(world, "FAILED")
    assert world.states()["fit"] == "retrying"
    assert world.task("fit").asked == {"memory": 8 * GIB}
