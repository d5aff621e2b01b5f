"""Logins that need a person: who is asked what, and the sealed answer on its way.

Times are the database's own clock, as in lease.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scripthut.core.errors import Conflict, NotFound
from scripthut.core.jobs import Question
from scripthut.store.db import Database
from scripthut.store.lease import database_time
from scripthut.store.machines import sealing
from scripthut.store.models import LoginRow

WANTED = 60.0  # seconds for which a person who asked to log in is taken to be there
UNDER_WAY = 120.0  # seconds that a login may take beside its questions: sshd's LoginGraceTime
LED_IN = 15.0  # seconds until a login that led in shows on the backend itself
LONGEST = 1024  # characters of one answer


@dataclass(frozen=True)
class Login:
    """What a page must know of a backend whose logins need a person.

    `is_wanted`: somebody pressed Log in, and that login is not over; it may ask nothing and ring a
    telephone instead. `key` names the question that is open; None: none is. `is_answered`: the
    answer is on its way.
    """

    is_wanted: bool = False
    question: Question | None = None
    key: str | None = None
    is_answered: bool = False


def every(session: Session) -> Mapping[str, Login]:
    """By backend; one whose logins need nobody is missing."""
    now = database_time()
    wanted, open_ = LoginRow.wanted_until > now, LoginRow.until > now
    return {
        row.backend: Login(
            bool(is_wanted) or bool(is_open),
            _read(row.question) if is_open and row.question else None,
            row.key if is_open else None,
            bool(is_open) and row.answer is not None,
        )
        for row, is_wanted, is_open in session.execute(select(LoginRow, wanted, open_))
    }


def wanted(session: Session) -> set[str]:
    """The backends that a person wants to log in to now."""
    statement = select(LoginRow.backend).where(LoginRow.wanted_until > database_time())
    return set(session.scalars(statement))


def need(database: Database, backend: str) -> bool:
    """Note that a backend's logins need a person; whether one wants to log in now."""
    with database.reading() as session:
        if session.get(LoginRow, backend) is not None:
            return backend in wanted(session)
    try:
        with database.writing() as session:
            session.execute(insert(LoginRow).values(backend=backend, wanted_until=0.0, until=0.0))
    except IntegrityError:
        pass  # somebody else noted it in this moment
    return False


def want(session: Session, backend: str) -> None:
    """A person is there and wants to log in. NotFound when nobody is needed."""
    until = database_time() + WANTED
    statement = update(LoginRow).where(LoginRow.backend == backend).values(wanted_until=until)
    if session.connection().execute(statement).rowcount != 1:
        raise NotFound(f"The login to {backend} has not asked for anybody: there is nothing to do.")


def take(session: Session, backend: str) -> bool:
    """Take up a person's wish to log in, once, whoever else tries to; whether there was one.

    The login is under way from now on, until it is over or its time is.
    """
    statement = (
        update(LoginRow)
        .where(LoginRow.backend == backend, LoginRow.wanted_until > database_time())
        .values(wanted_until=0.0, until=database_time() + UNDER_WAY)
    )
    return session.connection().execute(statement).rowcount == 1


def put(session: Session, backend: str, question: Question, key: str, seconds: float) -> None:
    """Ask a question for so long; one that was asked before is over."""
    told = {
        "title": question.title,
        "instructions": question.instructions,
        "prompts": [list(prompt) for prompt in question.prompts],
    }
    values = {"question": told, "key": key, "answer": None, "wanted_until": 0.0}
    statement = update(LoginRow).where(LoginRow.backend == backend)
    session.execute(statement.values(**values, until=database_time() + seconds))


def answer(session: Session, backend: str, key: str, answers: Sequence[str]) -> None:
    """Hand over the answers to a question, sealed. Conflict when it is not open any more."""
    row = session.get(LoginRow, backend)
    asked = _read(row.question) if row is not None and row.key == key and row.question else None
    # Compared before anything is sealed: what is no key at all cannot be sealed with.
    if asked is None or len(asked.prompts) != len(answers) or max(map(len, answers)) > LONGEST:
        raise Conflict(f"{backend} does not ask this any more: log in anew.")
    sealed = sealing.seal(key, json.dumps(list(answers)).encode())
    statement = (
        update(LoginRow)
        .where(LoginRow.backend == backend, LoginRow.key == key, LoginRow.answer.is_(None))
        .where(LoginRow.until > database_time())
    )
    if session.connection().execute(statement.values(answer=sealed)).rowcount != 1:
        raise Conflict(f"{backend} does not ask this any more: log in anew.")


def find(session: Session, backend: str, key: str) -> bytes | None:
    """The sealed answer to a question, if it has come. Conflict when another one was asked."""
    statement = select(LoginRow.key, LoginRow.answer).where(LoginRow.backend == backend)
    row = session.execute(statement).one_or_none()
    if row is None or row[0] != key:
        raise Conflict("another question was asked meanwhile")
    return row[1] if row[1] is None else bytes(row[1])


def close(session: Session, backend: str) -> None:
    """Forget the question and its answer; the login goes on, for an answer may ring a telephone."""
    _forget(session, backend, database_time() + UNDER_WAY)


def end(session: Session, backend: str, is_in: bool) -> None:
    """Note that a login is over, and whether it led in."""
    _forget(session, backend, database_time() + LED_IN if is_in else 0.0)


def _forget(session: Session, backend: str, until: float | ColumnElement[float]) -> None:
    values = {"question": None, "key": None, "answer": None, "until": until}
    session.execute(update(LoginRow).where(LoginRow.backend == backend).values(**values))


def _read(told: Mapping[str, Any]) -> Question:
    prompts = tuple((str(text), bool(is_shown)) for text, is_shown in told["prompts"])
    return Question(str(told["title"]), str(told["instructions"]), prompts)
