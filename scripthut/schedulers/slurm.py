"""Slurm's dialect: sbatch, squeue, sacct, scancel.

Each squeue record stands between two signs that no printable name holds, the job's name last, so
nothing a name holds can move a field. sacct cannot mark records: its fields are counted instead.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from scripthut.core import units
from scripthut.core.errors import BadAnswer, Refused, Unreachable
from scripthut.core.jobs import Accepted, Answer, Job, Phase, Rejected, Sighting
from scripthut.core.quote import sh
from scripthut.schedulers import slurm_words as words
from scripthut.schedulers.base import Row

RECORD, FIELD = "\x1e", "\x1f"
_CLOCK = ("env", "TZ=UTC", "SLURM_TIME_FORMAT=%s")  # else times are local and say no zone
_QUEUE_FIELDS = ("%i", "%T", "%r", "%V", "%S", "%e", "%l", "%N", "%k", "%j")
_ACCOUNT_FIELDS = (
    *("JobIDRaw", "State", "ExitCode", "Submit", "Start", "End", "Timelimit", "NodeList"),
    "JobName",
)
_AT_ONCE = 500  # ids in one sacct: far from the longest command line
_ID = re.compile(r"\d{1,10}")  # 4_1, 4_[2-5%2] and 12+0 are parts of arrays, never ours
_ACCEPTED = re.compile(r"(?:Submitted batch job )?(\d{1,10})(?:;\S+)?(?: on cluster \S+)?")
_NO_ACCOUNTING = ("accounting storage is disabled", "not running a supported accounting_storage")
_PROGRAM_MISSING = 127


@dataclass(frozen=True)
class Slurm:
    """Slurm as one cluster is set up. `partitions`: what a task's partition is called there."""

    account: str | None = None
    partitions: Mapping[str, str] = field(default_factory=dict)
    default_partition: str | None = None
    login_shell: bool = False

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
        asked = job.resources
        memory = None if asked.memory is None else f"{-(-asked.memory // units.MIB)}M"
        limit = None if asked.time_limit is None else units.clock(asked.time_limit)
        options = {
            "job-name": job_name(job),
            "comment": job.token,
            "partition": self._partition(asked.partition),
            "account": self.account,
            "cpus-per-task": str(asked.cpus),
            "mem": memory,
            "time": limit,
            "gres": asked.gres,
            "output": _log(str(job.paths.out)),
            "error": _log(str(job.paths.err)),
            "open-mode": "append",  # a second job with this token must not empty the first's logs
        }
        given = [f"--{name}={value}" for name, value in options.items() if value is not None]
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
            raise Unreachable(f"sbatch was not found on the login node: {_said(answer)}")
        if answer.code < 0 or ids or any(word in answer.err for word in words.UNKNOWN):
            return None
        return Rejected(_said(answer), wait=_is_for_now(answer.err))

    def queue(self, user: str) -> list[str]:
        """Finished jobs show for a while too (MinJobAge), so most verdicts need no accounting."""
        form = RECORD + FIELD.join(_QUEUE_FIELDS) + RECORD
        return [
            *_CLOCK,
            "squeue",
            "--noheader",
            "--states=all",
            f"--user={user}",
            f"--format={form}",
        ]

    def parse_queue(self, answer: Answer) -> list[Row]:
        """Unreachable when squeue failed or its last record is not whole."""
        if answer.code != 0:
            raise Unreachable(f"squeue did not answer: {_said(answer)}")
        if answer.out.strip() and not answer.out.rstrip("\n").endswith(RECORD):
            raise BadAnswer("the answer of squeue was cut off")
        rows = []
        for record in answer.out.split(RECORD):
            parts = record.split(FIELD, len(_QUEUE_FIELDS) - 1)
            if len(parts) == len(_QUEUE_FIELDS) and _ID.fullmatch(parts[0]):
                rows.append(_queued(parts))
        return [row for row in rows if row is not None]

    def accounting(
        self, user: str, ids: Collection[str], jobs: Sequence[Job], since: datetime
    ) -> list[list[str]]:
        """A day before `since` is asked too: without a start, sacct looks at today only."""
        start = (since.astimezone(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
        ask = [*_CLOCK, "sacct", "--noheader", "--parsable", "--allocations"]
        ask += [f"--delimiter={FIELD}", f"--starttime={start}"]
        ask += [f"--format={','.join(_ACCOUNT_FIELDS)}"]
        names = [job_name(job) for job in jobs]
        by_id = [[*ask, f"--jobs={','.join(part)}"] for part in _parts(sorted(ids))]
        by_name = [[*ask, f"--user={user}", f"--name={','.join(part)}"] for part in _parts(names)]
        return by_id + by_name

    def parse_accounting(self, answer: Answer) -> list[Row] | None:
        """Only endings that are final, of each job's newest incarnation."""
        if any(word in answer.err for word in _NO_ACCOUNTING):
            return None
        if answer.code != 0:
            raise Unreachable(f"sacct did not answer: {_said(answer)}")
        if answer.out.strip() and not answer.out.rstrip("\n").endswith(FIELD):
            raise BadAnswer("the answer of sacct was cut off")
        newest: dict[str, list[str]] = {}
        for parts in _counted(answer.out.split(FIELD), len(_ACCOUNT_FIELDS)):
            if _ID.fullmatch(parts[0]) and _stamp(parts) >= _stamp(newest.get(parts[0], [])):
                newest[parts[0]] = parts
        return [row for parts in newest.values() if (row := _accounted(parts)) is not None]

    def cancel(self, ids: Collection[str]) -> list[str]:
        """Scancel for many jobs."""
        return ["scancel", *sorted(ids)]

    def parse_cancel(self, answer: Answer) -> None:
        """A job that has ended already is no failure; a controller that does not answer is one."""
        if answer.code < 0 or any(word in answer.err for word in words.UNKNOWN):
            raise Unreachable(f"scancel did not reach the scheduler: {_said(answer)}")
        if answer.code == _PROGRAM_MISSING:
            raise Unreachable(f"scancel was not found on the login node: {_said(answer)}")


def job_name(job: Job) -> str:
    """The job's name in the queue: what a person recognises, and the token, at most 64 characters.

    Safe ASCII only, so that sacct's list of names, its tables and its shell never stumble.
    """
    room = 64 - 1 - len(job.token)
    shown = re.sub(r"[^A-Za-z0-9._+-]+", "_", job.name)[:room].strip("_-") or "task"
    return f"{shown} {job.token}"


def _log(path: str) -> str:
    """A log path that sbatch takes literally: `%` begins a pattern, a backslash ends them all.

    >>> print(_log("/a/100%.out"))
    /a/100%%.out
    """
    return path.replace("\\", "\\\\") if "\\" in path else path.replace("%", "%%")


def _is_for_now(text: str) -> bool:
    if any(word in text for word in words.NOT_NOW):
        return True
    names_a_limit = any(
        re.search(rf"\b{word}\w+", text.replace(words.POLICY, "")) for word in words.LIMITS
    )
    return words.POLICY in text and not names_a_limit


def _said(answer: Answer) -> str:
    """The scheduler's own words, without its prefix on every line."""
    lines = (answer.err.strip() or answer.out.strip()).splitlines()
    text = " ".join(re.sub(r"^\w+: (?:error|fatal): ", "", line).strip() for line in lines)
    return text[:1000] or f"exit code {answer.code} and no word"


def _queued(parts: Sequence[str]) -> Row | None:
    job_id, word, why, submitted, start, end, limit, node, comment, name = parts
    return _row(
        Raw(job_id, word, why, _time(start), _time(end), limit, node, name, comment),
        _time(submitted),
    )


def _accounted(parts: Sequence[str]) -> Row | None:
    job_id, word, code, submitted, start, end, limit, node, name = parts
    raw = Raw(job_id, word, "None", _time(start), _time(end), limit, node, name, "", code)
    row = _row(raw, _time(submitted))
    # A job that the queue no longer has does not wait or run, whatever the accounts still say;
    # "allocation" is a record whose second half has not arrived.
    is_end = row is not None and row.sighting.phase not in (Phase.WAITING, Phase.RUNNING)
    return row if is_end and name != "allocation" else None


@dataclass(frozen=True)
class Raw:
    """One record's fields, the times read. `code` as sacct prints it: `exit:signal`."""

    job_id: str
    word: str
    why: str
    start: datetime | None
    end: datetime | None
    limit: str
    node: str
    name: str
    comment: str
    code: str = "0:0"


def _row(raw: Raw, submitted: datetime | None) -> Row | None:
    word, _, by = raw.word.partition(" ")  # CANCELLED by 1001
    # A word of a newer Slurm: the job exists, and is no more known than that.
    phase = words.PHASES.get(word, Phase.WAITING)
    exit_code, signal = _code(raw.code)
    if phase is Phase.DONE and (exit_code or signal):
        phase = Phase.FAILED
    is_end = phase not in (Phase.WAITING, Phase.RUNNING)
    if is_end and raw.end is None:
        return None
    sighting = Sighting(
        job_id=raw.job_id,
        phase=phase,
        word=word,
        reason=_reason(raw, word, phase, by),
        exit_code=exit_code if exit_code or phase is Phase.DONE else None,
        signal=signal,
        started_at=None if phase is Phase.WAITING else raw.start,
        ended_at=raw.end if is_end else None,
        node=raw.node if raw.node not in ("", "None assigned", "(null)") else None,
    )
    tokens = frozenset({raw.name.rpartition(" ")[2], raw.comment}) - {"", "(null)"}
    return Row(sighting, tokens, submitted)


def _reason(raw: Raw, word: str, phase: Phase, by: str) -> str | None:
    """Why it waits, or why it ended, in words for people."""
    why = raw.why.strip("()")
    told = words.REASONS.get(why) or words.REASONS.get(why.partition(",")[0])
    told = None if why in ("None", "") else (told or why)
    limit = units.elapsed(raw.limit)
    if phase is Phase.WAITING:
        return told if word in words.PHASES else f"Slurm calls it {word}"
    if phase is Phase.RUNNING:
        return words.RUNS.get(word)
    if phase is Phase.DONE:
        return None
    if phase is Phase.CANCELLED:
        who = by.removeprefix("by ")
        said = "Cancelled by the cluster's administrator" if who == "0" else "Cancelled"
        return f"{said}: {told}" if told and told.startswith("Can never") else said
    if raw.code == "0:53":
        return "Slurm could not start it: its working directory or log file cannot be opened (0:53)"
    text = words.ENDS.get(word) or told or _failed(raw.code)
    return text.replace("{limit}", units.clock(limit) if limit else raw.limit or "its partition")


def _failed(code: str) -> str:
    exit_code, signal = _code(code)
    if signal:
        return f"Ended by signal {signal}"
    return f"Exited with code {exit_code}" if exit_code else "Failed"


def _code(text: str) -> tuple[int | None, int | None]:
    """Exit code and signal of `exit:signal`; 53 is Slurm's own sign, not a signal.

    >>> _code("3:0"), _code("0:9"), _code("0:53"), _code("INVALID")
    ((3, None), (0, 9), (0, None), (None, None))
    """
    match = re.fullmatch(r"(\d{1,3}):(\d{1,3})", text)
    if match is None:
        return None, None
    signal = int(match[2])
    return int(match[1]), signal if 0 < signal < 53 else None


def _time(text: str) -> datetime | None:
    """A time as seconds since 1970, or in ISO where Slurm does not know the format; else None.

    >>> _time("0"), _time("Unknown"), _time("1795439798").isoformat()
    (None, None, '2026-11-23T13:16:38+00:00')
    """
    if re.fullmatch(r"[1-9]\d{0,10}", text):
        return datetime.fromtimestamp(int(text), UTC)
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _stamp(parts: Sequence[str]) -> tuple[datetime, datetime]:
    """What orders incarnations: when it was (re)queued, then when it started."""
    never = datetime.fromtimestamp(0, UTC)
    return (_time(parts[3]) or never, _time(parts[4]) or never) if parts else (never, never)


def _counted(fields: Sequence[str], count: int) -> Iterator[list[str]]:
    """Records of `count` fields each; the newline that ends a record leads the next one's id."""
    at = 0
    while at + count <= len(fields):
        head = fields[at].removeprefix("\n")
        if _ID.match(head) and (at == 0 or head != fields[at]):
            yield [head, *fields[at + 1 : at + count]]
            at += count
        else:
            at += 1  # a name held the sign itself: go on until a record begins


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))
