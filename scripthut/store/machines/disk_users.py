"""Which runs use what lies on a backend's disk: by their ids, and by what their paths name.

A directory of a commit is known by its name alone, in whichever root and on whichever backend: two
backends may be two ways to one file system, and a path may be written in more than one way.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from scripthut.core.disk import Kind, Thing, User
from scripthut.core.states import OPEN
from scripthut.store.models import Checkout, Run, Task
from scripthut.store.tasks import uncollected

MANY = 500  # ids in one question


def users(session: Session, things: Collection[Thing], now: datetime) -> list[tuple[User, ...]]:
    """The runs that use each of some things, those of no other backend's place left out."""
    ids = {one.run_id for one in things if one.kind is Kind.RUN and one.run_id}
    names = {_text(one.name) for one in things if one.kind is Kind.COMMIT}
    by_name: dict[str, set[str]] = {}
    for run_id, paths in [*_places(session), *_of_open_tasks(session)]:
        for word in _words(paths) & (names | ids):
            by_name.setdefault(word, set()).add(run_id)
    wanted = ids.union(*by_name.values())
    known = {user.run_id: user for user in _known(session, wanted, now)}
    found = []
    for one in things:
        mine: set[str] = set()
        if one.kind is Kind.RUN and one.run_id:
            mine = {one.run_id} | by_name.get(one.run_id, set())
        elif one.kind is Kind.COMMIT:
            mine = by_name.get(_text(one.name), set())
        found.append(tuple(known[run_id] for run_id in sorted(mine) if run_id in known))
    return found


def within(path: str | None, name: str) -> bool:
    """Whether a path is that of a directory of that name, or leads through it."""
    return name in _words([path])


def _words(paths: Iterable[str | None]) -> set[str]:
    return {word for path in paths if path for word in path.split("/")}


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _places(session: Session) -> Iterator[tuple[str, list[str | None]]]:
    """The runs that work in directories of commits, or log elsewhere than others, with where."""
    statement = (
        select(Run.id, Run.folder, Run.log_dir, Checkout.name)
        .outerjoin(Checkout, Run.checkout_id == Checkout.id)
        .where(
            or_(
                Run.folder.is_not(None),
                Run.checkout_id.is_not(None),
                Run.log_dir.not_like("%/.cache/scripthut/logs/%"),
                Run.log_dir.like("%/outputs/%"),
            )
        )
    )
    for run_id, *paths in session.execute(statement):
        yield run_id, paths


def _of_open_tasks(session: Session) -> Iterator[tuple[str, list[str | None]]]:
    """Where tasks that have not ended work, if they say so themselves."""
    where = Task.spec["working_dir"].as_string()
    statement = select(Task.run_id, Task.base, where).where(Task.state.in_(OPEN)).distinct()
    for run_id, *paths in session.execute(statement):
        yield run_id, paths


def _known(session: Session, ids: Collection[str], now: datetime) -> Iterator[User]:
    every = sorted(ids)
    for at in range(0, len(every), MANY):
        some = every[at : at + MANY]
        left = set(
            session.scalars(select(Task.run_id).where(Task.run_id.in_(some), uncollected(now)))
        )
        rows = session.execute(select(Run.id, Run.name, Run.ended_at).where(Run.id.in_(some)))
        for run_id, name, ended_at in rows:
            yield User(run_id, name, ended_at is None or run_id in left)
