"""Why a task did not complete, in words: what its page opens with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from signal import Signals

from scripthut.core.jobs import UNKNOWN, Used
from scripthut.core.states import State

TITLES: Mapping[State, str] = {
    State.FAILED: "Why it failed",
    State.CANCELLED: "Why it was cancelled",
    State.LOST: "Why it is lost",
    State.RETRYING: "Why it is tried again",
    State.DEP_FAILED: "Why it did not run",
}
REASONS: Mapping[State, str] = {
    State.FAILED: "The command ended with an error.",
    State.CANCELLED: "It was cancelled before it had ended.",
    State.LOST: (
        "The cluster was asked about this job for ten minutes, answered, and had no record of it "
        "anywhere. Whether its command completed, only what it wrote can tell."
    ),
    State.RETRYING: "It failed, and its policy tries it again.",
    State.DEP_FAILED: "A task that it depends on did not complete.",
}
_CODES: Mapping[int, str] = {
    126: "a command was found and cannot be executed",
    127: "a command was not found",
}
_SIGNALS: Mapping[str, str] = {
    "SIGABRT": "the program gave up on an error of its own",
    "SIGBUS": "a memory error in the program, or a file that was cut while it was read",
    "SIGFPE": "an arithmetic error, like a division by zero",
    "SIGHUP": "its terminal or its session went away",
    "SIGILL": "an instruction that this processor does not have",
    "SIGINT": "it was interrupted",
    "SIGKILL": "it was killed, often for using more memory than it had asked for",
    "SIGPIPE": "what it wrote to had been closed",
    "SIGSEGV": "a memory error in the program",
    "SIGTERM": "it was told to end",
    "SIGXCPU": "it used up its processor time",
    "SIGXFSZ": "a file grew beyond its limit",
}


@dataclass(frozen=True)
class Ending:
    """Seconds and bytes; None: not known, or (a limit) there is none."""

    title: str
    reason: str
    exit: str | None  # the exit code or signal, in words
    elapsed: float | None
    time_limit: int | None
    memory: int | None  # as it was asked for
    memory_used: int | None = None  # at most
    efficiency: float | None = None  # which part of its processors' time it used

    @property
    def is_out_of_time(self) -> bool:
        """Whether it ran for as long as it was allowed to."""
        limit = self.time_limit
        return limit is not None and self.elapsed is not None and self.elapsed >= limit


@dataclass(frozen=True)
class Ended:
    """What is known of a task that did not complete."""

    state: State
    reason: str | None
    exit_code: int | None
    signal: int | None
    started_at: datetime | None
    finished_at: datetime | None
    time_limit: int | None
    memory: int | None
    cpus: int = 1
    used: Used = UNKNOWN


def ending(task: Ended) -> Ending | None:
    """Why a task did not complete; None for one that did, or may yet."""
    if task.state not in TITLES:
        return None
    elapsed = None
    if task.started_at is not None and task.finished_at is not None:
        elapsed = (task.finished_at - task.started_at).total_seconds()
    return Ending(
        title=TITLES[task.state],
        reason=task.reason or REASONS[task.state],
        exit=exit_words(task.exit_code, task.signal),
        elapsed=elapsed,
        time_limit=task.time_limit,
        memory=task.memory,
        memory_used=task.used.memory,
        efficiency=efficiency(task.used, task.cpus, task.started_at, task.finished_at),
    )


def efficiency(
    used: Used, cpus: int, started_at: datetime | None, ended_at: datetime | None
) -> float | None:
    """Which part of the time of its processors a task used; None: not known, or over at once.

    >>> at = datetime(2026, 1, 1, 9)
    >>> efficiency(Used(cpu=30.0), 2, at, at.replace(minute=1)), efficiency(Used(), 1, at, at)
    (0.25, None)
    """
    if used.cpu is None or started_at is None or ended_at is None:
        return None
    there = (ended_at - started_at).total_seconds() * cpus
    return used.cpu / there if there >= 1 else None


def exit_words(code: int | None, signal: int | None) -> str | None:
    """An exit code or a signal for people; None when there is neither.

    >>> exit_words(3, None), exit_words(127, None), exit_words(0, 15)
    ('3', '127: a command was not found', 'SIGTERM (signal 15): it was told to end')
    >>> exit_words(139, None), exit_words(200, None), exit_words(None, None)
    ('139, for SIGSEGV (signal 11): a memory error in the program', '200', None)
    """
    if signal:
        return _signal(signal)
    if code is None or code <= 128:
        meaning = _CODES.get(code or 0)
        return None if code is None else f"{code}: {meaning}" if meaning else str(code)
    words = _signal(code - 128)
    return f"{code}, for {words}" if words.startswith("SIG") else str(code)


def _signal(number: int) -> str:
    try:
        name = Signals(number).name
    except ValueError:
        return f"signal {number}"
    meaning = _SIGNALS.get(name)
    return f"{name} (signal {number})" + (f": {meaning}" if meaning else "")
