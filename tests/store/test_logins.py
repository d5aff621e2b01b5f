"""Logins that need a person: who is asked, and an answer that only the one who asks can read."""

import json

import pytest
from sqlalchemy import update

from scripthut.core.errors import Conflict, NotFound, Refused
from scripthut.core.jobs import Question
from scripthut.store.db import Database
from scripthut.store.machines import logins
from scripthut.store.machines.sealing import Box, seal
from scripthut.store.models import LoginRow

ASKED = Question("Duo", "Enter a passcode", (("Passcode: ", False), ("Name: ", True)))


def test_what_is_sealed_for_a_box_opens_there_alone() -> None:
    box, other = Box(), Box()
    sealed = seal(box.key, b"123456")
    assert b"123456" not in sealed
    assert box.open(sealed) == b"123456"
    assert seal(box.key, b"123456") != sealed
    bad = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for data, which in ((sealed, other), (bad, box), (b"", box), (bytes(32), box)):
        with pytest.raises(Refused, match="not meant for this question"):
            which.open(data)


def test_a_login_is_needed_wanted_asked_and_answered(database: Database) -> None:
    with database.writing() as session, pytest.raises(NotFound, match="has not asked for anybody"):
        logins.want(session, "hpc")
    assert logins.need(database, "hpc") is False
    with database.writing() as session:
        assert logins.every(session) == {"hpc": logins.Login()}
        logins.want(session, "hpc")
    assert logins.need(database, "hpc") is True
    box = Box()
    with database.writing() as session:
        assert logins.wanted(session) == {"hpc"}
        logins.put(session, "hpc", ASKED, box.key, 60)
    with database.writing() as session:
        assert logins.wanted(session) == set(), "what is asked is asked once"
        assert logins.every(session)["hpc"] == logins.Login(True, ASKED, box.key)
        assert logins.find(session, "hpc", box.key) is None
        logins.answer(session, "hpc", box.key, ["123456", "ada"])
    with database.writing() as session:
        assert logins.every(session)["hpc"].is_answered
        sealed = logins.find(session, "hpc", box.key)
        assert sealed is not None
        assert json.loads(box.open(sealed)) == ["123456", "ada"]
        with pytest.raises(Conflict, match="does not ask this any more"):
            logins.answer(session, "hpc", box.key, ["654321", "bob"])
        logins.close(session, "hpc")
    with database.reading() as session:
        assert logins.every(session) == {"hpc": logins.Login(is_wanted=True)}, "the host decides"
        row = session.get(LoginRow, "hpc")
        assert row is not None
        assert (row.question, row.key, row.answer) == (None, None, None)


def test_a_login_that_was_taken_up_is_under_way_until_it_is_over(database: Database) -> None:
    """It may ask nothing at all, and ring a telephone instead."""
    logins.need(database, "hpc")
    with database.writing() as session:
        for is_in in (False, True):
            logins.want(session, "hpc")
            assert logins.take(session, "hpc")
            assert logins.every(session) == {"hpc": logins.Login(is_wanted=True)}
            assert logins.wanted(session) == set(), "one press, one login"
            logins.end(session, "hpc", is_in)
            # What led in goes on to be so until the backend's card says it.
            assert logins.every(session) == {"hpc": logins.Login(is_wanted=is_in)}
        session.execute(update(LoginRow).values(until=1.0))
        assert logins.every(session) == {"hpc": logins.Login()}, "whoever took it up is gone"


def test_a_wish_to_log_in_is_taken_up_once(database: Database) -> None:
    logins.need(database, "hpc")
    with database.writing() as session:
        assert not logins.take(session, "hpc")
        logins.want(session, "hpc")
        assert [logins.take(session, "hpc") for _ in range(2)] == [True, False]
        assert logins.wanted(session) == set()
        logins.want(session, "hpc")
        session.execute(update(LoginRow).values(wanted_until=1.0))
        assert not logins.take(session, "hpc"), "they have left"


@pytest.mark.parametrize("answers", [["1"], ["1", "2", "3"], ["1", "x" * 1025]])
def test_an_answer_that_does_not_fit_is_none(database: Database, answers: list[str]) -> None:
    logins.need(database, "hpc")
    box = Box()
    with database.writing() as session:
        logins.put(session, "hpc", ASKED, box.key, 60)
        with pytest.raises(Conflict):
            logins.answer(session, "hpc", box.key, answers)


def test_a_question_that_is_over_or_another_one_takes_no_answer(database: Database) -> None:
    logins.need(database, "hpc")
    old, new = Box(), Box()
    with database.writing() as session:
        logins.put(session, "hpc", ASKED, old.key, 60)
        logins.put(session, "hpc", ASKED, new.key, 60)
    with database.writing() as session:
        with pytest.raises(Conflict):
            logins.answer(session, "hpc", old.key, ["1", "2"])
        with pytest.raises(Conflict, match="another question"):
            logins.find(session, "hpc", old.key)
        session.execute(update(LoginRow).values(until=1.0))
        assert logins.every(session)["hpc"].question is None
        with pytest.raises(Conflict):
            logins.answer(session, "hpc", new.key, ["1", "2"])
