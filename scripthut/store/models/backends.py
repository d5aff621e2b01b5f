"""The tables of backends: what is known of them, and what people ask and want."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Double,
    Index,
    LargeBinary,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from scripthut.store.models.base import Base, Text


class BackendRow(Base):
    """What the engine last knew of a backend."""

    __tablename__ = "backends"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    type: Mapped[str] = mapped_column(String(16))
    answered_at: Mapped[datetime | None]  # the last answer; None: never
    failing_since: Mapped[datetime | None]  # the first unanswered question since; None: answers
    message: Mapped[str | None] = mapped_column(Text)  # why it does not answer, in a sentence
    notice: Mapped[str | None] = mapped_column(Text)
    commands: Mapped[int] = mapped_column(default=0)  # commands of the last cycle
    submit_commands: Mapped[int] = mapped_column(default=0)  # of the last submission
    watched: Mapped[int] = mapped_column(default=0)  # live tasks in the last cycle


class SurveyRow(Base):
    """What is known of a backend besides our tasks, and until when somebody looks at it."""

    __tablename__ = "surveys"

    backend: Mapped[str] = mapped_column(Text, primary_key=True)
    facts_until: Mapped[datetime | None]  # somebody looks at what the cluster has
    queue_until: Mapped[datetime | None]  # somebody looks at the queue
    log_until: Mapped[datetime | None]  # somebody looks at the last commands
    crowd_until: Mapped[datetime | None]  # somebody looks at everybody's jobs
    ended_until: Mapped[datetime | None]  # somebody looks at the user's jobs that ended lately
    facts_at: Mapped[datetime | None]  # when it was told; None: never
    queue_at: Mapped[datetime | None]
    crowd_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # core.survey.Facts
    queue: Mapped[dict[str, Any]] = mapped_column(default=dict)  # core.queue.Queue
    # Two that are long, and read by the queue's page alone: core.sights.Crowd and Ended.
    crowd: Mapped[dict[str, Any] | None] = mapped_column(deferred=True, deferred_raiseload=True)
    ended: Mapped[dict[str, Any] | None] = mapped_column(deferred=True, deferred_raiseload=True)


class LoginRow(Base):
    """A backend whose logins need a person, and the question that is open. Seconds since 1970."""

    __tablename__ = "logins"

    backend: Mapped[str] = mapped_column(Text, primary_key=True)
    wanted_until: Mapped[float] = mapped_column(Double)  # a person is there and wants to log in
    until: Mapped[float] = mapped_column(Double)  # the question is open
    question: Mapped[dict[str, Any] | None]  # core.jobs.Question
    key: Mapped[str | None] = mapped_column(String(64))  # what the answer is sealed with
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed; gone once it is read


class JobOrder(Base):
    """An order to cancel a job of a backend's queue that is no task of ours."""

    __tablename__ = "job_orders"

    backend: Mapped[str] = mapped_column(Text, primary_key=True)
    job_id: Mapped[str] = mapped_column(Text, primary_key=True)
    asked_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


class CommandRow(Base):
    """A command on a backend, as core.commands.Command has it: of few, and only for people."""

    __tablename__ = "commands"
    id: Mapped[int] = mapped_column(primary_key=True)
    backend: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    what: Mapped[str] = mapped_column(Text)
    command: Mapped[str] = mapped_column(Text)
    code: Mapped[int | None]  # None: no answer came
    milliseconds: Mapped[int]
    sent: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(Text)
    parts: Mapped[list[dict[str, Any]]]  # core.commands.Part
    is_bad: Mapped[bool]
    __table_args__ = (Index("ix_commands_backend_is_bad_at", "backend", "is_bad", "at"),)


class PauseRow(Base):
    """Somebody has paused a backend or a source: nothing new begins there until it is resumed."""

    __tablename__ = "pauses"
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)  # backend, source
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
