"""Who looks at a cluster decides what is asked of it, and how often."""

from datetime import timedelta

from scripthut.core.queue import Queue
from scripthut.core.sights import Crowd, Ended
from scripthut.core.survey import Facts, Surveyed, Wish
from scripthut.store.db import Database
from scripthut.store.machines import surveys
from tests.store.conftest import NOW

BOTH = Wish(queue=True, facts=True)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def wanted(database: Database, rides: bool, after: timedelta = timedelta(0)) -> Wish:
    with database.reading() as session:
        return surveys.wanted(session, "hpc", rides, NOW + after)


def due(database: Database, after: timedelta = timedelta(0)) -> set[str]:
    with database.reading() as session:
        return surveys.due(session, NOW + after)


def record(database: Database, surveyed: Surveyed, after: timedelta = timedelta(0)) -> None:
    with database.writing() as session:
        surveys.record(session, "hpc", surveyed, NOW + after)


def test_while_nobody_looks_only_what_costs_no_command_is_asked(database: Database) -> None:
    assert not wanted(database, rides=False)
    assert wanted(database, rides=True) == BOTH
    record(database, Surveyed(Queue(), Facts()))
    assert not wanted(database, rides=True)
    assert wanted(database, True, 2 * MINUTE) == Wish(queue=True)
    assert wanted(database, True, 10 * MINUTE) == BOTH
    assert not wanted(database, False, 60 * MINUTE)
    assert due(database, 60 * MINUTE) == set()


def test_what_somebody_looks_at_is_kept_fresh_while_he_does(database: Database) -> None:
    surveys.look(database, "hpc", Wish(facts=True), NOW)
    assert due(database) == {"hpc"}
    assert wanted(database, rides=False) == Wish(facts=True)
    record(database, Surveyed(facts=Facts(cpus=8)))
    assert due(database, 20 * SECOND) == set()
    surveys.look(database, "hpc", Wish(facts=True), NOW + 59 * SECOND)
    assert due(database, 60 * SECOND) == {"hpc"}
    assert due(database, 120 * SECOND) == set()  # he has gone


def test_looks_at_the_queue_and_at_the_facts_are_two_things(database: Database) -> None:
    surveys.look(database, "hpc", Wish(facts=True), NOW)
    record(database, Surveyed(facts=Facts()))
    surveys.look(database, "hpc", Wish(queue=True), NOW)
    assert wanted(database, rides=False) == Wish(queue=True)
    record(database, Surveyed(queue=Queue(running=3)))
    with database.reading() as session:
        known = surveys.known(session, "hpc")
    assert (known.queue.running, known.facts_at, known.queue_at) == (3, NOW, NOW)


def test_everybody_s_jobs_and_ended_ones_are_asked_for_only_while_somebody_looks(
    database: Database,
) -> None:
    both = Wish(crowd=True, ended=True)
    assert wanted(database, rides=True) == BOTH  # a look that is taken anyway brings neither
    surveys.look(database, "hpc", Wish(crowd=True), NOW)
    assert due(database) == {"hpc"}
    assert wanted(database, rides=False) == Wish(crowd=True)
    surveys.look(database, "hpc", Wish(ended=True), NOW)
    assert wanted(database, rides=False) == both
    record(database, Surveyed(crowd=Crowd("ada", users=3), ended=Ended(note="x")))
    assert due(database, 20 * SECOND) == set()
    surveys.look(database, "hpc", both, NOW + 25 * SECOND)
    assert wanted(database, False, 30 * SECOND) == Wish(crowd=True)
    assert wanted(database, False, 61 * SECOND) == Wish()  # he has gone


def test_what_is_long_is_read_by_those_alone_who_ask(database: Database) -> None:
    record(database, Surveyed(crowd=Crowd("ada", users=3), ended=Ended(note="x")))
    with database.reading() as session:
        plain = surveys.known(session, "hpc")
        assert (plain.crowd, plain.ended, plain.crowd_at) == (Crowd(), Ended(), NOW)
        both = surveys.every(session, ["hpc"], Wish(crowd=True, ended=True))["hpc"]
    assert (both.crowd, both.ended) == (Crowd("ada", users=3), Ended(note="x"))


def test_an_order_is_sent_again_until_its_job_has_left_the_queue(database: Database) -> None:
    with database.writing() as session:
        surveys.ask_cancel(session, "hpc", "12", NOW)
    with database.writing() as session:
        surveys.ask_cancel(session, "hpc", "12", NOW)
        surveys.ask_cancel(session, "other", "12", NOW)
    record(database, Surveyed(Queue(), Facts()))
    assert wanted(database, rides=False) == Wish(queue=True)
    with database.writing() as session:
        assert surveys.with_orders(session, NOW) == {"hpc", "other"}
        assert surveys.to_send(session, "hpc", NOW) == {"12"}
        surveys.mark_sent(session, "hpc", ["12"], NOW)
        assert surveys.to_send(session, "hpc", NOW + SECOND) == set()
        assert surveys.to_send(session, "hpc", NOW + MINUTE) == {"12"}
        surveys.forget_orders(session, "hpc", ["12"], NOW + MINUTE)
        assert surveys.ordered(session, "hpc") == set()
        assert surveys.ordered(session, "other") == {"12"}
        surveys.forget_orders(session, "other", [], NOW + 11 * MINUTE)  # it came to nothing
        assert surveys.ordered(session, "other") == set()


def test_a_backend_that_nobody_asked_is_not_known(database: Database) -> None:
    with database.reading() as session:
        assert surveys.known(session, "hpc") == surveys.Known()
