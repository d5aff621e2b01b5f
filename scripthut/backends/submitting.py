"""A cluster's submissions: which jobs go together, what is sent, and what came back of it."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripthut.backends import node
from scripthut.backends.asking import Node
from scripthut.core import tokens
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.jobs import Accepted, Job, Rejected, Token
from scripthut.core.script import array_script, script
from scripthut.schedulers.base import Arrays, Dialect
from scripthut.transports.base import MIB

SUBMIT_SECONDS = 60  # for one job
BATCH_SECONDS = 300  # for all submissions of one command
BATCH_JOBS, BATCH_BYTES = 200, 8 * MIB  # of them
ASK_SECONDS = 25  # how large an array may be
KNOWN = 3600.0  # seconds for which that is believed
SHORT = 16 * 1024  # bytes of a command that an array's script may hold
MOST_BYTES = 1024 * 1024  # of an array's script; slurmctld sends it whole with every element

Answers = dict[Token, Accepted | Rejected]


@dataclass(frozen=True)
class Submission:
    """Jobs that one command submits, by their index in the array; of a single one it is None."""

    jobs: Mapping[int | None, Job]

    @property
    def first(self) -> Job:
        return next(iter(self.jobs.values()))


class Submissions:
    """Of one backend. `now`: seconds that only ever grow."""

    def __init__(self, login: Node, now: Callable[[], float]) -> None:
        self._node = login
        self._now = now
        self._largest = (-KNOWN, 0)  # when it was told, the first index that no array may have
        self.may_make_arrays = True  # as far as is known
        self._most = tokens.ARRAY  # elements that the scheduler takes at once, as far as is known

    def submit(self, dialect: Dialect, jobs: Sequence[Job]) -> Answers:
        """See backends/base.py. One command for up to 200 submissions."""
        answers: Answers = {}
        fine = [job for job in jobs if _is_fine(dialect, job, answers)]
        sent = {one.first.token: one for one in self._together(dialect, fine)}
        requests = [_request(dialect, one) for one in sent.values()]
        for part in _batches(requests):
            try:
                told = self._node.ask({"submits": part}, BATCH_SECONDS, [job.env for job in fine])
            except Unreachable:
                if not answers:
                    raise
                return answers  # nobody knows of this part; what is known must not be lost
            for record in told:
                token = record.get("skipped") or record.get("submitted")
                if token is not None:
                    answers |= self._answered(dialect, sent[token], record)
        return answers

    def _together(self, dialect: Dialect, jobs: Sequence[Job]) -> Iterator[Submission]:
        """Each job in the submission that it goes with, in the order of the first ones."""
        can = [job for job in jobs if job.array and len(job.command) <= SHORT]
        arrays = dialect.arrays
        largest = self._limit(arrays) if arrays and len(can) > 1 else 0
        groups: dict[object, list[Job]] = {}
        for job in jobs:
            array, index = tokens.place(job.token)
            is_alone = not job.array or len(job.command) > SHORT or index >= largest
            groups.setdefault(job.token if is_alone else (array, *_alike(job)), []).append(job)
        for group in groups.values():
            yield from self._parts(group)

    def _parts(self, group: Sequence[Job]) -> Iterator[Submission]:
        part: list[Job] = []
        held = 0
        for job in group:
            if part and (len(part) >= self._most or held + _weight(job) > MOST_BYTES):
                yield _submission(part)
                part, held = [], 0
            part.append(job)
            held += _weight(job)
        yield _submission(part)

    def _limit(self, arrays: Arrays) -> int:
        """The first index that no array may have; 0 while nobody says, and then none is made."""
        since, largest = self._largest
        if self._now() - since < KNOWN:
            return largest
        command = {"key": "arrays", "argv": arrays.array_question(), "timeout": ASK_SECONDS}
        told = self._node.ask({"commands": [command]}, BATCH_SECONDS)
        try:
            largest = arrays.array_limit(node.understand(told).ran["arrays"])
        except Unreachable:
            return 0
        self._largest = (self._now(), largest)
        self.may_make_arrays = largest > 1
        return largest

    def _answered(self, dialect: Dialect, sent: Submission, record: node.Record) -> Answers:
        if "skipped" in record:
            why = "the scheduler takes submissions too slowly for all at once"
            return {job.token: Rejected(why, wait=True) for job in sent.jobs.values()}
        answer = dialect.parse_submit(node.answer_of(record))
        if answer is None:
            return {}
        if isinstance(answer, Rejected):
            if answer.wait and len(sent.jobs) > 1:
                self._most = len(sent.jobs) // 2  # a limit may leave room for some of them
            return {job.token: answer for job in sent.jobs.values()}
        if len(sent.jobs) >= self._most:
            self._most = min(2 * self._most, tokens.ARRAY)
        return {
            job.token: answer if index is None else _accepted(dialect, answer, index)
            for index, job in sent.jobs.items()
        }


def _is_fine(dialect: Dialect, job: Job, answers: Answers) -> bool:
    """Whether a job can be submitted; why not stands in `answers`, and harms no other."""
    try:
        preview(dialect, job)
    except Refused as error:
        answers[job.token] = Rejected(str(error))
    return job.token not in answers


def _alike(job: Job) -> tuple[object, ...]:
    """What the jobs of an array must have in common."""
    return job.resources, job.paths.state, job.init, job.timeout


def _weight(job: Job) -> int:
    """About how many bytes of an array's script are a job's own."""
    paths = len(str(job.paths.outputs)) * 12
    return len(job.command) + len(job.init) + sum(map(len, map(str, job.env.values()))) + paths


def _submission(jobs: Sequence[Job]) -> Submission:
    if len(jobs) == 1:
        return Submission({None: jobs[0]})
    return Submission({tokens.place(job.token)[1]: job for job in jobs})


def _accepted(dialect: Dialect, array: Accepted, index: int) -> Accepted:
    arrays = dialect.arrays
    return array if arrays is None else Accepted(arrays.element_id(array.job_id, index))


def preview(dialect: Dialect, job: Job) -> str:
    """The script of a job that is submitted by itself. Refused when it cannot be made."""
    return script(job, dialect.directives(job), dialect.login_shell)


def _request(dialect: Dialect, sent: Submission) -> node.Record:
    job, arrays = sent.first, dialect.arrays
    file: PurePosixPath | None = None
    if arrays is not None and None not in sent.jobs:
        jobs = {index: job for index, job in sent.jobs.items() if index is not None}
        head, lines = arrays.array_directives(jobs), arrays.element_lines()
        text = array_script(jobs, head, dialect.login_shell, lines)
        argv = arrays.submit_array(jobs)
    else:
        text, argv = preview(dialect, job), dialect.submit(job)
        file = dialect.script_file(job)
    logs = {path for job in sent.jobs.values() for path in (job.paths.out, job.paths.err)}
    return {
        "token": job.token,
        "argv": argv,
        "script": base64.b64encode(text.encode("utf-8", "replace")).decode(),
        "file": None if file is None else str(file),
        "directories": sorted({str(path.parent) for path in logs}),
        "state": str(job.paths.state),
        "timeout": SUBMIT_SECONDS,
    }


def _batches(requests: Sequence[node.Record]) -> Iterator[list[node.Record]]:
    """Submissions in parts that one command each can carry."""
    part: list[node.Record] = []
    held = 0
    for request in requests:
        if part and (len(part) >= BATCH_JOBS or held + len(request["script"]) > BATCH_BYTES):
            yield part
            part, held = [], 0
        part.append(request)
        held += len(request["script"])
    if part:
        yield part
