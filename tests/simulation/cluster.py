"""A cluster in memory that lies in every way that real ones do, and knows the truth.

It stands behind the seams to a machine and to a scheduler's language, so that all between them and
the database is the program's own: `machine.py` gives it those two faces.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from random import Random

from scripthut.core import tokens
from scripthut.core.jobs import Phase

MINUTE, HOUR = 60.0, 3600.0
STALE_BY = 15.0  # seconds that a queue may be behind


class Lie(StrEnum):
    """What a cluster, its network and its server may do to us."""

    LOST = "answers are lost after the act"
    UNHEARD = "questions are lost before the act"
    CUT = "answers end anywhere, at their very beginning too"
    ROWS = "rows come twice and in any order, and those of earlier runs with them"
    BROKEN = "the line breaks between two submissions of one command"
    LATE = "a submission is taken minutes after its answer was given up"
    TWICE = "one submission makes two jobs"
    SLOW = "a job shows only a while after it was taken"
    STALE = "the queue answers with what it was a moment ago"
    BETWEEN = "jobs begin and end between the parts of one answer"
    PURGE = "an ended job leaves the queue at once"
    LAG = "accounting lags by hours"
    SILENT = "accounting does not answer"
    NONE = "there is no accounting"
    NFS = "what a node wrote is seen up to a minute later"
    REQUEUE = "jobs are requeued, some by themselves, and leave notes of their earlier runs"
    PREEMPT = "jobs are preempted, and some of them run again"
    REUSE = "ids begin anew, and others' jobs get them"
    OUTAGE = "no answer for hours"
    KILLED = "jobs die without a note"
    OTHERS = "others cancel jobs"
    FULL = "the scheduler takes no more for now, least of all large arrays"
    CRASH = "the server is killed anywhere"
    CLOCK = "the server's clock jumps"
    SLEEP = "the leader sleeps in the middle of a command, and another one leads"


@dataclass(eq=False)
class SimJob:
    """One job of the scheduler; `index`: in the array that it is an element of, else None."""

    number: int
    token: str
    queued_at: float
    shown_at: float
    index: int | None = None
    taken_at: float = 0.0
    began_at: float | None = None  # for the first time
    forgotten_at: float | None = None  # no record says any more that there was such an element
    phase: Phase = Phase.WAITING
    word: str = "PENDING"
    code: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    runs: int = 0  # incarnations begun
    returns: bool = False  # shows an end, and will run again
    alive: int = 0  # changes whenever what was planned for it is void

    @property
    def id(self) -> str:
        return str(self.number) if self.index is None else f"{self.number}_{self.index}"

    @property
    def name(self) -> str:
        """What it is called: an element as its whole array, by the token of index 0."""
        return self.token if self.index is None else tokens.place(self.token)[0]

    @property
    def is_untouched(self) -> bool:
        """Whether it is an element that has never begun, and so stands in a row with others."""
        return self.index is not None and self.phase is Phase.WAITING and self.runs == 0

    def row(self) -> dict[str, object]:
        """As the queue lists it at this moment."""
        return {
            "id": self.id,
            "token": self.name,
            "phase": self.phase.value,
            "word": self.word,
            "code": self.code,
            "queued": self.queued_at,
            "start": self.started_at,
            "end": self.ended_at,
        }


@dataclass
class SimCluster:
    """The scheduler, its nodes, its files and its accounts; times in seconds since the start."""

    chance: Random
    lies: frozenset[Lie]
    now: float = 0.0
    jobs: list[SimJob] = field(default_factory=list)
    claims: dict[str, tuple[SimJob | None, float]] = field(default_factory=dict)
    notes: dict[str, list[tuple[float, str | None]]] = field(default_factory=dict)
    ran: dict[str, list[SimJob]] = field(default_factory=dict)  # token -> jobs that ran the command
    ended: dict[str, str] = field(default_factory=dict)  # token -> how its last run ended
    accounts: list[tuple[float, dict[str, object]]] = field(default_factory=list)
    down_until: float = 0.0
    is_well: bool = False
    cancels: bool = False  # somebody may cancel jobs
    array_limit: int = 1001  # the first index that no array may have; 0: it takes none
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _past: list[tuple[float, list[dict[str, object]]]] = field(default_factory=list)
    _count: "count[int]" = field(default_factory=count)
    _next_id: int = 100

    def lies_by(self, lie: Lie, share: float) -> bool:
        """Whether it lies so now, in a share of the cases."""
        return lie in self.lies and not self.is_well and self.chance.random() < share

    def pause(self, shortest: float, longest: float) -> float:
        return self.chance.uniform(shortest, longest)

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._count), event))

    def pass_time(self, seconds: float) -> None:
        """Let happen what happens until then."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
            if Lie.STALE in self.lies:
                self._past.append((self.now, self._rows()))
        self.now = until

    def settle(self) -> None:
        """Let everything happen that will."""
        while self._events:
            self.pass_time(self._events[0][0] - self.now)

    # The scheduler.

    def take(self, token: str, indices: Collection[int] | None = None) -> str:
        """A job is accepted, or an array of that name; its id."""
        if self.lies_by(Lie.REUSE, 0.2):
            self._next_id = 100
        places = [None] if indices is None else sorted(indices)
        taken = {index: _element(token, index) for index in places}
        # Not for two submissions of one task: their claims could not be told apart.
        mine = set(taken.values())
        while any(job.number == self._next_id and job.token in mine for job in self.jobs):
            self._next_id += 1
        number, shown_at = self._next_id, self.now
        self._next_id += 1
        if self.lies_by(Lie.SLOW, 0.5):
            shown_at += self.pause(1, 30)
        for index, own in taken.items():
            job = SimJob(number, own, self.now, shown_at, index, self.now)
            self.jobs.append(job)
            self._queue(job, self.pause(0, 40))
        return str(number)

    def has_room(self, count: int) -> bool:
        """Whether so many jobs are taken at once now."""
        return not (self.lies_by(Lie.FULL, 0.3) or (count > 2 and self.lies_by(Lie.FULL, 0.5)))

    def _queue(self, job: SimJob, wait: float) -> None:
        job.alive += 1
        self.after(wait, self._if_alive(job, self._start))
        if self.lies_by(Lie.OTHERS, 0.3):
            self.after(self.pause(0, 120), self._if_alive(job, self._cancel))

    def _if_alive(self, job: SimJob, act: Callable[[SimJob], None]) -> Callable[[], None]:
        planned = job.alive
        return lambda: act(job) if job.alive == planned else None

    def _start(self, job: SimJob) -> None:
        job.phase, job.word, job.started_at = Phase.RUNNING, "RUNNING", self.now
        owner, _ = self.claims.setdefault(job.token, (job, self.now + self._lag()))
        if owner is not job:  # it met another's claim: nothing runs
            self.after(1, self._if_alive(job, lambda j: self._end(j, Phase.DONE, "COMPLETED", 0)))
            return
        job.runs += 1
        job.began_at = self.now if job.began_at is None else job.began_at
        if job not in self.ran.setdefault(job.token, []):
            self.ran[job.token].append(job)
        self.ended[job.token] = "runs"
        self._write_note(job.token, None)  # a new run removes the note of the one before
        self.after(self.pause(1, 90), self._if_alive(job, self._finish))

    def _finish(self, job: SimJob) -> None:
        """The command ends, or is ended, in one of many ways."""
        if job.runs < 3 and self.lies_by(Lie.REQUEUE, 0.4):
            # One that exits 0, goes back into the queue and is cancelled there, all unseen, is
            # known to the accounting alone: where that is late or silent, nobody can tell.
            # So is one that does so before the queue has shown it at all.
            is_hidden = self.cancels and self.lies & {Lie.LAG, Lie.SILENT, Lie.NONE}
            is_hidden = is_hidden or self.now < job.shown_at + STALE_BY
            codes = [None, 1, 143] if is_hidden else [None, 0, 1, 143]
            self._requeue(job, "COMPLETING", self.chance.choice(codes))
        elif job.runs < 3 and self.lies_by(Lie.PREEMPT, 0.3):
            self._requeue(job, self.chance.choice(["PREEMPTED", "NODE_FAIL"]), 143)
        elif self.lies_by(Lie.PREEMPT, 0.2):
            self._over(job, Phase.FAILED, "PREEMPTED", 143, None)
        elif self.lies_by(Lie.KILLED, 0.4):
            self._over(job, Phase.FAILED, self.chance.choice(["OUT_OF_MEMORY", "FAILED"]), None, 9)
        else:
            code = self.chance.choice([0, 0, 0, 0, 1, 255])
            word = "FAILED" if code else "COMPLETED"
            self._over(job, Phase.FAILED if code else Phase.DONE, word, code, code)

    def _over(
        self, job: SimJob, phase: Phase, word: str, note: int | None, code: int | None
    ) -> None:
        """The job's script ends; a moment later, so does the job."""
        job.alive += 1
        if note is not None:
            self._write_note(job.token, self._note(job, note))
        truth = {Phase.DONE: "ok", Phase.CANCELLED: "cancelled"}.get(phase, "bad")
        self.ended[job.token] = "killed" if truth == "bad" and note in (None, 143) else truth
        job.word = "COMPLETING"
        self.after(self.pause(0, 5), self._if_alive(job, lambda j: self._end(j, phase, word, code)))

    def _end(self, job: SimJob, phase: Phase, word: str, code: int | None) -> None:
        job.alive += 1
        job.phase, job.word, job.code, job.ended_at = phase, word, code, self.now
        lag = self.pause(0, 3 * HOUR) if self.lies_by(Lie.LAG, 0.7) else self.pause(0, 5)
        self.accounts.append((self.now + lag, job.row()))

    def _requeue(self, job: SimJob, word: str, note: int | None) -> None:
        """It will run again, with the same id; some schedulers show an end in between."""
        job.alive += 1
        job.returns = True
        if note is not None:
            self._write_note(job.token, self._note(job, note))
        job.word = word
        if word != "COMPLETING":
            job.phase, job.ended_at = Phase.FAILED, self.now
            self.accounts.append((self.now + self.pause(0, 60), job.row()))
        self.after(self.pause(1, 20), self._if_alive(job, self._wait_again))

    def _wait_again(self, job: SimJob) -> None:
        job.phase, job.word, job.queued_at = Phase.WAITING, "PENDING", self.now
        job.started_at = job.ended_at = None
        job.returns = False
        self._queue(job, self.pause(5, 130))

    def cancel(self, ids: Collection[str]) -> None:
        """As scancel does."""
        for job in self.jobs:
            if job.id in ids and job.phase in (Phase.WAITING, Phase.RUNNING):
                self._cancel(job)

    def _cancel(self, job: SimJob) -> None:
        if job.is_untouched and any(
            other.is_untouched and other.number == job.number and other is not job
            for other in self.jobs
        ):
            # Slurm takes it out of the record of those that wait, and writes down none of its own.
            job.alive += 1
            job.phase, job.word = Phase.CANCELLED, "CANCELLED"
            job.shown_at, job.forgotten_at = float("inf"), self.now
            return
        if job.word == "COMPLETING" and self.ended.get(job.token) != "runs":
            return  # it has ended already
        is_ours = self.claims.get(job.token, (None, 0.0))[0] is job
        if job.phase is Phase.WAITING or not is_ours:
            if is_ours:  # requeued, and now it never runs again
                self.ended[job.token] = "cancelled"
            self._end(job, Phase.CANCELLED, "CANCELLED", None)
            return
        note = None if self.lies_by(Lie.KILLED, 0.5) else 143
        self._over(job, Phase.CANCELLED, "CANCELLED", note, None)

    # What it tells.

    def queue(self) -> list[dict[str, object]]:
        """The queue's rows."""
        if self.lies_by(Lie.STALE, 0.3):
            then = self.now - self.pause(1, STALE_BY)
            old = [rows for at, rows in self._past if at <= then]
            return self.mixed(old[-1] if old else [])
        return self.mixed(self._rows())

    def _rows(self) -> list[dict[str, object]]:
        kept = 0.0 if Lie.PURGE in self.lies else 5 * MINUTE
        shown = [
            job
            for job in self.jobs
            if job.shown_at <= self.now
            and (job.ended_at is None or job.returns or self.now < job.ended_at + kept)
        ]
        rows = [job.row() for job in shown if not job.is_untouched]
        parts: dict[tuple[int, str], list[SimJob]] = {}
        for job in shown:
            if job.is_untouched:
                parts.setdefault((job.number, job.name), []).append(job)
        return rows + [_as_one(waiting) for waiting in parts.values()]

    def accounting(self, ids: Collection[str], tokens: Collection[str]) -> list[dict[str, object]]:
        """The newest row of each job that ended, as far as the accounts know by now."""
        told = [
            row
            for at, row in self.accounts
            if at <= self.now and (row["id"] in ids or row["token"] in tokens)
        ]
        if Lie.ROWS in self.lies:
            return self.mixed(told)
        return list({(row["id"], row["token"]): row for row in told}.values())

    def roll(self, numbers: Collection[str]) -> list[tuple[str, str]]:
        """All records of arrays as the accounts once were: what it stands for, and its name."""
        then = self.now - (self.pause(0, 3 * HOUR) if self.lies_by(Lie.LAG, 0.7) else 0.0)
        told: list[tuple[str, str]] = []
        parts: dict[tuple[int, str], list[SimJob]] = {}
        for job in self.jobs:
            is_forgotten = job.forgotten_at is not None and job.forgotten_at <= then
            if str(job.number) not in numbers or job.taken_at > then or is_forgotten:
                continue
            if job.index is None or (job.began_at is not None and job.began_at <= then):
                told.append((job.id, job.name))
            else:
                parts.setdefault((job.number, job.name), []).append(job)
        return told + [(str(_as_one(some)["id"]), name) for (_, name), some in parts.items()]

    def mixed(self, rows: list[dict[str, object]]) -> list[dict[str, object]]:
        """Rows as a lie tells them: in any order, some of them twice."""
        if Lie.ROWS not in self.lies:
            return rows
        twice = [row for row in rows if self.chance.random() < 0.3]
        return self.chance.sample([*rows, *twice], len(rows) + len(twice))

    # The files.

    def _lag(self) -> float:
        return self.pause(0, MINUTE) if self.lies_by(Lie.NFS, 0.5) else 0.0

    def withdraw(self, token: str) -> None:
        self.claims.setdefault(token, (None, self.now))

    def claim(self, token: str) -> str | None:
        """The text of a claim, as the login node sees it."""
        owner, seen_from = self.claims.get(token, (None, float("inf")))
        if self.now < seen_from:
            return None
        return f"job:{owner.id}" if owner else "job:none"

    def note(self, token: str) -> str | None:
        """The exit note, as the login node sees it."""
        seen = [text for at, text in self.notes.get(token, []) if at <= self.now]
        return seen[-1] if seen else None

    def _write_note(self, token: str, text: str | None) -> None:
        before = self.notes.setdefault(token, [])
        last = before[-1][0] if before else 0.0
        before.append((max(last, self.now + self._lag()), text))

    def _note(self, job: SimJob, code: int) -> str:
        began, ended = int(job.started_at or 0), int(self.now)
        return (
            f"token={job.token}\njob={job.id}\ncode={code}\nstart={EPOCH + began}\n"
            f"end={EPOCH + ended}\nnode=n1\nwhy=\nwhole\n"
        )

    @property
    def answers_accounting(self) -> Mapping[str, bool]:
        return {"is": not self.lies_by(Lie.SILENT, 0.6), "has": Lie.NONE not in self.lies}


def _element(array: str, index: int | None) -> str:
    """The token of an element, or of a job that is none."""
    return array if index is None else str(tokens.element(array, index))


def _as_one(waiting: Iterable[SimJob]) -> dict[str, object]:
    """The row of an array's elements that have not begun."""
    first, *rest = waiting
    indices = tokens.ranges(job.index for job in (first, *rest) if job.index is not None)
    return {**first.row(), "id": f"{first.number}_[{indices}]"}


EPOCH = 1_772_366_400  # the start, in seconds since 1970: 2026-03-01 12:00 UTC
