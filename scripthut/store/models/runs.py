"""The tables of runs and tasks, what happened to them, and the hours they have used."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scripthut.core.states import State
from scripthut.store.models.base import Base, Text, where


class Run(Base):
    """One execution of a document's tasks on one backend. Its state is derived, never stored."""

    __tablename__ = "runs"
    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    backend: Mapped[str] = mapped_column(Text, index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]  # when the last task ended; None: not over
    log_dir: Mapped[str | None] = mapped_column(Text)  # absolute, or below `~`; None: not placed
    version: Mapped[int] = mapped_column(default=0)  # grows with every transaction that changes it
    summary_version: Mapped[int] = mapped_column(default=0)  # of the last change of its summary
    cancel_asked_at: Mapped[datetime | None]
    title: Mapped[str | None] = mapped_column(Text)  # for people; None: its name serves
    source: Mapped[str | None] = mapped_column(Text)  # of its document, as configured; None: none
    workflow: Mapped[str | None] = mapped_column(Text)  # the document's path in the source
    git_repo: Mapped[str | None] = mapped_column(Text)
    git_branch: Mapped[str | None] = mapped_column(Text)
    git_sha: Mapped[str | None] = mapped_column(Text)
    folder: Mapped[str | None] = mapped_column(Text)  # what `~` alone means; None: the home
    workspace: Mapped[str | None] = mapped_column(String(16))  # store.making.create.Workspace
    env: Mapped[list[dict[str, Any]] | None]  # core.rules.Layer, as JSON, in their order
    params: Mapped[dict[str, Any] | None]  # what was chosen
    # As it was written, where it has parameters: it may be begun again with others.
    document: Mapped[dict[str, Any] | None] = mapped_column(JSON, deferred=True)
    notices: Mapped[list[str] | None]  # sentences: what its documents hold that is not used
    request_key: Mapped[str | None] = mapped_column(String(200))  # of the request that made it
    origin: Mapped[str | None] = mapped_column(String(8), index=True)  # the run that it repeats
    checkout_id: Mapped[int | None] = mapped_column(ForeignKey("checkouts.id"), index=True)
    cpu_seconds: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))  # of ended
    gpu_seconds: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))
    pinned_at: Mapped[datetime | None]  # its files stay, whatever their age; None: not pinned
    removed_at: Mapped[datetime | None]  # when its files and logs were removed; None: they were not
    removed_why: Mapped[str | None] = mapped_column(Text)
    cleared_at: Mapped[datetime | None]  # its files on the backend were deleted; None: not by us
    tasks: Mapped[list["Task"]] = relationship(lazy="raise", order_by="Task.n")
    __table_args__ = (
        Index("uq_runs_request_key", "request_key", unique=True),
        where("ix_runs_open", "backend", "ended_at IS NULL"),
    )


class Task(Base):
    """One task of a run. `state` is written by store.tasks.move alone."""

    __tablename__ = "tasks"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    n: Mapped[int]  # its place in the document, from 0
    key: Mapped[str] = mapped_column(Text)  # its id in the document
    name: Mapped[str] = mapped_column(Text)
    spec: Mapped[dict[str, Any]]  # core.document.TaskSpec, as JSON
    deps: Mapped[list[str]]  # keys, wildcards resolved
    state: Mapped[State] = mapped_column(default=State.PENDING)
    version: Mapped[int] = mapped_column(default=0)  # the run's version when it last changed
    attempt: Mapped[int] = mapped_column(default=1)
    token: Mapped[str | None] = mapped_column(String(15))  # None: not yet claimed
    job_id: Mapped[str | None] = mapped_column(Text)
    submitted_at: Mapped[datetime | None]  # when the intent to submit was committed
    accepted_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]  # by the clock of where it ran
    ended_seen_at: Mapped[datetime | None]  # by our own clock, from which all patience counts
    exit_code: Mapped[int | None]
    signal: Mapped[int | None]
    node: Mapped[str | None] = mapped_column(Text)
    memory_used: Mapped[int | None] = mapped_column(BigInteger)  # bytes at most; None: not known
    cpu_used: Mapped[float | None]  # seconds of processor time
    reason: Mapped[str | None] = mapped_column(Text)  # a sentence: why it waits, or why it ended
    # How often its job was seen to wait anew.
    requeues: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    void_note: Mapped[datetime | None]  # the end in the note that an earlier run left, see judge
    missing_since: Mapped[datetime | None]  # answered absences began; None: seen when last asked
    cancel_asked_at: Mapped[datetime | None]
    cancel_sent_at: Mapped[datetime | None]
    listing_mark: Mapped[str | None] = mapped_column(Text)  # of the listing last collected whole
    collected_at: Mapped[datetime | None]  # outputs and logs collected after the end; None: to do
    outputs_more: Mapped[int] = mapped_column(default=0)  # files beyond what was listed
    outputs_problem: Mapped[str | None] = mapped_column(Text)
    collect_failures: Mapped[int] = mapped_column(default=0)  # in a row
    collect_at: Mapped[datetime | None]  # its directory is not looked into before; None: at once
    progress: Mapped[float | None]  # between 0 and 1, as the task says; None: it does not
    progress_text: Mapped[str | None] = mapped_column(Text)
    progress_mark: Mapped[str | None] = mapped_column(String(12))  # of what it said last
    has_outputs: Mapped[bool] = mapped_column(default=False)
    has_run_summary: Mapped[bool] = mapped_column(default=False)
    open_deps: Mapped[list[str] | None]  # wildcards that wait for what generators will add
    env: Mapped[dict[str, Any] | None]  # core.env.Resolved: what the present attempt was given
    base: Mapped[str | None] = mapped_column(Text)  # what its relative paths mean; None: as its run
    maker: Mapped[int | None]  # the row id of the generator that added it; None: of the document
    depth: Mapped[int | None]  # generators above it
    cause: Mapped[str | None] = mapped_column(String(16))  # core.causes.Cause of a bad end
    retry_at: Mapped[datetime | None]  # when it is tried again by itself
    asked: Mapped[dict[str, Any] | None]  # what this attempt asks for instead of its spec
    run: Mapped[Run] = relationship(lazy="raise", back_populates="tasks")
    __table_args__ = (
        Index("uq_tasks_run_id_n", "run_id", "n", unique=True),
        Index("uq_tasks_run_id_key", "run_id", "key", unique=True),
        Index("ix_tasks_run_id_state", "run_id", "state"),
        Index("ix_tasks_run_id_version", "run_id", "version"),
        Index("ix_tasks_state", "state"),  # the live ones, among all tasks that ever were
        where(
            "ix_tasks_uncollected",
            "ended_seen_at",
            "collected_at IS NULL AND job_id IS NOT NULL",
        ),
        Index(
            "ix_tasks_cancel_asked",
            "state",
            sqlite_where=text("cancel_asked_at IS NOT NULL"),
            postgresql_where=text("cancel_asked_at IS NOT NULL"),
        ),
    )


class EventRow(Base):
    """What happened to a task, in order; only ever added to."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"), index=True)
    at: Mapped[datetime]
    what: Mapped[str] = mapped_column(String(24))
    old: Mapped[str | None] = mapped_column(String(16))
    new: Mapped[str | None] = mapped_column(String(16))
    note: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (Index("ix_events_run_id_id", "run_id", "id"),)


class Usage(Base):
    """CPU time of tasks that have ended, by the hour in which it was spent."""

    __tablename__ = "usage"
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)  # store.usage.source_of
    cpu_seconds: Mapped[float]


def asked(what: str) -> ColumnElement[Any]:
    """A number of a task's specification: cpus, memory, time_limit; any size, on any database."""
    number: ColumnElement[Any] = Task.spec[what].as_string().cast(BigInteger)
    return number
