"""The tables of what tasks wrote: files, logs, measures, pictures, and wanted pieces."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from scripthut.core.jobs import Area
from scripthut.store.models.base import Base, Text, where


class Output(Base):
    """A file that a task wrote. `sha256` is None while, or because (see `note`), it is not kept."""

    __tablename__ = "outputs"
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    attempt: Mapped[int] = mapped_column(default=1)
    area: Mapped[Area]
    raw: Mapped[bytes] = mapped_column(LargeBinary)  # the path's bytes: its identity
    path: Mapped[str] = mapped_column(Text)  # the path for people; bytes that are not UTF-8 as \xNN
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(16))  # core.previews.Kind
    sha256: Mapped[str | None] = mapped_column(String(64))
    html: Mapped[str | None] = mapped_column(
        String(64)
    )  # sha256 of the rendered Markdown, kept too
    was_sha256: Mapped[str | None] = mapped_column(String(64))  # of what was removed
    note: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("uq_outputs_task_id_raw", "task_id", "attempt", "area", "raw", unique=True),
        where("ix_outputs_sha256", "sha256", "sha256 IS NOT NULL"),
    )


class PieceWish(Base):
    """A piece of a file that somebody wants to see, and what came of it when it was asked for.

    `got_at` None: not asked for yet. The bytes are kept under `sha256`; `problem`: why none came.
    """

    __tablename__ = "piece_wishes"
    id: Mapped[int] = mapped_column(primary_key=True)
    output_id: Mapped[int] = mapped_column(ForeignKey("outputs.id", ondelete="CASCADE"))
    start: Mapped[int] = mapped_column(BigInteger)
    length: Mapped[int]
    until: Mapped[datetime] = mapped_column(index=True)  # nobody waits for it after that
    got_at: Mapped[datetime | None]
    size: Mapped[int | None] = mapped_column(BigInteger)  # of the file, when the piece was read
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    problem: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("uq_piece_wishes_output_id", "output_id", "start", "length", unique=True),
    )


class Fetch(Base):
    """A whole file that somebody asked for: the first `done` bytes are here. Gone when all are.

    `size` and `mtime_ns` are those of the file that the bytes are of; None: none came yet.
    """

    __tablename__ = "fetches"
    output_id: Mapped[int] = mapped_column(
        ForeignKey("outputs.id", ondelete="CASCADE"), primary_key=True
    )
    asked_at: Mapped[datetime]
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    size: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    begun: Mapped[int] = mapped_column(default=1)  # how often, because the file had changed
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    try_at: Mapped[datetime | None]  # not before; None: at once
    problem: Mapped[str | None] = mapped_column(Text)  # a sentence: why it pauses
    is_stopped: Mapped[bool] = mapped_column(default=False)  # it will not go on by itself


class Log(Base):
    """The part of a log that is kept: bytes `start` to `end` of a file now `size` bytes long."""

    __tablename__ = "logs"
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    attempt: Mapped[int] = mapped_column(default=1)
    stream: Mapped[str] = mapped_column(String(8))  # output | error
    start: Mapped[int] = mapped_column(BigInteger)
    end: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]  # when it was last asked for and answered
    __table_args__ = (Index("uq_logs_task_id_stream", "task_id", "attempt", "stream", unique=True),)


class Picture(Base):
    """A picture by its content. Without a `thumb` and a `note` it waits for its thumbnail."""

    __tablename__ = "pictures"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    thumb: Mapped[str | None] = mapped_column(String(64))  # its name among the kept bytes
    width: Mapped[int | None]  # in pixels, as it was written
    height: Mapped[int | None]
    note: Mapped[str | None] = mapped_column(Text)  # why there is no thumbnail
    __table_args__ = (where("ix_pictures_waiting", "sha256", "thumb IS NULL AND note IS NULL"),)


class MetricsRow(Base):
    """What an attempt of a task has measured, as its files say it; see core.figures."""

    __tablename__ = "metrics"
    task_id: Mapped[int] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True
    )
    attempt: Mapped[int] = mapped_column(primary_key=True)
    mark: Mapped[str] = mapped_column(String(64))  # of the files that it was read from
    found: Mapped[dict[str, Any]]  # name -> core.metrics.Value
    curves: Mapped[dict[str, Any]]  # name -> [x, y], for those that were written many times
    note: Mapped[str | None] = mapped_column(Text)  # sentences: what could not be read


class FrameRow(Base):
    """A token of an interactive page, by its hash, that an open page keeps good until then."""

    __tablename__ = "frames"
    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    until: Mapped[datetime]
