"""The server's own machine: every job a process of its own, its logs and notes as on a cluster."""

import logging
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath

import psutil

from scripthut.backends import disk, machine, node, node_work, processes
from scripthut.backends.asking import Node, Ring
from scripthut.backends.local_end import (
    CANCEL,
    NO_ROOM,
    Guard,
    Living,
    began,
    condemn,
    condemned,
    ended,
    hold,
    kill,
    listed,
    running,
    waiting,
)
from scripthut.backends.local_room import Room, starting
from scripthut.backends.scope import Scopes
from scripthut.backends.sent.script import answer
from scripthut.backends.turns import Turns
from scripthut.config.machine import processors
from scripthut.core.disk import Told, Wanted
from scripthut.core.errors import Refused
from scripthut.core.folders import Folder, Placed
from scripthut.core.jobs import (
    Accepted,
    Got,
    Job,
    Observation,
    OutputLimits,
    Piece,
    Rejected,
    RemoteFile,
    Sighting,
    Token,
    Unreadable,
    Watch,
)
from scripthut.core.queue import bounded
from scripthut.core.script import script
from scripthut.core.sights import Crowd, Ended
from scripthut.core.survey import Surveyed, Wish
from scripthut.transports.local import Local

log = logging.getLogger(__name__)
GRACE = 5.0  # seconds between TERM and KILL
# A server that is itself a job of a cluster must not give its own id to its children.
_NOT_OURS = ("SLURM_JOB_ID", "PBS_JOBID", "SLURMD_NODENAME", "SCRIPTHUT_JOB_ID")
NOBODY_ELSE = "What runs on this machine is what scripthut started: nobody else has a queue here."
NO_ACCOUNTS = "This machine keeps no accounts of what ended."
WAITS = "local-"  # begins the id of a job that was taken and has not started


class LocalBackend:
    """Jobs as processes that outlive the server. One thread at a time."""

    def __init__(
        self,
        name: str,
        limits: OutputLimits | None = None,
        login_shell: bool = False,
        grace: float = GRACE,
        room: Room | None = None,
    ) -> None:
        """`grace`: seconds between asking a job to end and killing it.

        `room`: what jobs may use at the same time; None: all that the machine has.
        """
        self._name = name
        self._limits = limits or OutputLimits()
        self._login_shell = login_shell
        self._numbers = processors()
        self._whole = room or machine.whole()
        self.scopes = Scopes()
        self._guard = Guard(grace)
        self._living: dict[Token, Living] = {}
        self._waiting: dict[Token, Job] = {}  # in the order in which they start
        self._children: list[tuple[Job, subprocess.Popen[bytes]]] = []
        self.ring = Ring()
        self._machine = Node(Local(), self.ring, sys.executable)
        self._turns = Turns()

    @property
    def name(self) -> str:
        """The backend's name in the configuration."""
        return self._name

    @property
    def commands(self) -> int:
        """None are needed: no login node is asked."""
        return 0

    @property
    def makes_arrays(self) -> bool:
        """Each job is a process of its own."""
        return False

    def home(self) -> PurePosixPath:
        """The home directory of the server's user."""
        return PurePosixPath(Path.home())

    def close(self) -> None:
        """Leave the jobs alone: they go on."""
        self._guard.close()
        self._reap()
        self._machine.close()

    def submit(self, jobs: Sequence[Job]) -> Mapping[Token, Accepted | Rejected]:
        """See backends/base.py. What there is no room for waits, behind what waits already."""
        self._reap()
        answers = {job.token: self._take(job) for job in jobs}
        taken = [job for job in jobs if isinstance(answers[job.token], Accepted)]
        self._waiting |= {job.token: job for job in taken}
        self._start()
        started = [self._living[job.token] for job in taken if job.token in self._living]
        return answers | {one.job.token: Accepted(one.job_id) for one in started}

    def _take(self, job: Job) -> Accepted | Rejected:
        """Write the job's script, from which it can start at any time."""
        try:
            _prepare(job, self.preview(job))
            for log in (job.paths.out, job.paths.err):
                processes.log(Path(log)).close()
        except Refused as error:
            return Rejected(str(error))
        except OSError as error:
            return Rejected(f"{error.filename}: {error.strerror}", wait=error.errno in NO_ROOM)
        return Accepted(f"{WAITS}{job.token}")

    def _start(self) -> dict[Token, Sighting]:
        """Start the waiting jobs that there is room for; what is to be said of each."""
        jobs = [job for job in self._waiting.values() if condemned(job) is None]
        running = [one.job for one in self._living.values()]
        said: dict[Token, Sighting] = {}
        for job, found in zip(jobs, starting(self._whole, running, jobs), strict=True):
            job_id = f"{WAITS}{job.token}"
            if isinstance(found, str):
                said[job.token] = waiting(job_id, found)
                continue
            try:
                job_id = self._launch(job)
            except OSError as error:
                said[job.token] = waiting(job_id, f"Waits: it cannot be started ({error})")
                continue
            del self._waiting[job.token]
            self._living[job.token] = Living(job, job_id)
            said[job.token] = began(job_id)
        self._guard.watch(dict(self._living))
        return said

    def _launch(self, job: Job) -> str:
        """Start a job; the name of its process. A second one of it would meet the claim."""
        bash = [shutil.which("bash") or "/bin/bash", *(["-l"] if self._login_shell else [])]
        env = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
        out, err = Path(job.paths.out), Path(job.paths.err)
        within = self.scopes.before(job.token, job.resources.memory, job.resources.cpus)
        argv = [*within, *bash, str(_file(job, "sh"))]
        if within:
            _file(job, "scoped").touch()
        job_id, child = processes.launch(argv, env, out, err, self._processors(job))
        _file(job, "job").write_text(job_id)
        self._children.append((job, child))
        return job_id

    def _processors(self, job: Job) -> frozenset[int]:
        """The processors for a job: those that no other one of ours was given."""
        free = set(self._numbers)
        for one in self._living.values():
            process = processes.find(one.job_id)
            given = processes.pinned(process) if process else frozenset[int]()
            free -= given if given != self._numbers else frozenset()
        wanted = self._whole.of(job).cpus
        enough = wanted < len(self._numbers) and wanted <= len(free)
        return frozenset(sorted(free)[:wanted]) if enough else frozenset()

    def observe(self, watches: Sequence[Watch]) -> Observation:
        """See backends/base.py. Who lives is seen before the notes are read: a note comes last."""
        self._reap()
        live = [watch.job for watch in watches if watch.live]
        states = node.states(live)
        claims = _answer({"states": states}).claims
        ids = {job.token: claims.get(job.token) or _id_of(job) for job in live}
        alive = {token: p for token, job_id in ids.items() if (p := processes.find(job_id or ""))}
        turned = self._turns.next(watches)
        seen = _answer(
            {
                "states": states,
                "outputs": node.outputs(turned),
                "limits": node.limits(self._limits),
                "logs": node.logs(turned),
            }
        )
        sightings: dict[Token, Sighting] = {}
        self._living, self._waiting = {}, {}
        for job in live:
            job_id = ids[job.token]
            if job_id is not None and (found := self._sighting(job, job_id, alive, seen)):
                sightings[job.token] = found
        sightings |= self._start()
        return Observation(
            sightings=sightings,
            notes=seen.notes,
            claims=seen.claims,
            withdrawn=frozenset(seen.withdrawn),
            listings=seen.listings,
            contents=seen.contents,
            logs=seen.logs,
            progress=seen.progress,
            later=frozenset(seen.later),
            unanswered=frozenset(seen.unread) - sightings.keys(),
        )

    def _sighting(
        self, job: Job, job_id: str, alive: Mapping[Token, psutil.Process], seen: node.Seen
    ) -> Sighting | None:
        process, note = alive.get(job.token), seen.notes.get(job.token)
        if process is not None:
            self._living[job.token] = Living(job, job_id)
            return running(job_id, process)
        if job.token in seen.unread:
            return None
        is_claimed = job.token in seen.claims or job.token in seen.withdrawn
        has_begun = not job_id.startswith(WAITS)
        if has_begun and note is None and not is_claimed and self._is_free_again(job):
            has_begun = False
        if note is None and not has_begun and condemned(job) is None:
            self._waiting[job.token] = job
            return None
        if has_begun and (note is None or condemned(job) is not None):
            kill(job, None)
        return ended(job, job_id, note)

    def _is_free_again(self, job: Job) -> bool:
        """Whether a job did not begin since its scope did not; it then starts without one."""
        try:
            _file(job, "scoped").unlink()
        except FileNotFoundError:
            return False
        self.scopes.distrust()
        _file(job, "job").write_text(f"{WAITS}{job.token}")
        return True

    def survey(self, watches: Sequence[Watch], wish: Wish) -> tuple[Observation, Surveyed]:
        """See backends/base.py. Who else uses this machine is not asked."""
        seen = self.observe(watches)
        if not wish:
            return seen, Surveyed()
        seen = replace(seen, pieces=self.read_pieces(wish.pieces))
        jobs = {watch.job.token: watch.job for watch in watches if watch.live}
        left = self._whole.without(one.job for one in self._living.values())
        told = machine.facts(self.home(), self._whole, left, len(self._waiting))
        user = pwd.getpwuid(os.geteuid()).pw_name
        queue = bounded(
            (sighting.phase, 1, partial(listed, jobs[token], sighting, user))
            for token, sighting in seen.sightings.items()
        )
        return seen, Surveyed(
            queue if wish.queue else None,
            told if wish.facts else None,
            Crowd(user, note=NOBODY_ELSE) if wish.crowd else None,
            Ended(is_told=False, note=NO_ACCOUNTS) if wish.ended else None,
        )

    def cancel_listed(self, ids: Collection[str]) -> None:
        """Nothing: all jobs here are ours."""

    def read_pieces(self, pieces: Sequence[Piece]) -> Mapping[int, Got]:
        """See backends/base.py."""
        return _answer({"pieces": node.pieces(pieces)}).pieces if pieces else {}

    def cancel(self, jobs: Collection[Job]) -> None:
        """TERM to the job's group at first; KILL to all it started when it is asked again later."""
        self._reap()
        places = node.states(jobs)
        claims = _answer({"withdrawals": places, "states": places}).claims
        for job in jobs:
            try:
                self._cancel(job, claims.get(job.token) or _id_of(job))
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                log.warning("not cancelled yet token=%s: %s", job.token, error)

    def _cancel(self, job: Job, job_id: str | None) -> None:
        process = processes.find(job_id) if job_id else None
        if process is not None and not condemn(job, CANCEL):
            self._guard.look(Living(job, str(job_id)))
        elif process is not None:
            processes.end(process)
        elif job_id is not None and job_id.startswith(WAITS):
            condemn(job, CANCEL)
            self._waiting.pop(job.token, None)

    def fetch(
        self, files: Collection[tuple[Job, RemoteFile]]
    ) -> Iterator[tuple[RemoteFile, bytes]]:
        """See backends/base.py."""
        most = self._limits.file_bytes
        for part in node.wanted(files, most):
            told: list[node.Record] = []
            answer(dict(node.fetching(part, most)), told.append)
            yield from node.fetched(part, told)

    def preview(self, job: Job) -> str:
        """See backends/base.py."""
        return script(job, [], self._login_shell)

    def read(self, paths: Mapping[str, str], most: int) -> Mapping[str, bytes | Unreadable]:
        """See backends/base.py."""
        told: list[node.Record] = []
        answer(dict(node_work.reading(paths, most)), told.append)
        return node_work.texts(told)

    def find(self, root: str, glob: str, besides: Sequence[str] = ()) -> node_work.Found:
        """See backends/base.py."""
        request = node_work.finding(root, glob, besides)
        return node_work.found(self._ask(request, node_work.FIND_SECONDS))

    def place(self, folder: Folder, offset: int = 0, data: bytes = b"") -> Placed:
        """See backends/base.py."""
        request = node_work.placing(folder, offset, data)
        return node_work.placed(self._ask(request, node_work.PLACE_SECONDS))

    def drop(self, folders: Sequence[Folder], idle: timedelta) -> list[str | None]:
        """See backends/base.py."""
        request = node_work.dropping(folders, idle)
        return node_work.dropped(folders, self._ask(request, node_work.PLACE_SECONDS))

    def hold(self, folders: Sequence[Folder], notes: Sequence[PurePosixPath] = ()) -> None:
        """See backends/base.py."""
        self._ask(node_work.holding(folders, notes), node_work.PLACE_SECONDS)

    def disk(self, wanted: Wanted) -> Told:
        """See backends/base.py."""
        request = disk.asking(wanted, self.home())
        return disk.told(wanted, self._ask(request, disk.SECONDS))

    def _ask(self, request: node.Record, timeout: float) -> list[node.Record]:
        """Answer in a process of its own: it may start one that outlives it."""
        return self._machine.ask(request, timeout)

    def _reap(self) -> None:
        """Take leave of children that ended; else they would stay as zombies."""
        self._children = [one for one in self._children if not self._has_ended(*one)]

    @staticmethod
    def _has_ended(job: Job, child: "subprocess.Popen[bytes]") -> bool:
        held = processes.reap(child)
        if held:
            with suppress(OSError):
                hold(job, held)
        return held is not None


def _answer(request: dict[str, object]) -> node.Seen:
    told: list[node.Record] = []
    answer(request, told.append)
    return node.understand(told)


def _prepare(job: Job, text: str) -> None:
    """Make the directories and write the job's script beside its notes."""
    for log in (job.paths.out, job.paths.err):
        Path(log.parent).mkdir(parents=True, exist_ok=True)
    Path(job.paths.state).mkdir(mode=0o700, parents=True, exist_ok=True)
    _file(job, "sh").write_bytes(text.encode("utf-8", "replace"))


def _file(job: Job, kind: str) -> Path:
    return Path(job.paths.state / f"{job.token}.{kind}")


def _id_of(job: Job) -> str | None:
    """The name of a job's process when it has been started, else the one under which it waits."""
    try:
        return _file(job, "job").read_text()
    except FileNotFoundError:
        return job.job_id
