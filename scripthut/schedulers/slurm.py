"""Slurm's dialect: sbatch, squeue, sacct, scancel."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from scripthut.core import tokens, units
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.jobs import Accepted, Answer, Job, Rejected, Used
from scripthut.core.queue import Queue
from scripthut.core.quote import sh
from scripthut.core.survey import Facts
from scripthut.schedulers import slurm_facts
from scripthut.schedulers import slurm_text as text
from scripthut.schedulers import slurm_words as words
from scripthut.schedulers.base import Arrays, Row, Sights, check_extra
from scripthut.schedulers.slurm_limits import Most
from scripthut.schedulers.slurm_sights import SlurmSights

_AT_ONCE = 500  # ids in one sacct: far from the longest command line
_ACCEPTED = re.compile(r"(?:Submitted batch job )?(\d{1,10})(?:;\S+)?(?: on cluster \S+)?")
_PROGRAM_MISSING = 127
_ELEMENT = re.compile(r"(\d{1,10})_(\d{1,9})")


@dataclass(frozen=True)
class Slurm:
    """Slurm as one cluster is set up. `partitions`: what a task's partition is called there."""

    account: str | None = None
    partitions: Mapping[str, str] = field(default_factory=dict)
    default_partition: str | None = None
    login_shell: bool = False
    extra: tuple[str, ...] = ()  # words for sbatch, of all jobs
    most: Most = field(default_factory=dict)  # limits that the cluster told of

    @property
    def has_accounts(self) -> bool:
        """Whether slurmdbd is there shows when it is asked."""
        return True

    def introduction(self) -> list[str]:
        """Nothing: every Slurm understands the same."""
        return []

    def introduced(self, answer: Answer) -> "Slurm":  # noqa: ARG002 -- of the protocol
        """The same."""
        return self

    def script_file(self, job: Job) -> PurePosixPath | None:  # noqa: ARG002 -- of the protocol
        """None: sbatch reads its standard input."""
        return None

    def directives(self, job: Job) -> list[str]:
        """Comment lines that show how the job is submitted.

        The options go as words of the command, not as #SBATCH lines: words need no quoting that
        sbatch would have to undo, and no SBATCH_* variable of the login shell overrides them.
        """
        return [f"# {sh([word])}" for word in self.submit(job)]

    def submit(self, job: Job) -> list[str]:
        """Sbatch with all options; the script comes on standard input."""
        names = {"job-name": job_name(job), "comment": job.token}
        logs = {"output": _log(str(job.paths.out)), "error": _log(str(job.paths.err))}
        return self._sbatch(job, {**names, **logs})

    @property
    def arrays(self) -> Arrays:
        """Slurm takes arrays of any indices."""
        return self

    def array_question(self) -> list[str]:
        """The cluster's whole configuration: there is no shorter question."""
        return ["scontrol", "show", "config"]

    def array_limit(self, answer: Answer) -> int:
        """MaxArraySize, which is 0 where arrays are switched off."""
        found = re.search(r"^MaxArraySize\s*=\s*(\d{1,9})\s*$", answer.out, re.MULTILINE)
        if found is None:
            raise Unreachable(
                f"scontrol did not tell how large an array may be: {text.said(answer)}"
            )
        return int(found[1])

    def array_directives(self, jobs: Mapping[int, Job]) -> list[str]:
        """As of a single job."""
        return [f"# {sh([word])}" for word in self.submit_array(jobs)]

    def element_lines(self) -> list[str]:
        """An element is known by its array's id: Slurm gives it one of its own only later."""
        return [
            "hut_index=$SLURM_ARRAY_TASK_ID",
            "hut_element=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID",
        ]

    def submit_array(self, jobs: Mapping[int, Job]) -> list[str]:
        """Sbatch for all of them. The script opens each element's own logs."""
        job = next(iter(jobs.values()))
        names = {"array": tokens.ranges(jobs), "job-name": array_name(job)}
        logs = {"output": "/dev/null", "error": "/dev/null"}
        return self._sbatch(job, {**names, "comment": tokens.place(job.token)[0], **logs})

    def element_id(self, array_id: str, index: int) -> str:
        """As squeue, scancel and sacct call it."""
        return f"{array_id}_{index}"

    def roll(self, ids: Collection[str], since: datetime) -> list[list[str]]:
        """All records of an array, for one element alone gives no word about the others."""
        arrays = sorted({match[1] for one in ids if (match := _ELEMENT.fullmatch(one))})
        ask = [*_sacct(text.ROLL_FIELDS, since), "--allocations"]
        return [[*ask, f"--jobs={','.join(part)}"] for part in _parts(arrays)]

    def never_began(self, answer: Answer, ids: Collection[str]) -> list[Row]:
        """An element that is cancelled while it waits goes from its array's record, without one."""
        return text.never_began(answer, ids)

    def _sbatch(self, job: Job, names: Mapping[str, str]) -> list[str]:
        asked = job.resources
        memory = None if asked.memory is None else f"{-(-asked.memory // units.MIB)}M"
        limit = None if asked.time_limit is None else units.clock(asked.time_limit)
        options = {
            **names,
            "partition": self._partition(asked.partition),
            "account": self.account,
            "cpus-per-task": str(asked.cpus),
            "mem": memory,
            "time": limit,
            "gres": asked.gres,
            "open-mode": "append",  # a second job with this token must not empty the first's logs
        }
        given = [*self.extra, *asked.extra]  # before ours, for the last of two counts
        check_extra(job.key, given, words.NOT_PASSED_ON)
        given += [f"--{name}={value}" for name, value in options.items() if value is not None]
        if any(set(option) & set("\0\r\n") for option in given):
            raise Refused(f"task {job.key!r}: a value for Slurm holds a line break")
        return ["sbatch", "--parsable", *given]

    def _partition(self, wanted: str | None) -> str | None:
        if wanted is None:
            return self.default_partition
        return self.partitions.get(wanted, self.default_partition or wanted)

    def parse_submit(self, answer: Answer) -> Accepted | Rejected | None:
        """The id stands on a line of its own; plug-ins may print others around it."""
        ids = [m[1] for line in answer.out.splitlines() if (m := _ACCEPTED.fullmatch(line.strip()))]
        if answer.code == 0:
            return Accepted(ids[-1]) if ids else None
        if answer.code == _PROGRAM_MISSING:
            raise Unreachable(f"sbatch was not found on the login node: {text.said(answer)}")
        if answer.code < 0 or ids or any(word in answer.err for word in words.UNKNOWN):
            return None
        return Rejected(text.said(answer), wait=_is_for_now(answer.err))

    def queue(self, user: str) -> list[str]:
        """Finished jobs show for a while too (MinJobAge), so most verdicts need no accounting."""
        form = text.RECORD + text.FIELD.join(text.QUEUE_FIELDS) + text.RECORD
        return [
            *slurm_facts.CLOCK,
            slurm_facts.WHOLE,
            "squeue",
            "--noheader",
            "--states=all",
            f"--user={user}",
            f"--format={form}",
        ]

    def parse_queue(self, answer: Answer, user: str = "") -> list[Row]:  # noqa: ARG002 -- see queue()
        """Unreachable when squeue failed or its last record is not whole."""
        return text.queue_rows(answer, self.most)

    def list_queue(self, answer: Answer, user: str = "") -> Queue:  # noqa: ARG002 -- see queue()
        """All of it, arrays and heterogeneous jobs too."""
        return text.queue_listing(answer, self.most)

    @property
    def sights(self) -> Sights:
        """See slurm_sights.py."""
        return SlurmSights()

    def facts(self, user: str) -> Mapping[str, list[str]]:
        """See slurm_facts.py."""
        return slurm_facts.commands(user)

    def parse_facts(self, answers: Mapping[str, Answer]) -> Facts:
        """See slurm_facts.py."""
        return slurm_facts.read(answers)

    def informed(self, answers: Mapping[str, Answer]) -> "Slurm":
        """With the limits that tell whether a job can ever start."""
        found = slurm_facts.most(answers)
        return replace(self, most=found) if found != self.most else self

    def accounting(
        self, user: str, ids: Collection[str], jobs: Sequence[Job], since: datetime
    ) -> list[list[str]]:
        """A day before `since` is asked too: without a start, sacct looks at today only."""
        ask = [*_sacct(text.ACCOUNT_FIELDS, since), "--allocations"]
        names = [job_name(job) for job in jobs]
        names += sorted({array_name(job) for job in jobs if job.array})
        by_id = [[*ask, f"--jobs={','.join(part)}"] for part in _parts(sorted(ids))]
        by_name = [[*ask, f"--user={user}", f"--name={','.join(part)}"] for part in _parts(names)]
        return by_id + by_name

    def parse_accounting(self, answer: Answer) -> list[Row] | None:
        """Only endings that are final, of each job's newest incarnation."""
        return text.ended_rows(answer)

    def measuring(self, ids: Collection[str], since: datetime) -> list[list[str]]:
        """Of each job all steps are asked for: what was held is told of them alone."""
        ask = _sacct(text.USED_FIELDS, since)
        return [[*ask, f"--jobs={','.join(part)}"] for part in _parts(sorted(ids))]

    def parse_measured(self, answer: Answer) -> Mapping[str, Used]:
        """Each job's largest step, and the time of all of them."""
        return text.used(answer)

    def cancel(self, ids: Collection[str]) -> list[str]:
        """Scancel for many jobs; of a row of an array, only what the row stands for.

        >>> Slurm().cancel(["4_[2-5%2]", "12+0", "7", "8_1", "8_2", "8_9"])
        ['scancel', '12', '4_[2-5]', '7', '8_[1-2,9]']
        """
        parts = {_part_of(job_id) for job_id in ids}
        elements: dict[str, set[int]] = {}
        for match in filter(None, map(_ELEMENT.fullmatch, sorted(parts))):
            elements.setdefault(match[1], set()).add(int(match[2]))
            parts.discard(match[0])
        parts |= {f"{array}_[{tokens.ranges(some)}]" for array, some in elements.items()}
        return ["scancel", *sorted(parts)]

    def parse_cancel(self, answer: Answer) -> None:
        """A job that has ended already is no failure; a controller that does not answer is one."""
        if answer.code < 0 or any(word in answer.err for word in words.UNKNOWN):
            raise Unreachable(f"scancel did not reach the scheduler: {text.said(answer)}")
        if answer.code == _PROGRAM_MISSING:
            raise Unreachable(f"scancel was not found on the login node: {text.said(answer)}")


def _sacct(fields: Sequence[str], since: datetime) -> list[str]:
    start = (since.astimezone(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    ask = [
        *slurm_facts.CLOCK,
        slurm_facts.WHOLE,
        "sacct",
        "--noheader",
        "--parsable",
        f"--delimiter={text.FIELD}",
    ]
    return [*ask, f"--starttime={start}", f"--format={','.join(fields)}"]


def _part_of(job_id: str) -> str:
    """An id as scancel takes it: without an array's throttle, and a heterogeneous job whole."""
    return re.sub(r"%\d+", "", job_id.partition("+")[0])


def job_name(job: Job) -> str:
    """The job's name in the queue: what a person recognises, and the token, at most 64 characters.

    Safe ASCII only, so that sacct's list of names, its tables and its shell never stumble.
    """
    return _name(job.name, job.token)


def array_name(job: Job) -> str:
    """The name of the array that a job is an element of: the run's, and the array's token."""
    return _name(job.run_name, tokens.place(job.token)[0])


def _name(told: str, token: str) -> str:
    room = 64 - 1 - len(token)
    shown = re.sub(r"[^A-Za-z0-9._+-]+", "_", told)[:room].strip("_-") or "task"
    return f"{shown} {token}"


def _log(path: str) -> str:
    """A log path that sbatch takes literally: `%` begins a pattern, a backslash ends them all.

    >>> print(_log("/a/100%.out"))
    /a/100%%.out
    """
    return path.replace("\\", "\\\\") if "\\" in path else path.replace("%", "%%")


def _is_for_now(told: str) -> bool:
    if any(word in told for word in words.NOT_NOW):
        return True
    names_a_limit = any(
        re.search(rf"\b{word}\w+", told.replace(words.POLICY, "")) for word in words.LIMITS
    )
    return words.POLICY in told and not names_a_limit


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))
