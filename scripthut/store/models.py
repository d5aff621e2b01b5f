"""The tables. Nothing here asks or changes anything; relationships are never loaded by surprise."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scripthut.core.jobs import Area
from scripthut.core.states import State
from scripthut.store import backend_models, disk_models, source_models  # noqa: F401 - known to Base
from scripthut.store.tables import Base as Base
from scripthut.store.tables import Text
from scripthut.store.tables import UTCDateTime as UTCDateTime


def _where(name: str, column: str, only: str) -> Index:
    """An index of those rows alone that a condition holds for."""
    return Index(name, column, sqlite_where=text(only), postgresql_where=text(only))


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
    workspace: Mapped[str | None] = mapped_column(String(16))  # store.create.Workspace
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
        _where("ix_runs_open", "backend", "ended_at IS NULL"),
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
        _where(
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
        _where("ix_outputs_sha256", "sha256", "sha256 IS NOT NULL"),
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
    __table_args__ = (_where("ix_pictures_waiting", "sha256", "thumb IS NULL AND note IS NULL"),)


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


class WatchRow(Base):
    """Somebody is looking: at a run (`what` = run) or at a task's output, error or outputs."""

    __tablename__ = "watches"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    task_id: Mapped[int] = mapped_column(primary_key=True, default=0)  # 0: the run as a whole
    what: Mapped[str] = mapped_column(String(8), primary_key=True)
    until: Mapped[datetime] = mapped_column(index=True)


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
    facts_at: Mapped[datetime | None]  # when it was told; None: never
    queue_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # core.survey.Facts
    queue: Mapped[dict[str, Any]] = mapped_column(default=dict)  # core.queue.Queue


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


class Usage(Base):
    """CPU time of tasks that have ended, by the hour in which it was spent."""

    __tablename__ = "usage"
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)  # store.usage.source_of
    cpu_seconds: Mapped[float]


class Lease(Base):
    """Who may act, until when (seconds since 1970 by the database's clock)."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    holder: Mapped[str | None] = mapped_column(String(16))
    epoch: Mapped[int] = mapped_column(default=0)
    until: Mapped[float] = mapped_column(default=0.0)


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


def asked(what: str) -> ColumnElement[Any]:
    """A number of a task's specification: cpus, memory, time_limit; any size, on any database."""
    number: ColumnElement[Any] = Task.spec[what].as_string().cast(BigInteger)
    return number
