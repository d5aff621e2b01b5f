"""What squeue and sacct print, as rows and as a person's queue.

Each squeue record stands between two signs that no printable name holds, the job's name last, so
nothing a name holds can move a field. sacct cannot mark records: its fields are counted instead.
`squeue --json` is not used: in 22.05 it ignores all filters and tells of everybody's jobs, 3 KB a
job instead of 0.1; its fields change their form with the versions (ARCHITECTURE.md, section 5).
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from scripthut.core import tokens, units
from scripthut.core.errors import BadAnswer, Unreachable
from scripthut.core.jobs import UNKNOWN, Answer, Phase, Sighting, Used
from scripthut.core.queue import Listed, Queue, bounded
from scripthut.schedulers import slurm_words as words
from scripthut.schedulers.base import Row
from scripthut.schedulers.slurm_facts import elements
from scripthut.schedulers.slurm_limits import NOT_KNOWN, Most, asked, beyond

RECORD, FIELD = "\x1e", "\x1f"
QUEUE_FIELDS = (  # the second line is for people's eyes
    *("%i", "%T", "%r", "%V", "%S", "%e", "%l", "%N", "%k"),
    *("%P", "%u", "%C", "%m", "%D", "%b", "%a", "%K", "%j"),
)
ACCOUNT_FIELDS = (
    *("JobID", "State", "ExitCode", "Submit", "Start", "End", "Timelimit", "NodeList"),
    "JobName",
)
ROLL_FIELDS = ("JobID", "JobName")
USED_FIELDS = ("JobID", "MaxRSS", "TotalCPU")
_INDICES, _COMMENT = QUEUE_FIELDS.index("%K"), QUEUE_FIELDS.index("%k")
_ID = re.compile(r"\d{1,10}(?:_\d{1,9})?")  # 12+0 is a part of a heterogeneous job, never ours
_PART = re.compile(r"(\d{1,10})_(?:(\d{1,9})|\[([^%]*?)(?:%\d+)?\]|.*)")  # 4_1, or 4_[2-5,7%2]


def queue_rows(answer: Answer, most: Most = NOT_KNOWN) -> list[Row]:
    """The jobs that may be ours. Unreachable when squeue failed, or was cut off."""
    found: list[Row] = []
    for parts in _records(answer):
        for element in _elements(parts):
            is_ours = "_" not in element[0] or element is not parts
            if is_ours and _ID.fullmatch(element[0]) and (row := _queued(element, most)):
                found.append(row)
    return found


def queue_listing(answer: Answer, most: Most = NOT_KNOWN) -> Queue:
    """All jobs, for people."""
    return bounded(
        (phase_of(parts[1]), elements(parts[_INDICES]), partial(_listed, parts, most))
        for record in _records(answer)
        for parts in _elements(record)
    )


def ended_rows(answer: Answer) -> list[Row] | None:
    """Endings that sacct knows to be final; None where no accounts are kept."""
    if any(word in answer.err for word in words.NO_ACCOUNTING):
        return None
    newest: dict[str, list[str]] = {}
    told = counted(_whole(answer).split(FIELD), len(ACCOUNT_FIELDS))
    for parts in (element for record in told for element in _never_began(record)):
        job_id, array = parts[0], parts[-1].rpartition(" ")[2]
        is_ours = "_" not in job_id or tokens.element(array, 0) is not None
        is_newer = _stamp(parts) >= _stamp(newest.get(job_id, []))
        if is_ours and is_newer and _ID.fullmatch(job_id):
            newest[job_id] = parts
    return [row for parts in newest.values() if (row := _accounted(parts)) is not None]


def never_began(answer: Answer, ids: Collection[str]) -> list[Row]:
    """Of these elements those that sacct does not have, though it has their arrays.

    Once it begins an element has a record of its own, and while it waits it is in its array's. So
    one that is in neither was cancelled before it began. A record that does not say for which
    elements it stands (of a job that was told of by half) makes its array say nothing.
    """
    if any(word in answer.err for word in words.NO_ACCOUNTING):
        return []
    told: dict[str, dict[str, str | None]] = {}  # of each array, its token by its elements
    for record in counted(_whole(answer).split(FIELD), len(ROLL_FIELDS)):
        for job_id, named in _never_began(record):
            array, _, index = job_id.partition("_")
            own = tokens.element(named.rpartition(" ")[2], 0) if index.isdecimal() else None
            told.setdefault(array, {})[job_id] = own
    found: list[Row] = []
    for job_id in ids:
        array, _, index = job_id.partition("_")
        known = told.get(array, {})
        name = next(iter(known.values()), None)
        if name is not None and job_id not in known and set(known.values()) == {name}:
            gone = Sighting(job_id, Phase.CANCELLED, "CANCELLED", "Cancelled before it began")
            found.append(Row(gone, frozenset({tokens.element(name, int(index)) or ""})))
    return found


def used(answer: Answer) -> dict[str, Used]:
    """What sacct says jobs have used, by job; nothing of those that it says nothing of.

    Unreachable when it did not answer.

    A job's steps come below it: what it held at most is the most of any, since nobody looked at all
    of them at once.
    """
    found: dict[str, Used] = {}
    for step, held, time in counted(_whole(answer).split(FIELD), len(USED_FIELDS)):
        job_id = step.partition(".")[0]
        told = Used(_held(held), _processor_time(time))
        found[job_id] = found.get(job_id, UNKNOWN).or_more(told)
    return {job_id: told for job_id, told in found.items() if told != UNKNOWN}


def _held(text: str) -> int | None:
    """Bytes in sacct's MaxRSS; None for a step that ended before anybody looked at it.

    >>> [_held(t) for t in ("2976K", "1.50G", "0", "")]
    [3047424, 1610612736, None, None]
    """
    try:
        return units.memory(text if not text.isdecimal() else f"{int(text) / 1024}K") or None
    except ValueError:
        return None


def _processor_time(text: str) -> float | None:
    """Seconds in sacct's TotalCPU.

    >>> [_processor_time(t) for t in ("00:00.058", "01:02:03", "1-00:00:01", "INVALID", "")]
    [0.058, 3723.0, 86401.0, None, None]
    """
    whole, _, part = text.partition(".")
    seconds = units.elapsed(whole) if ":" in whole else None
    return None if seconds is None else seconds + float(f"0.{part}" if part.isdecimal() else 0)


def said(answer: Answer) -> str:
    """The scheduler's own words, without its prefix on every line."""
    lines = (answer.err.strip() or answer.out.strip()).splitlines()
    text = " ".join(re.sub(r"^\w+: (?:error|fatal): ", "", line).strip() for line in lines)
    return text[:1000] or f"exit code {answer.code} and no word"


def _whole(answer: Answer) -> str:
    """What sacct printed. Unreachable when it failed, or was cut off."""
    if answer.code != 0:
        raise Unreachable(f"sacct did not answer: {said(answer)}")
    if answer.out.strip() and not answer.out.rstrip("\n").endswith(FIELD):
        raise BadAnswer("the answer of sacct was cut off")
    return answer.out


def _records(answer: Answer) -> Iterator[list[str]]:
    """The fields of every job that squeue showed."""
    if answer.code != 0:
        raise Unreachable(f"squeue did not answer: {said(answer)}")
    if answer.out.strip() and not answer.out.rstrip("\n").endswith(RECORD):
        raise BadAnswer("the answer of squeue was cut off")
    for record in answer.out.split(RECORD):
        parts = record.split(FIELD, len(QUEUE_FIELDS) - 1)
        if len(parts) == len(QUEUE_FIELDS):
            yield parts


def _never_began(parts: list[str]) -> list[list[str]]:
    """A record of sacct as one for each element: cancelled before they began, they share one."""
    match = _PART.fullmatch(parts[0])
    is_ours = tokens.names_array(parts[-1].rpartition(" ")[2])
    if match is None or match[3] is None or not is_ours:
        return [parts]
    try:
        found = tokens.indices(match[3])
    except ValueError:
        raise BadAnswer(f"sacct did not tell all elements of {parts[0]}") from None
    return [[f"{match[1]}_{index}", *parts[1:]] for index in found]


def _elements(parts: list[str]) -> list[list[str]]:
    """A record of an array of ours as one for each element; any other as it is.

    What of an array waits is one record; each element gets the token that is its own. A comment
    may have been changed by others; the name has the array's token too.
    """
    match = _PART.fullmatch(parts[0])
    said_twice = (parts[_COMMENT], parts[-1].rpartition(" ")[2])
    array = next((word for word in said_twice if tokens.names_array(word)), None)
    if match is None or array is None:
        return [parts]
    try:
        found = tokens.indices(match[2] or match[3] or "")
    except ValueError:
        raise BadAnswer(f"squeue did not tell all elements of {parts[0]}") from None
    return [_element(parts, match[1], array, index) for index in found]


def _element(parts: Sequence[str], array_id: str, array: str, index: int) -> list[str]:
    own = list(parts)
    own[0], own[_INDICES] = f"{array_id}_{index}", str(index)
    own[_COMMENT] = tokens.element(array, index) or ""
    own[-1] = own[-1].removesuffix(array) + own[_COMMENT]
    return own


def phase_of(word: str) -> Phase:
    """What a state means. A word of a newer Slurm: the job exists, and no more is known."""
    return words.PHASES.get(word, Phase.WAITING)


def _listed(parts: Sequence[str], most: Most) -> Listed:
    job_id, word, why, submitted, start, end, limit, node, comment, *more, name = parts
    partition, user, cpus, memory, nodes, gres, account, indices = more
    never = beyond(why, asked(cpus, memory, nodes, gres), most)
    times = time_of(start), time_of(end)
    raw = Raw(job_id, word, why, *times, limit, node, name, comment, never=never)
    return Listed(
        job_id=job_id,
        name=name,
        owner=user,
        phase=phase_of(word),
        word=word,
        reason=reason_of(raw, word, phase_of(word), ""),
        partition=partition,
        cpus=int(cpus) if cpus.isdecimal() else 1,
        memory=memory_of(memory),
        nodes=int(nodes) if nodes.isdecimal() else 1,
        gres=None if gres in ("N/A", "(null)", "") else re.sub(r"(^|,)gres[:/]", r"\1", gres),
        time_limit=units.elapsed(limit),
        submitted_at=time_of(submitted),
        started_at=raw.start,
        node=node or None,
        account=None if account in ("", "(null)") else account,
        count=elements(indices),
        tokens=tuple(tokens_of(name, comment)),
    )


def memory_of(text: str) -> int | None:
    """Bytes in squeue's `%m`; 0 is all of a node."""
    try:
        return units.memory(text) or None
    except ValueError:
        return None


def tokens_of(name: str, comment: str) -> frozenset[str]:
    """The words by which a job may be ours."""
    return frozenset({name.rpartition(" ")[2], comment}) - {"", "(null)"}


def _queued(parts: Sequence[str], most: Most) -> Row | None:
    job_id, word, why, submitted, start, end, limit, node, comment, *more, name = parts
    _, _, cpus, memory, nodes, gres, *_ = more
    code = f"0:{words.raised(why) or 0}"  # squeue tells of a signal in the reason alone
    never = beyond(why, asked(cpus, memory, nodes, gres), most)
    times = time_of(start), time_of(end)
    raw = Raw(job_id, word, why, *times, limit, node, name, comment, code, never)
    return _row(raw, time_of(submitted))


def _accounted(parts: Sequence[str]) -> Row | None:
    job_id, word, code, submitted, start, end, limit, node, name = parts
    index = job_id.partition("_")[2]
    if index:
        named, blank, token = name.rpartition(" ")
        name = f"{named}{blank}{tokens.element(token, int(index)) or token}"
    raw = Raw(job_id, word, "None", time_of(start), time_of(end), limit, node, name, "", code)
    row = _row(raw, time_of(submitted))
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
    never: str | None = None  # why it can never start, where limits that are known say so


def _row(raw: Raw, submitted: datetime | None) -> Row | None:
    word, _, by = raw.word.partition(" ")  # CANCELLED by 1001
    phase = phase_of(word)
    exit_code, signal = code_of(raw.code)
    if phase is Phase.DONE and (exit_code or signal):
        phase = Phase.FAILED
    is_end = phase not in (Phase.WAITING, Phase.RUNNING)
    if is_end and raw.end is None:
        return None
    sighting = Sighting(
        job_id=raw.job_id,
        phase=phase,
        word=word,
        reason=reason_of(raw, word, phase, by),
        exit_code=exit_code if exit_code or phase is Phase.DONE else None,
        signal=signal,
        started_at=None if phase is Phase.WAITING else raw.start,
        ended_at=raw.end if is_end else None,
        node=raw.node if raw.node not in ("", "None assigned", "(null)") else None,
    )
    return Row(sighting, tokens_of(raw.name, raw.comment), submitted)


def reason_of(raw: Raw, word: str, phase: Phase, by: str) -> str | None:
    """Why it waits, or why it ended, in words for people."""
    told = words.why(raw.why)
    limit = units.elapsed(raw.limit)
    if phase is Phase.WAITING:
        known = raw.never or told or words.WAITS.get(word)
        return known if word in words.PHASES else f"Slurm calls it {word}"
    if phase is Phase.RUNNING:
        return words.RUNS.get(word)
    if phase is Phase.DONE:
        return None
    if phase is Phase.CANCELLED:
        who = by.removeprefix("by ")
        said = "Cancelled by the cluster's administrator" if who == "0" else "Cancelled"
        return f"{said}: {told}" if told and told.startswith("Can never") else said
    if raw.code == f"0:{words.NO_START_SIGN}":
        return words.NO_START
    text = words.ENDS.get(word) or told or _failed(raw.code)
    if limit:
        return text.replace("{limit}", units.clock(limit))
    return text.replace("its time limit of {limit}", "the time limit of its partition")


def _failed(code: str) -> str:
    exit_code, signal = code_of(code)
    if signal:
        return f"Ended by signal {signal}"
    return f"Exited with code {exit_code}" if exit_code else "Failed"


def code_of(text: str) -> tuple[int | None, int | None]:
    """Exit code and signal of `exit:signal`; 53 is Slurm's own sign, not a signal.

    >>> code_of("3:0"), code_of("0:9"), code_of("0:53"), code_of("INVALID")
    ((3, None), (0, 9), (0, None), (None, None))
    """
    match = re.fullmatch(r"(\d{1,3}):(\d{1,3})", text)
    if match is None:
        return None, None
    signal = int(match[2])
    return int(match[1]), signal if 0 < signal < words.NO_START_SIGN else None


def time_of(text: str) -> datetime | None:
    """A time as seconds since 1970, or in ISO where Slurm does not know the format; else None.

    >>> time_of("0"), time_of("Unknown"), time_of("1795439798").isoformat()
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
    return (time_of(parts[3]) or never, time_of(parts[4]) or never) if parts else (never, never)


def counted(fields: Sequence[str], count: int) -> Iterator[list[str]]:
    """Records of `count` fields each; the newline that ends a record leads the next one's id."""
    at = 0
    while at + count <= len(fields):
        head = fields[at].removeprefix("\n")
        if _ID.match(head) and (at == 0 or head != fields[at]):
            yield [head, *fields[at + 1 : at + count]]
            at += count
        else:
            at += 1  # a name held the sign itself: go on until a record begins
