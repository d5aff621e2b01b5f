"""The values that travel between the engine, the backends and the pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TypeAlias

Token: TypeAlias = str
"""`<run>.<n>.<attempt>`: names one attempt of one task, on the cluster too."""


@dataclass(frozen=True)
class Answer:
    """What a machine said: exit code, standard output, standard error.

    `out` and `err` are bytes decoded with replacement, so no byte a job writes can break anything.
    """

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Question:
    """What a machine asks at a login: each prompt with whether its answer may be shown."""

    title: str
    instructions: str
    prompts: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Resources:
    """What a task asks of a scheduler. Memory in bytes, time limit in seconds."""

    partition: str | None = None  # None: the scheduler's default
    cpus: int = 1
    memory: int | None = None  # None: the scheduler's default
    time_limit: int | None = None  # None: the partition's limit
    gres: str | None = None
    extra: tuple[str, ...] = ()  # words for sbatch or qsub, passed on as they are


@dataclass(frozen=True)
class Paths:
    """Where one attempt of a task writes on the backend; all absolute."""

    logs: PurePosixPath  # the directory of `out` and `err`
    out: PurePosixPath
    err: PurePosixPath
    outputs: PurePosixPath  # $SCRIPTHUT_OUTPUT_DIR
    summary: PurePosixPath  # $SCRIPTHUT_TASK_SUMMARY, inside `outputs`
    fragment: PurePosixPath  # $SCRIPTHUT_RUN_SUMMARY
    progress: PurePosixPath  # $SCRIPTHUT_PROGRESS, beside `fragment`
    state: PurePosixPath  # the directory of `note` and `claim`
    note: PurePosixPath  # the exit note: <token>.exit
    claim: PurePosixPath  # the claim, a symbolic link whose text is `job:<id>`: <token>.claim


@dataclass(frozen=True)
class Own:
    """The value that a variable has in the job itself; `then` follows it where it has one."""

    name: str
    then: str = ""


Value: TypeAlias = str | tuple[str | Own, ...]
"""A variable's value: a text, or pieces of which the job's shell fills some in."""


@dataclass(frozen=True)
class Job:
    """One attempt of a task, as a backend sees it."""

    token: Token
    run_id: str
    run_name: str
    key: str  # the task's id in its document
    name: str
    attempt: int
    command: str
    working_dir: str  # absolute, or beginning with `~`, or relative to the home
    env: Mapping[str, Value]
    resources: Resources
    paths: Paths
    init: str = ""  # lines of bash, run before the variables are set
    timeout: int | None = None  # seconds that the command may run; None: no limit of our own
    job_id: str | None = None  # the scheduler's id; None while it is not known
    submitted_at: datetime | None = None  # when the intent to submit was committed
    void_note: datetime | None = None  # the end in an exit note that an earlier run left
    array: bool = False  # may be submitted with others alike as one array


@dataclass(frozen=True)
class Accepted:
    """The scheduler took the job."""

    job_id: str


@dataclass(frozen=True)
class Rejected:
    """The scheduler refused the job; `why` is its own words. `wait`: only for now (a limit)."""

    why: str
    wait: bool = False


@dataclass(frozen=True)
class Used:
    """What a job has used. Bytes that it held at most, seconds of processor time; None: unknown."""

    memory: int | None = None
    cpu: float | None = None

    def or_more(self, other: "Used") -> "Used":
        """The larger of each: every way to measure may miss something, and none counts too much.

        >>> Used(5, None).or_more(Used(3, 1.5))
        Used(memory=5, cpu=1.5)
        """
        memory = max((n for n in (self.memory, other.memory) if n is not None), default=None)
        return Used(memory, max((n for n in (self.cpu, other.cpu) if n is not None), default=None))


UNKNOWN = Used()


class Phase(StrEnum):
    """What a scheduler's state word means to us."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"  # ended, exit 0, says the scheduler
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Sighting:
    """A job as the queue or accounting showed it. A row that is not final is never an ending."""

    job_id: str
    phase: Phase
    word: str  # the scheduler's own word: RUNNING, TIMEOUT, ...
    reason: str | None = None  # a sentence: why it waits, or why it ended
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    node: str | None = None
    used: Used = UNKNOWN


@dataclass(frozen=True)
class ExitNote:
    """What the job script itself left behind when it ended (core/script.py)."""

    token: Token
    job_id: str
    code: int  # 128 + n when the shell was ended by signal n
    started_at: datetime
    ended_at: datetime
    node: str
    why: str | None = None  # a sentence: why the frame could not run the command, or ended it
    is_late: bool = False  # the frame ended the command at its timeout
    was_full: bool = False  # the kernel killed something of it, which had all its memory
    used: Used = UNKNOWN


class Area(StrEnum):
    """Which of a task's places a file is in."""

    OUTPUT = "output"
    FRAGMENT = "fragment"
    LOG = "log"  # one of its two logs, whose path is its stream's name; no listing finds it


@dataclass(frozen=True)
class RemoteFile:
    """A file that a listing found. `path`: relative to the area, bytes as the disk has them."""

    token: Token
    area: Area
    path: bytes
    size: int
    mtime_ns: int
    note: str | None = None  # a sentence: why it will not be collected; None when it may be


@dataclass(frozen=True)
class Listing:
    """What a task has written by now. `mark` is a fingerprint: equal marks, equal listings."""

    mark: str
    files: tuple[RemoteFile, ...]  # the fragment, if there, and the output files, sorted
    more: int = 0  # files beyond the listing's own limit, not named
    problem: str | None = None  # a sentence: the directory could not be read
    is_gone: bool = False  # there is no output directory

    @property
    def has_failed(self) -> bool:
        """Whether it says nothing of the files: a directory of too many is looked into in part."""
        return self.problem is not None and MANY not in self.problem


MANY = "holds so many files"


@dataclass(frozen=True)
class Chunk:
    """A piece of a log: `data` stands at byte `start` of a file that is `size` bytes long."""

    start: int
    data: bytes
    size: int


@dataclass(frozen=True)
class Piece:
    """A part of a file that somebody wants: at most `length` bytes from byte `start`."""

    job: Job
    area: Area
    path: bytes
    start: int
    length: int


@dataclass(frozen=True)
class Got:
    """What came of a piece: its bytes, and the file's size and mtime when they were read.

    `is_still`: nobody wrote to the file meanwhile. `why`: the end of a sentence, when nothing came.
    """

    data: bytes = b""
    size: int = 0
    mtime_ns: int = 0
    is_still: bool = False
    why: str | None = None


@dataclass(frozen=True)
class Said:
    """What a task's progress file holds; `mark` None, and no data: it is not there any more."""

    mark: str | None
    data: bytes


@dataclass(frozen=True)
class Watch:
    """One job an observation asks about, with what is known already, so that only news travels."""

    job: Job
    live: bool = True  # ask the scheduler about it
    mark: str | None = None  # of the listing known; None: nothing is known
    list_outputs: bool = True
    tails: Mapping[str, int] = field(
        default_factory=dict
    )  # "output"|"error" -> offset; -1: the tail
    progress_mark: str | None = None  # of the progress known; None: of none
    measure: bool = False  # it has ended: what did it use?


@dataclass(frozen=True)
class Observation:
    """What one cycle saw of all jobs asked about.

    A live token in none of `sightings`, `notes`, `unanswered` was asked for, answered, and absent.
    """

    sightings: Mapping[Token, Sighting] = field(default_factory=dict)
    notes: Mapping[Token, ExitNote] = field(default_factory=dict)
    claims: Mapping[Token, str] = field(default_factory=dict)  # token -> job id that claimed it
    withdrawn: frozenset[Token] = frozenset()  # claimed by a cancellation: no job can run them
    listings: Mapping[Token, Listing] = field(default_factory=dict)  # only where the mark changed
    contents: Mapping[tuple[Token, Area, bytes], bytes] = field(default_factory=dict)  # small ones
    logs: Mapping[tuple[Token, str], Chunk] = field(default_factory=dict)
    progress: Mapping[Token, Said] = field(default_factory=dict)  # only where the mark changed
    later: frozenset[Token] = frozenset()  # of whose listing or logs not all was in this answer
    pieces: Mapping[int, Got] = field(default_factory=dict)  # by their place among those asked for
    used: Mapping[Token, Used] = field(default_factory=dict)  # of those to be measured
    unanswered: frozenset[Token] = frozenset()  # nobody could say: conclude nothing
    unaccounted: frozenset[Token] = frozenset()  # the accounting has not heard of their end yet
    notice: str | None = None  # a sentence for the backend's card ("accounting does not answer")


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be had; `why` is the end of a sentence. `is_missing`: it is not there."""

    why: str
    is_missing: bool = False


@dataclass(frozen=True)
class OutputLimits:
    """How much of what a task writes is collected."""

    file_bytes: int = 5 * 1024 * 1024
    files: int = 200
    depth: int = 3  # a/b/c.md is at depth 3
    listed: int = 1000  # files named in a listing, collected or not
