"""Pauses of backends and sources: a person's word, which every process sees and restarts keep.

They stand in the database and not in the configuration, which is its owner's text: whoever may
pause a cluster for an afternoon need not be able to write that file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from scripthut.core.errors import Conflict
from scripthut.core.states import TERMINAL, State
from scripthut.store.models import PauseRow, Run, Task

LIVE = (State.SUBMITTING, State.SUBMITTED, State.QUEUED, State.RUNNING, State.SETTLING)
LONGEST = 300  # characters of who and why


class Kind(StrEnum):
    """What can be paused."""

    BACKEND = "backend"
    SOURCE = "source"


@dataclass(frozen=True)
class Words:
    """What the person who pauses says. There is no sign-in: nobody vouches for the name."""

    who: str = ""
    why: str = ""


@dataclass(frozen=True)
class Held:
    """Tasks that a pause is about: those that the scheduler has, and those that would follow."""

    live: int
    waiting: int


def pause(session: Session, kind: Kind, name: str, words: Words, now: datetime) -> None:
    """Pause one. Conflict when it is paused already: the first one's words stay."""
    if (row := of(session, kind, name)) is not None:
        raise Conflict(f"The {kind} {name} {said(row)}")
    who, why = (" ".join(text.split())[:LONGEST] for text in (words.who, words.why))
    session.add(PauseRow(kind=kind.value, name=name, at=now, who=who, why=why))


def resume(session: Session, kind: Kind, name: str) -> None:
    """Let things begin there again. Conflict when it is not paused."""
    found = delete(PauseRow).where(PauseRow.kind == kind.value, PauseRow.name == name)
    if not session.connection().execute(found).rowcount:
        raise Conflict(f"The {kind} {name} is not paused.")


def of(session: Session, kind: Kind, name: str) -> PauseRow | None:
    """The pause of one; None: it is not paused."""
    return session.get(PauseRow, (kind.value, name))


def check_source(session: Session, name: str | None) -> None:
    """Conflict while a source is paused: nothing of it begins. None: a run that has none."""
    if name is not None and (row := of(session, Kind.SOURCE, name)) is not None:
        raise Conflict(f"The source {name} {said(row)} Resume it first.")


def every(session: Session, kind: Kind) -> Mapping[str, PauseRow]:
    """All pauses of a kind, by name."""
    rows = session.scalars(select(PauseRow).where(PauseRow.kind == kind.value))
    return {row.name: row for row in rows}


def said(row: PauseRow) -> str:
    """A pause in words that follow its name."""
    who, why = f" by {row.who}" if row.who else "", f": {row.why}" if row.why else ""
    text = f"is paused since {row.at:%Y-%m-%d %H:%M} UTC{who}{why}"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def held(session: Session, kind: Kind, name: str) -> Held:
    """How many tasks of a backend or a source have not ended."""
    place = Run.backend if kind is Kind.BACKEND else Run.source
    statement = select(Task.state, func.count()).join(Run, Run.id == Task.run_id)
    statement = statement.where(place == name, Task.state.not_in(TERMINAL)).group_by(Task.state)
    counts = {row[0]: row[1] for row in session.execute(statement)}
    live = sum(counts.get(state, 0) for state in LIVE)
    return Held(live, sum(counts.values()) - live)
