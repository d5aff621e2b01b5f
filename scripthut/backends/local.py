"""The server's own machine: every job a process of its own, its logs and notes as on a cluster."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import psutil

from scripthut.backends import machine, node, node_script, node_work, processes
from scripthut.clock import utcnow
from scripthut.core.errors import Refused
from scripthut.core.folders import Folder, Placed
from scripthut.core.jobs import (
    Accepted,
    ExitNote,
    Job,
    Observation,
    OutputLimits,
    Phase,
    Rejected,
    RemoteFile,
    Sighting,
    Token,
    Unreadable,
    Watch,
)
from scripthut.core.queue import Queue
from scripthut.core.script import script
from scripthut.core.survey import Surveyed, Wish
from scripthut.transports.local import Local

GRACE = 5.0  # seconds between TERM and KILL
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
# A server that is itself a job of a cluster must not give its own id to its children.
_NOT_OURS = ("SLURM_JOB_ID", "PBS_JOBID", "SLURMD_NODENAME", "SCRIPTHUT_JOB_ID")
KILLED = (
    "Was killed without leaving an exit note (kill -9, out of memory, or the machine restarted)"
)


class LocalBackend:
    """Jobs as processes that outlive the server. One thread at a time."""

    def __init__(
        self,
        name: str,
        limits: OutputLimits | None = None,
        login_shell: bool = False,
        grace: float = GRACE,
    ) -> None:
        """`grace`: seconds between asking a job to end and killing it."""
        self._name = name
        self._limits = limits or OutputLimits()
        self._login_shell = login_shell
        self._grace = grace
        self._children: list[subprocess.Popen[bytes]] = []
        self._machine = Local()

    @property
    def name(self) -> str:
        """The backend's name in the configuration."""
        return self._name

    @property
    def commands(self) -> int:
        """None are needed: no login node is asked."""
        return 0

    def home(self) -> PurePosixPath:
        """The home directory of the server's user."""
        return PurePosixPath(Path.home())

    def close(self) -> None:
        """Leave the jobs alone: they go on."""
        self._reap()
        self._machine.close()

    def submit(self, jobs: Sequence[Job]) -> Mapping[Token, Accepted | Rejected]:
        """See backends/base.py."""
        self._reap()
        return {job.token: self._submit(job) for job in jobs}

    def _submit(self, job: Job) -> Accepted | Rejected:
        try:
            text = self.preview(job)
            file = _prepare(job, text)
        except Refused as error:
            return Rejected(str(error))
        except OSError as error:
            return Rejected(f"{error.filename}: {error.strerror}", wait=error.errno in _FULL)
        bash = [shutil.which("bash") or "/bin/bash", *(["-l"] if self._login_shell else [])]
        env = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
        try:
            out, err = Path(job.paths.out), Path(job.paths.err)
            job_id, child = processes.launch([*bash, str(file)], env, out, err)
        except OSError as error:
            return Rejected(f"cannot be started: {error}", wait=error.errno in _FULL)
        self._children.append(child)
        return Accepted(job_id)

    def observe(self, watches: Sequence[Watch]) -> Observation:
        """See backends/base.py. Who lives is seen before the notes are read: a note comes last."""
        self._reap()
        live = [watch.job for watch in watches if watch.live]
        states = node.states(live)
        claims = _answer({"states": states}).claims
        ids = {j.token: job_id for j in live if (job_id := claims.get(j.token) or j.job_id)}
        alive = {token: p for token, job_id in ids.items() if (p := processes.find(job_id))}
        seen = _answer(
            {
                "states": states,
                "outputs": node.outputs(watches),
                "limits": node.limits(self._limits),
                "logs": node.logs(watches),
            }
        )
        sightings = {}
        for job in live:
            if (job_id := ids.get(job.token)) is not None:
                found = self._sighting(job, job_id, alive.get(job.token), seen)
                sightings.update({job.token: found} if found else {})
        return Observation(
            sightings=sightings,
            notes=seen.notes,
            claims=seen.claims,
            listings=seen.listings,
            contents=seen.contents,
            logs=seen.logs,
            progress=seen.progress,
            unanswered=frozenset(seen.unread) - sightings.keys(),
        )

    def survey(self, watches: Sequence[Watch], wish: Wish) -> tuple[Observation, Surveyed]:
        """See backends/base.py. Who else uses this machine is not asked."""
        seen = self.observe(watches)
        running = {t for t, s in seen.sightings.items() if s.phase is Phase.RUNNING}
        asked = [w.job.resources for w in watches if w.job.token in running]
        told = machine.facts(
            self.home(), sum(r.cpus for r in asked), sum(r.memory or 0 for r in asked)
        )
        queue = Queue(running=len(running)) if wish.queue else None
        return seen, Surveyed(queue, told if wish.facts else None)

    def cancel_listed(self, ids: Collection[str]) -> None:
        """Nothing: all jobs here are ours."""

    def _sighting(
        self, job: Job, job_id: str, process: psutil.Process | None, seen: node.Seen
    ) -> Sighting | None:
        note = seen.notes.get(job.token)
        if process is not None:
            self._press(job, process)
            return _running(job_id, process)
        if job.token in seen.unread:
            return None
        is_cancelled = _cancel_file(job).exists()
        if note is not None:
            return _ended(job_id, note, is_cancelled)
        processes.kill(None, _mark(job))
        if is_cancelled:
            return Sighting(
                job_id, Phase.CANCELLED, "CANCELLED", "Cancelled", ended_at=_last_sign(job)
            )
        return Sighting(job_id, Phase.FAILED, "KILLED", KILLED, ended_at=_last_sign(job))

    def cancel(self, jobs: Collection[Job]) -> None:
        """TERM to the job's group at first; KILL to all it started when it is asked again later."""
        self._reap()
        claims = _answer({"states": node.states(jobs)}).claims
        for job in jobs:
            job_id = claims.get(job.token) or job.job_id
            process = processes.find(job_id) if job_id else None
            if process is None:
                continue
            try:
                _cancel_file(job).touch(0o600, exist_ok=False)
            except FileExistsError:
                self._press(job, process)
            else:
                processes.end(process)

    def _press(self, job: Job, process: psutil.Process) -> None:
        """Kill a job that was asked to end and has not."""
        try:
            asked = _cancel_file(job).lstat().st_mtime
        except FileNotFoundError:
            return
        if utcnow().timestamp() - asked >= self._grace:
            processes.kill(process, _mark(job))

    def fetch(
        self, files: Collection[tuple[Job, RemoteFile]]
    ) -> Iterator[tuple[RemoteFile, bytes]]:
        """See backends/base.py."""
        most = self._limits.file_bytes
        for part in node.wanted(files, most):
            told: list[node.Record] = []
            node_script.answer(dict(node.fetching(part, most)), told.append)
            yield from node.fetched(part, told)

    def preview(self, job: Job) -> str:
        """See backends/base.py."""
        return script(job, [], self._login_shell)

    def read(self, paths: Mapping[str, str], most: int) -> Mapping[str, bytes | Unreadable]:
        """See backends/base.py."""
        told: list[node.Record] = []
        node_script.answer(dict(node_work.reading(paths, most)), told.append)
        return node_work.texts(told)

    def find(self, root: str, glob: str, besides: Sequence[str] = ()) -> node_work.Found:
        """See backends/base.py."""
        request = node_work.finding(root, glob, besides)
        return node_work.found(self._ask(request, node_work.FIND_SECONDS))

    def place(self, folder: Folder, offset: int = 0, data: bytes = b"") -> Placed:
        """See backends/base.py."""
        request = node_work.placing(folder, offset, data)
        return node_work.placed(self._ask(request, node_work.PLACE_SECONDS))

    def _ask(self, request: node.Record, timeout: float) -> list[node.Record]:
        """Answer in a process of its own: it may start one that outlives it."""
        return node.ask(self._machine, request, timeout, sys.executable)

    def _reap(self) -> None:
        """Take leave of children that ended; else they would stay as zombies."""
        self._children = [child for child in self._children if child.poll() is None]


def _answer(request: dict[str, object]) -> node.Seen:
    told: list[node.Record] = []
    node_script.answer(request, told.append)
    return node.understand(told)


def _prepare(job: Job, text: str) -> Path:
    """Make the directories and write the job's script beside its notes."""
    for log in (job.paths.out, job.paths.err):
        Path(log.parent).mkdir(parents=True, exist_ok=True)
    Path(job.paths.state).mkdir(mode=0o700, parents=True, exist_ok=True)
    file = Path(job.paths.state / f"{job.token}.sh")
    file.write_bytes(text.encode("utf-8", "replace"))
    return file


def _cancel_file(job: Job) -> Path:
    return Path(job.paths.state / f"{job.token}.cancel")


def _mark(job: Job) -> str:
    return f"SCRIPTHUT_OUTPUT_DIR={job.paths.outputs}"


def _running(job_id: str, process: psutil.Process) -> Sighting:
    return Sighting(
        job_id,
        Phase.RUNNING,
        "RUNNING",
        started_at=processes.started_at(process),
        node=socket.gethostname(),
    )


def _ended(job_id: str, note: ExitNote, is_cancelled: bool) -> Sighting:
    """There is no scheduler to say more than the note: what it says is final."""
    if note.code == 0:
        phase, word = Phase.DONE, "COMPLETED"
    elif is_cancelled:
        phase, word = Phase.CANCELLED, "CANCELLED"
    else:
        phase, word = Phase.FAILED, "FAILED"
    return Sighting(
        job_id,
        phase,
        word,
        "Cancelled" if phase is Phase.CANCELLED else None,
        exit_code=note.code,
        started_at=note.started_at,
        ended_at=note.ended_at,
        node=note.node,
    )


def _last_sign(job: Job) -> datetime:
    """The last time a job that left no note is known to have lived."""
    places = (job.paths.out, job.paths.err, job.paths.claim, job.paths.state)
    times = [Path(p).lstat().st_mtime for p in places if os.path.lexists(p)]
    return datetime.fromtimestamp(max(times, default=0.0), UTC)
