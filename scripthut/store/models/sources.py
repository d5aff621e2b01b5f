"""The tables of sources: what was found there, what is asked, and directories of commits."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from scripthut.store.models.base import Base, Text


class SourceRow(Base):
    """What the engine last knew of a source of workflows."""

    __tablename__ = "sources"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    type: Mapped[str] = mapped_column(String(16))
    ref: Mapped[str | None] = mapped_column(Text)  # branch, tag or commit
    label: Mapped[str | None] = mapped_column(String(80))  # sources.repository.label_of
    subject: Mapped[str | None] = mapped_column(Text)
    committed_at: Mapped[datetime | None]
    looked_at: Mapped[datetime | None]  # the last answer; None: never
    tried_at: Mapped[datetime | None]  # the last question, answered or not
    failing_since: Mapped[datetime | None]  # the first unanswered question since; None: answers
    message: Mapped[str | None] = mapped_column(Text)  # why it does not answer, in a sentence
    overlay: Mapped[str | None] = mapped_column(Text)  # its scripthut.yaml; "": none; None: unseen
    notice: Mapped[str | None] = mapped_column(Text)  # what is wrong with its own configuration


class WorkflowRow(Base):
    """A workflow that a source held when it was last looked at."""

    __tablename__ = "workflows"
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)  # relative to the source
    title: Mapped[str | None] = mapped_column(Text)
    tasks: Mapped[int]
    params: Mapped[dict[str, Any]]  # core.params.Param, as JSON
    problem: Mapped[str | None] = mapped_column(Text)  # why it cannot be started
    __table_args__ = (Index("uq_workflows_source_path", "source", "path", unique=True),)


class SourceOrder(Base):
    """What somebody asked of a source: to look again, to start a workflow, or to show how."""

    __tablename__ = "source_orders"
    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(String(8))  # store.source_orders.What
    workflow: Mapped[str | None] = mapped_column(Text)
    backend: Mapped[str | None] = mapped_column(Text)
    ref: Mapped[str | None] = mapped_column(Text)  # None: what is configured
    params: Mapped[dict[str, Any]]  # what was chosen
    request_key: Mapped[str | None] = mapped_column(String(200))
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)  # None: to do
    run_id: Mapped[str | None] = mapped_column(String(8))  # of the run that it made
    problems: Mapped[list[str] | None]  # sentences: why nothing came of it
    result: Mapped[bytes | None] = mapped_column(LargeBinary)  # of a preview: packed JSON
    __table_args__ = (Index("uq_source_orders_request_key", "request_key", unique=True),)


class Checkout(Base):
    """A directory on a backend that holds a commit, or is to hold one."""

    __tablename__ = "checkouts"
    id: Mapped[int] = mapped_column(primary_key=True)
    backend: Mapped[str] = mapped_column(Text)
    root: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(String(80))  # sources.repository.label_of
    ref: Mapped[str] = mapped_column(Text)
    postclone: Mapped[str | None] = mapped_column(Text)
    keep: Mapped[bool]  # the archive there, for other directories of the same commit
    stage: Mapped[str] = mapped_column(String(16))  # store.machines.checkouts.Stage
    archive: Mapped[str | None] = mapped_column(String(64))  # its sha256; None: not packed
    file: Mapped[str | None] = mapped_column(Text)  # the archive on the server's disk
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    sent: Mapped[int] = mapped_column(BigInteger, default=0)
    path: Mapped[str | None] = mapped_column(Text)  # absolute on the backend; None: not known yet
    message: Mapped[str | None] = mapped_column(Text)  # a sentence: why it waits, or why it failed
    failures: Mapped[int] = mapped_column(default=0)  # unanswered questions in a row
    retry_at: Mapped[datetime | None]
    __table_args__ = (Index("uq_checkouts_place", "backend", "root", "name", unique=True),)
