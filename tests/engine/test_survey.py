"""What a cycle brings besides our tasks."""

from scripthut.core.jobs import Phase
from scripthut.core.queue import Listed, Queue
from scripthut.core.survey import Facts, Wish
from scripthut.store.machines import surveys
from tests.engine.world import World


def other(job_id: str) -> Listed:
    return Listed(job_id, "x", "ada", Phase.RUNNING, "RUNNING", None, "normal", 1)


def known(world: World) -> surveys.Known:
    with world.database.reading() as session:
        return surveys.known(session, "hpc")


def order(world: World, *ids: str) -> None:
    with world.database.writing() as session:
        for job_id in ids:
            surveys.ask_cancel(session, "hpc", job_id, world.now)


def orders(world: World) -> set[str]:
    with world.database.reading() as session:
        return surveys.ordered(session, "hpc")


def test_facts_ride_along_with_the_first_look(world: World) -> None:
    world.cluster.facts, world.cluster.queue = Facts(cpus=64), Queue(running=7)
    world.turn()
    assert known(world).facts_at is None  # nothing to ask about, and nobody looks
    assert world.cluster.commands == 0
    world.run({"a": []})
    world.turn(times=2)
    assert (known(world).facts.cpus, known(world).queue.running) == (64, 7)
    first = known(world).facts_at
    world.turn(times=20)
    assert known(world).facts_at == first
    world.turn(601)
    assert known(world).facts_at == world.now


def test_somebody_who_looks_is_answered_without_any_task(world: World) -> None:
    world.cluster.facts = Facts(cpus=64)
    surveys.look(world.database, "hpc", Wish(facts=True), world.now)
    world.turn()
    assert known(world).facts.cpus == 64
    assert known(world).queue_at is None


def test_only_jobs_that_the_queue_shows_are_cancelled(world: World) -> None:
    world.cluster.queue = Queue((other("12"), other("13"), other("3_[4-9%2]")))
    order(world, "12", "3_[]", "99")
    world.turn()
    assert sorted(world.cluster.cancelled) == ["12", "3_[4-9%2]"]
    assert orders(world) == {"12", "3_[]"}
    world.cluster.queue = Queue((other("13"), other("3_[5-9%2]")))
    world.turn(20)
    assert world.cluster.cancelled[2:] == ["3_[5-9%2]"]
    world.cluster.queue = Queue((other("13"),))
    world.turn()
    assert orders(world) == set()


def test_an_order_for_a_job_that_was_not_told_is_kept(world: World) -> None:
    world.cluster.queue = Queue((other("12"),), running=600, more=599)
    order(world, "500")
    world.turn()
    assert orders(world) == {"500"}
    assert world.cluster.cancelled == []
