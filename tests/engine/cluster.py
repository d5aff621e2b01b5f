"""A simulated cluster behind the Backend seam: it does what it is told, and lies when told to.

Real clusters are in tests/cluster; this one is for what they cannot be made to do on command.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from scripthut.backends.asking import Ring
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import (
    Accepted,
    Area,
    ExitNote,
    Got,
    Job,
    Listing,
    Observation,
    Phase,
    Piece,
    Rejected,
    RemoteFile,
    Sighting,
    Token,
    Unreadable,
    Used,
    Watch,
)
from scripthut.core.queue import Queue
from scripthut.core.survey import Facts, Surveyed, Wish

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class FakeCluster:
    """Jobs by id; each is waiting, running, ended (in the queue's memory), or purged."""

    name: str = "hpc"
    commands: int = 0
    ring: Ring = field(default_factory=Ring)
    makes_arrays: bool = False
    now: datetime = START
    is_ahead: timedelta = timedelta()  # the nodes' clock, of ours
    is_broken: bool = False
    loses_answers: bool = False  # takes the jobs, and the answer never arrives
    drops_questions: bool = False  # the question never arrives
    refuses: Mapping[str, Rejected] = field(default_factory=dict)  # task id -> answer
    jobs: dict[str, Job] = field(default_factory=dict)
    rows: dict[str, Sighting] = field(default_factory=dict)
    notes: dict[Token, ExitNote] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)  # task ids, in order
    documents: dict[str, bytes | Unreadable] = field(default_factory=dict)  # path -> what it holds
    asked_for: list[str] = field(default_factory=list)  # paths, in order
    claims: bool = False  # every job has claimed its token
    withdrawn: set[Token] = field(default_factory=set)
    claimed: dict[Token, str] = field(default_factory=dict)
    writes: bool = False  # every task has written a file
    submitted_when_fetched: list[list[str]] = field(default_factory=list)
    used: dict[str, Used] = field(default_factory=dict)  # task id -> what the records say
    queue: Queue = field(default_factory=Queue)
    facts: Facts = field(default_factory=Facts)

    def home(self) -> PurePosixPath:
        self._answer()
        return PurePosixPath("/home/ada")

    def submit(self, jobs: Sequence[Job]) -> Mapping[Token, Accepted | Rejected]:
        self._answer()
        if self.drops_questions:
            raise Unreachable("the connection was cut")
        answers: dict[Token, Accepted | Rejected] = {}
        for job in jobs:
            if job.key in self.refuses:
                answers[job.token] = self.refuses[job.key]
                continue
            job_id = str(100 + len(self.jobs))
            self.jobs[job_id] = replace(job, job_id=job_id)
            self.rows[job_id] = Sighting(job_id, Phase.WAITING, "PENDING", "Waits for resources")
            self.submitted.append(job.key)
            answers[job.token] = Accepted(job_id)
        if self.loses_answers:
            raise Unreachable("the connection was cut")
        return answers

    def observe(self, watches: Sequence[Watch]) -> Observation:
        self._answer()
        wanted = {watch.job.token for watch in watches}
        by_token = {job.token: job_id for job_id, job in self.jobs.items()}
        seen = {
            t: self.rows[by_token[t]] for t in wanted & set(by_token) if by_token[t] in self.rows
        }
        notes = {t: note for t, note in self.notes.items() if t in wanted}
        claims = {t: by_token[t] for t in wanted & set(by_token)} if self.claims else {}
        return Observation(
            seen,
            notes,
            {**claims, **{t: job_id for t, job_id in self.claimed.items() if t in wanted}},
            listings=self._listings(wanted) if self.writes else {},
            withdrawn=frozenset(self.withdrawn & wanted),
            used={
                watch.job.token: self.used[watch.job.key]
                for watch in watches
                if watch.measure and watch.job.key in self.used
            },
        )

    def _listings(self, tokens: Collection[Token]) -> Mapping[Token, Listing]:
        files = {t: (RemoteFile(t, Area.OUTPUT, b"plot.png", 1, 1),) for t in tokens}
        return {t: Listing(f"mark of {t}", found) for t, found in files.items()}

    def survey(self, watches: Sequence[Watch], wish: Wish) -> tuple[Observation, Surveyed]:
        if not watches:
            self._answer()
        seen = self.observe(watches) if watches else Observation()
        queue = self.queue if wish.queue else None
        return seen, Surveyed(queue, self.facts if wish.facts else None)

    def cancel_listed(self, ids: Collection[str]) -> None:
        self._answer()
        self.cancelled += list(ids)

    def cancel(self, jobs: Collection[Job]) -> None:
        self._answer()
        self.withdrawn |= {job.token for job in jobs} - self.claimed.keys()
        known = {job.token: job_id for job_id, job in self.jobs.items()}
        for job in jobs:
            if (job_id := known.get(job.token)) and job_id in self.rows:
                self.cancelled.append(job.key)
                self.rows[job_id] = self._row(job.key, Phase.CANCELLED, "CANCELLED")

    def read_pieces(self, pieces: Sequence[Piece]) -> Mapping[int, Got]:
        self._answer()
        return {}

    def fetch(
        self, files: Collection[tuple[Job, RemoteFile]]
    ) -> Iterator[tuple[RemoteFile, bytes]]:
        self._answer()
        self.submitted_when_fetched.append(list(self.submitted))
        return iter(())

    def read(self, paths: Mapping[str, str], most: int) -> Mapping[str, bytes | Unreadable]:
        self._answer()
        assert most == 32 * 1024 * 1024
        missing = Unreadable("No such file or directory", is_missing=True)
        self.asked_for += paths.values()
        return {key: self.documents.get(path, missing) for key, path in paths.items()}

    def close(self) -> None:
        """Nothing to close."""

    # What a test does to it.

    def runs(self, *keys: str) -> None:
        for key in keys:
            self.rows[self._id(key)] = self._row(key, Phase.RUNNING, "RUNNING")

    def ends(self, *keys: str, code: int = 0, leaves_note: bool = True) -> None:
        for key in keys:
            word, phase = ("COMPLETED", Phase.DONE) if code == 0 else ("FAILED", Phase.FAILED)
            row = self._row(key, phase, word)
            at = self.now + self.is_ahead
            began = at - timedelta(seconds=5)
            self.rows[row.job_id] = replace(row, exit_code=code, started_at=began, ended_at=at)
            if leaves_note:
                job = self.jobs[row.job_id]
                note = ExitNote(job.token, row.job_id, code, began, at, "n1")
                self.notes[job.token] = note

    def ends_newest(self, key: str) -> None:
        """The last attempt of a task ends well."""
        job = [job for job in self.jobs.values() if job.key == key][-1]
        job_id = job.job_id or ""
        self.claimed[job.token] = job_id
        self.rows[job_id] = Sighting(
            job_id, Phase.DONE, "COMPLETED", started_at=self.now, ended_at=self.now, node="n1"
        )

    def purges(self, *keys: str) -> None:
        for key in keys:
            del self.rows[self._id(key)]

    def _id(self, key: str) -> str:
        return next(job_id for job_id, job in self.jobs.items() if job.key == key)

    def _row(self, key: str, phase: Phase, word: str) -> Sighting:
        if phase is not Phase.CANCELLED:
            self.claimed[self.jobs[self._id(key)].token] = self._id(key)
        return Sighting(self._id(key), phase, word, started_at=self.now, node="n1")

    def _answer(self) -> None:
        if self.is_broken:
            raise Unreachable("no route to host")
        self.commands += 1
