"""The tables of what people ask and want of backends: their last commands, and pauses."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from scripthut.store.tables import Base


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
