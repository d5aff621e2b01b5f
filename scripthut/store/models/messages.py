"""The tables of who is told what."""

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from scripthut.store.models.base import Base, Text


class Channel(Base):
    """A way to tell people, and since when it is known: nothing older is told there."""

    __tablename__ = "channels"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    since: Mapped[datetime]


class Follower(Base):
    """A channel that asked to be told of one run."""

    __tablename__ = "followers"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)


class MessageRow(Base):
    """Something to tell on a channel: the intent is committed before anything is sent."""

    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    channel: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(String(16))  # core.happenings.What
    ending: Mapped[str] = mapped_column(String(32), default="")  # which of a run's; "": not one
    made_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(index=True)  # None: sent, or given up
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]
    problem: Mapped[str | None] = mapped_column(Text)  # why it was not sent, in a sentence
    __table_args__ = (
        Index("uq_messages_of_a_run", "run_id", "channel", "what", "ending", unique=True),
    )
