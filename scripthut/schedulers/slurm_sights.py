"""Everybody's jobs on a Slurm cluster, and the user's that ended lately. For people alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from scripthut.core import tokens, units
from scripthut.core.jobs import Answer, Phase
from scripthut.core.queue import Listed
from scripthut.core.sights import OTHERS, Crowd, Ended
from scripthut.schedulers import slurm_words as words
from scripthut.schedulers.base import Cut, Question
from scripthut.schedulers.cut import Table, alone, counts, named, others, table
from scripthut.schedulers.slurm_facts import CLOCK, WHOLE, elements
from scripthut.schedulers.slurm_text import (
    FIELD,
    RECORD,
    Raw,
    code_of,
    memory_of,
    phase_of,
    reason_of,
    said,
    time_of,
    tokens_of,
)

CROWD = (
    *("%i", "%u", "%T", "%P", "%r", "%C", "%Q", "%K", "%m"),
    *("%D", "%b", "%l", "%V", "%S", "%N", "%a", "%80j"),  # more of a name than anybody reads
)
ENDED = (
    *("JobID", "User", "State", "ExitCode", "Submit", "Start", "End", "Timelimit", "Partition"),
    *("AllocCPUS", "ReqMem", "AllocNodes", "NodeList", "Account", "JobName"),
)
_RUNS = tuple(word for word, phase in words.PHASES.items() if phase is Phase.RUNNING)
_LIVE = tuple(w for w, p in words.PHASES.items() if p in (Phase.RUNNING, Phase.WAITING))
# Raw reasons of jobs that wait for a place alone, see slurm_words.COMPETING.
_COMPETES = tuple(raw for raw, told in words.REASONS.items() if told in words.COMPETING)
_NOTHING = ("", "N/A", "(null)", "None assigned", "Unknown")
_HIDES = "scontrol show config | grep -i '^PrivateData'"
_HIDDEN = re.compile(r"^PrivateData\s*=.*\bjobs\b", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class SlurmSights:
    """What squeue and sacct say to people."""

    def crowd(self, user: str) -> Mapping[str, Question]:
        """Everybody's jobs in one listing, and whether the cluster hides any."""
        at = {name: CROWD.index(form) for name, form in _AT.items()}
        cut = Cut(
            len(CROWD),
            at,
            record=RECORD,
            field=FIELD,
            runs=_RUNS,
            competes=("None", *_COMPETES),
            user=user,
        )
        form = FIELD.join(CROWD) + RECORD
        argv = [*CLOCK, WHOLE, "squeue", "--noheader", f"--format={form}"]
        return {"jobs": Question(argv, cut), "hides": Question(["sh", "-c", _HIDES])}

    def parse_crowd(self, answers: Mapping[str, Answer], user: str) -> Crowd:
        """Of others' jobs no token is read."""
        answer = named(answers, "jobs")
        if answer.code != 0:
            return Crowd(user, note=f"Others' jobs cannot be listed: squeue says: {said(answer)}")
        found = table(answer)
        crowd = counts(found, _RUNS, _why)
        note = None
        if not others(crowd, user):
            hides = _HIDDEN.search(named(answers, "hides").out) is not None
            note = alone("PrivateData=jobs" if hides else None)
        return replace(crowd, user=user, jobs=tuple(map(_listed, found.rows)), note=note)

    def ended(self, user: str, since: datetime) -> Mapping[str, Question]:
        """The user's jobs since then; sacct itself has no order, the login node gives it one."""
        at = {"state": ENDED.index("State"), "rank": ENDED.index("End")}
        fields = len(ENDED)
        cut = Cut(fields, at, field=FIELD, skips=_LIVE)
        start = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        ask = [*CLOCK, WHOLE, "sacct", "--noheader", "--parsable2", f"--delimiter={FIELD}"]
        which = ["--allocations", f"--user={user}", f"--starttime={start}"]
        return {"jobs": Question([*ask, *which, f"--format={','.join(ENDED)}"], cut)}

    def parse_ended(self, answers: Mapping[str, Answer], user: str) -> Ended:  # noqa: ARG002 -- see ended()
        """Each job's newest record."""
        answer = named(answers, "jobs")
        if any(word in answer.err for word in words.NO_ACCOUNTING):
            return Ended(is_told=False, note="This cluster keeps no accounts of jobs that ended.")
        if answer.code != 0:
            why = f"The accounting does not answer: sacct says: {said(answer)}"
            return Ended(is_told=False, note=why)
        found: Table = table(answer)
        jobs = (job for row in found.rows if (job := _ended(row)) is not None)
        return Ended(tuple(jobs), found.more)


_AT = {
    "user": "%u",
    "partition": "%P",
    "state": "%T",
    "cpus": "%C",
    "reason": "%r",
    "indices": "%K",
    "rank": "%Q",
    "id": "%i",
}


def _why(raw: str) -> str:
    if not raw:
        return OTHERS
    return words.why(raw) or words.NOT_LOOKED_AT


def _listed(row: Sequence[str]) -> Listed:
    job_id, user, word, place, why, cpus, _, indices, memory, *rest = row
    nodes, gres, limit, submitted, start, node, account, name = rest
    phase = phase_of(word)
    raw = Raw(job_id, word, why, time_of(start), None, limit, node, name, "")
    return Listed(
        job_id=job_id,
        name=name.rstrip(),
        owner=user,
        phase=phase,
        word=word,
        reason=reason_of(raw, word, phase, "") or (_why(why) if phase is Phase.WAITING else None),
        partition=place,
        cpus=_number(cpus),
        memory=memory_of(memory),
        nodes=_number(nodes),
        gres=None if gres in _NOTHING else re.sub(r"(^|,)gres[:/]", r"\1", gres),
        time_limit=units.elapsed(limit),
        submitted_at=time_of(submitted),
        started_at=raw.start,
        node=None if node in _NOTHING else node,
        account=None if account in _NOTHING else account,
        count=elements(indices),
    )


def _ended(row: Sequence[str]) -> Listed | None:
    job_id, user, told, code, submitted, start, end, limit, place, *rest = row
    cpus, memory, nodes, node, account, name = rest
    word, _, by = told.partition(" ")  # CANCELLED by 1001
    phase, ended = phase_of(word), time_of(end)
    exit_code, signal = code_of(code)
    if phase is Phase.DONE and (exit_code or signal):
        phase = Phase.FAILED
    if phase in (Phase.WAITING, Phase.RUNNING) or ended is None:
        return None
    times = time_of(start), ended
    raw = Raw(job_id, word, "None", *times, limit, node, name, "", code)
    began = None if node in _NOTHING else raw.start  # cancelled before it began, it has a start
    return Listed(
        job_id=job_id,
        name=name,
        owner=user,
        phase=phase,
        word=word,
        reason=reason_of(raw, word, phase, by),
        partition=place,
        cpus=_number(cpus),
        memory=memory_of(re.sub(r"[nc]$", "", memory)),  # of a node or a CPU, before 21.08
        nodes=_number(nodes),
        time_limit=units.elapsed(limit),
        submitted_at=time_of(submitted),
        started_at=began,
        node=None if node in _NOTHING else node,
        account=None if account in _NOTHING else account,
        count=elements(job_id.partition("_[")[2].rstrip("]")),
        tokens=_tokens(job_id, name),
        ended_at=ended,
        exit_code=exit_code if exit_code or phase is Phase.DONE else None,
    )


def _tokens(job_id: str, name: str) -> tuple[str, ...]:
    """The words by which a job may be ours; a record of many elements is no one task's.

    >>> [_tokens(job_id, "fit abcdefgh.0.1") for job_id in ("7", "7_36", "7_[4-5]")]
    [('abcdefgh.0.1',), ('abcdefgh.10.1',), ()]
    """
    _, is_element, index = job_id.partition("_")
    words = tokens_of(name, "")
    if not is_element:
        return tuple(words)
    if not index.isdecimal():
        return ()
    return tuple(tokens.element(word, int(index)) or word for word in words)


def _number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 10 else 1
