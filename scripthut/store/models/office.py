"""The tables by which processes agree: who leads, and who is looking at what."""

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from scripthut.store.models.base import Base


class WatchRow(Base):
    """Somebody is looking: at a run (`what` = run) or at a task's output, error or outputs."""

    __tablename__ = "watches"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    task_id: Mapped[int] = mapped_column(primary_key=True, default=0)  # 0: the run as a whole
    what: Mapped[str] = mapped_column(String(8), primary_key=True)
    until: Mapped[datetime] = mapped_column(index=True)


class Lease(Base):
    """Who may act, until when (seconds since 1970 by the database's clock)."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    holder: Mapped[str | None] = mapped_column(String(16))
    epoch: Mapped[int] = mapped_column(default=0)
    until: Mapped[float] = mapped_column(default=0.0)
