"""How a process of this machine ended, and the thread that ends those that pass their limits.

Why a job is to end is written beside its notes before it is told to: so the next server knows.
"""

import errno
import logging
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from scripthut.backends import processes, scope
from scripthut.clock import utcnow
from scripthut.core import units
from scripthut.core.jobs import UNKNOWN, ExitNote, Job, Phase, Sighting, Token, Used
from scripthut.core.queue import Listed

log = logging.getLogger(__name__)
PERIOD = 1.0  # seconds between two looks at the limits
YOUNG = 2.0  # seconds; what a process holds before is not yet what it will hold, and no use of it
FULL = 0.95  # of its memory: what the kernel kills a job at, but for a page or two
# What passes by itself: a full disk, no more processes, no more files.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_KILLED = 137  # what a shell says of SIGKILL
CANCEL, TIME, MEMORY = "cancel", "timeout", "memory"
KILLED = (
    "Was killed without leaving an exit note (kill -9, out of memory, or the machine restarted)"
)


def mark(job: Job) -> str:
    """The variable by which everything that a job started is known."""
    return f"SCRIPTHUT_OUTPUT_DIR={job.paths.outputs}"


def kill(job: Job, process: psutil.Process | None) -> None:
    """Kill a job with all that it started."""
    processes.kill(process, mark(job), scope.unit(job.token))


def sentence(job: Job, why: str) -> Path:
    """The file that says that a job is to end, and why."""
    return Path(job.paths.state / f"{job.token}.{why}")


def condemn(job: Job, why: str) -> bool:
    """Write down that a job is to end; False when that was known."""
    try:
        sentence(job, why).touch(0o600, exist_ok=False)
    except FileExistsError:
        return False
    return True


def condemned(job: Job) -> tuple[str, float] | None:
    """Why a job is to end, and since when (seconds since 1970); the first reason counts."""
    found: list[tuple[float, str]] = []
    for why in (CANCEL, TIME, MEMORY):
        with suppress(FileNotFoundError):
            found.append((sentence(job, why).lstat().st_mtime, why))
    return (min(found)[1], min(found)[0]) if found else None


def used(job: Job) -> Used:
    """What a job is known to have held at most; its processor time stands in its exit note."""
    try:
        return Used(int(_held(job).read_text()))
    except (FileNotFoundError, ValueError):
        return UNKNOWN


def hold(job: Job, memory: int) -> None:
    """Write down that a job held so much, if that is more than is known."""
    if memory > (used(job).memory or 0):
        _held(job).write_text(str(memory))


def _held(job: Job) -> Path:
    return Path(job.paths.state / f"{job.token}.held")


def waiting(job_id: str, reason: str) -> Sighting:
    """A job that has not started."""
    return Sighting(job_id, Phase.WAITING, "WAITING", reason)


def began(job_id: str) -> Sighting:
    """A job that was started just now."""
    host = socket.gethostname()
    return Sighting(job_id, Phase.RUNNING, "RUNNING", started_at=utcnow(), node=host)


def running(job_id: str, process: psutil.Process) -> Sighting:
    """A job that lives."""
    start = processes.started_at(process)
    return Sighting(job_id, Phase.RUNNING, "RUNNING", started_at=start, node=socket.gethostname())


def ended(job: Job, job_id: str, note: ExitNote | None) -> Sighting:
    """A job that lives no more. There is no scheduler to say more than this: it is final."""
    told = condemned(job)
    why = told[0] if told else MEMORY if _was_full(job, note) else None
    completed = note is not None and note.code == 0
    if completed and why != TIME:  # it ended by itself before anybody could end it
        phase, word, reason = Phase.DONE, "COMPLETED", None
    elif why is not None:
        phase, word, reason = _SENTENCES[why]
        limit = job.resources.time_limit or 0
        reason = reason.format(limit=units.clock(limit), size=units.size(job.resources.memory or 0))
    elif note is not None:
        phase, word, reason = Phase.FAILED, "FAILED", None
    else:
        phase, word, reason = Phase.FAILED, "KILLED", KILLED
    if note is None:
        return Sighting(job_id, phase, word, reason, ended_at=_last_sign(job), used=used(job))
    start, end = note.started_at, note.ended_at
    times = (note.code, None, start, end, note.node)
    return Sighting(job_id, phase, word, reason, *times, used(job).or_more(note.used))


def listed(job: Job, sighting: Sighting, user: str) -> Listed:
    """A job as it stands in the queue of this machine."""
    asked = job.resources
    return Listed(
        job_id=sighting.job_id,
        name=job.name,
        owner=user,
        phase=sighting.phase,
        word=sighting.word,
        reason=sighting.reason,
        partition="",
        cpus=asked.cpus,
        memory=asked.memory,
        time_limit=asked.time_limit,
        submitted_at=job.submitted_at,
        started_at=sighting.started_at,
        node=sighting.node,
        tokens=(job.token,),
    )


def _was_full(job: Job, note: ExitNote | None) -> bool:
    """Whether the kernel killed something of a job when it had all the memory it may have."""
    asked = job.resources.memory
    if note is not None and note.was_full and note.code != 0:
        return asked is not None
    if note is None or note.code != _KILLED or asked is None:
        return False
    held = used(job).or_more(note.used).memory
    return held is not None and held >= asked * FULL


_SENTENCES = {
    CANCEL: (Phase.CANCELLED, "CANCELLED", "Cancelled"),
    TIME: (Phase.FAILED, "TIMEOUT", "Reached its time limit of {limit}"),
    MEMORY: (
        Phase.FAILED,
        "OUT_OF_MEMORY",
        "Ran out of memory: it used more than the {size} it asked for with `memory`",
    ),
}


def _last_sign(job: Job) -> datetime:
    """The last time a job that left no note is known to have lived."""
    places = (job.paths.out, job.paths.err, job.paths.claim, job.paths.state)
    times = [Path(p).lstat().st_mtime for p in places if os.path.lexists(p)]
    return datetime.fromtimestamp(max(times, default=0.0), UTC)


@dataclass(frozen=True)
class Living:
    """A job that runs, and the name of its process."""

    job: Job
    job_id: str


class Guard:
    """A thread that looks at the limits of the jobs that run, once a second."""

    def __init__(self, grace: float, period: float = PERIOD) -> None:
        """`grace`: seconds between asking a job to end and killing it."""
        self._grace = grace
        self._period = period
        self._living: Mapping[Token, Living] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, living: Mapping[Token, Living]) -> None:
        """Look at these jobs from now on, and at no others."""
        self._living = living
        if living and self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="hut-limits", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            for one in list(self._living.values()):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
                    self._look_again_when_full(one)

    def _look_again_when_full(self, one: Living) -> None:
        """Look; what cannot be written down on a full disk is done in the next look, or later."""
        try:
            self.look(one)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            log.warning("limit not enforced yet token=%s: %s", one.job.token, error)

    def look(self, one: Living) -> None:
        """End a job that has passed a limit, and kill one that was asked to end and has not."""
        process = processes.find(one.job_id)
        if process is None:
            return
        told = condemned(one.job)
        if told is not None:
            if utcnow().timestamp() - told[1] >= self._grace or told[0] == MEMORY:
                kill(one.job, process)
            return
        asked = one.job.resources
        age = (utcnow() - processes.started_at(process)).total_seconds()
        if asked.time_limit is not None and age >= asked.time_limit:
            condemn(one.job, TIME)
            log.info("time limit token=%s limit=%s", one.job.token, asked.time_limit)
            processes.end(process)
            return
        held = processes.memory(process)
        is_over = asked.memory is not None and held > asked.memory
        if age >= YOUNG or is_over:
            with suppress(OSError):  # how much it held is no reason not to end it
                hold(one.job, held)
        if is_over:
            condemn(one.job, MEMORY)
            log.info("memory limit token=%s limit=%s", one.job.token, asked.memory)
            kill(one.job, process)
