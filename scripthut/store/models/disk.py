"""The tables of what lies on backends' disks: looks at them, what was found, and what is to go."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from scripthut.store.models.base import Base


class DiskScan(Base):
    """A look at a backend's disk: asked for, going on, or ended."""

    __tablename__ = "disk_scans"
    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    backend: Mapped[str] = mapped_column(Text, index=True)
    asked_at: Mapped[datetime]
    begun_at: Mapped[datetime | None]  # when its process began; None: it has not
    ended_at: Mapped[datetime | None]
    ask_at: Mapped[datetime]  # the backend is not asked about it before
    offset: Mapped[int] = mapped_column(BigInteger, default=0)  # bytes of its answer that are here
    total: Mapped[int | None]  # things to measure; None: not known yet
    home: Mapped[str | None] = mapped_column(Text)  # of the account there
    note: Mapped[str | None] = mapped_column(Text)  # a sentence: why it waits, or is not whole


class DiskThing(Base):
    """Something that a look has found; see core.disk.Thing."""

    __tablename__ = "disk_things"
    id: Mapped[int] = mapped_column(primary_key=True)
    scan_id: Mapped[str] = mapped_column(String(8), index=True)
    kind: Mapped[str] = mapped_column(String(8))  # core.disk.Kind
    root: Mapped[str] = mapped_column(Text)
    name: Mapped[bytes] = mapped_column(LargeBinary)
    run: Mapped[str | None] = mapped_column(String(8))  # its id; a forgotten run stays here
    mark: Mapped[str] = mapped_column(String(48))
    size: Mapped[int | None] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)
    is_whole: Mapped[bool]
    touched_at: Mapped[datetime | None]
    is_busy: Mapped[bool]
    note: Mapped[str | None] = mapped_column(Text)
    __table_args__ = ({"sqlite_autoincrement": True},)  # no id is used again


class DiskRemoval(Base):
    """A deletion on a backend's disk: the intent is committed before anything is done."""

    __tablename__ = "disk_removals"
    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    backend: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(8))
    root: Mapped[str] = mapped_column(Text)
    name: Mapped[bytes] = mapped_column(LargeBinary)
    run: Mapped[str | None] = mapped_column(String(8))  # its id; a forgotten run stays here
    mark: Mapped[str] = mapped_column(String(48))
    size: Mapped[int | None] = mapped_column(BigInteger)
    home: Mapped[str] = mapped_column(Text)  # of the account there
    asked_at: Mapped[datetime]
    is_moved: Mapped[bool] = mapped_column(default=False)  # out of its place; being freed
    freed: Mapped[int] = mapped_column(BigInteger, default=0)  # bytes, so far
    ended_at: Mapped[datetime | None]  # None: to do
    is_gone: Mapped[bool] = mapped_column(default=False)
    problem: Mapped[str | None] = mapped_column(Text)  # the end of a sentence: why it stays
    __table_args__ = (Index("ix_disk_removals_backend", "backend", "ended_at"),)
