"""What qstat says of one job, as evidence and for people."""

import re
from dataclasses import replace

from scripthut.core import units
from scripthut.core.jobs import Phase, Sighting
from scripthut.core.queue import Listed
from scripthut.schedulers import pbs_comments, pbs_text
from scripthut.schedulers import pbs_words as words
from scripthut.schedulers.base import Row
from scripthut.schedulers.pbs_end import ending
from scripthut.schedulers.pbs_text import Attributes

_AT_WORK = ("Running", "Exiting")  # states of an array's elements


def row(job_id: str, job: Attributes, kind: words.Kind) -> Row | None:
    """A job as qstat showed it; None when nothing can be concluded from it."""
    tokens = frozenset({job.get("Job_Name", "").rpartition("+")[2]}) - {""}
    submitted = pbs_text.time(job.get("qtime") or job.get("ctime"))
    started = pbs_text.time(job.get("stime") or job.get("start_time"))
    node = re.split(r"[/+*]", job.get("exec_host", ""))[0] or None
    letter = job.get("job_state", "")
    if letter in words.OVER:
        over = ending(job, kind)
        if over is None:
            return None
        sighting = replace(over, job_id=job_id, started_at=started, node=node)
        return Row(sighting, tokens, submitted)
    # A letter that is not known: the job exists, and is no more known than that.
    word, now = words.STATES.get(letter, (letter or "UNKNOWN", Phase.WAITING))
    waits = now is Phase.WAITING
    reason = waiting(letter, job) if waits else words.STATE_REASONS.get(letter)
    since = None if waits else started
    return Row(Sighting(job_id, now, word, reason, started_at=since, node=node), tokens, submitted)


def owner(job: Attributes) -> str:
    """Slurm's commands write `euser = ada(1001)`, and the owner with a host."""
    return re.split(r"[@(]", job.get("euser") or job.get("Job_Owner", ""))[0]


def phase(job: Attributes) -> Phase:
    """What its letter means; an array of which nothing runs yet waits."""
    letter = job.get("job_state", "")
    if letter == "B" and elements(job, "Queued") and not elements(job, *_AT_WORK):
        return Phase.WAITING
    known = Phase.DONE if letter in words.OVER else Phase.WAITING
    return words.STATES.get(letter, ("", known))[1]


def count(job: Attributes) -> int:
    """How many jobs a row stands for: of an array that has begun, those that run."""
    which = _AT_WORK if phase(job) is Phase.RUNNING else ("Queued",)
    return max(1, elements(job, *which))


def elements(job: Attributes, *states: str) -> int:
    """How many of an array's elements are in one of the states, `Queued:5 Running:2`; else 0."""
    told = dict(re.findall(r"(\w+):(\d+)", job.get("array_state_count", "")))
    return sum(int(told.get(state, 0)) for state in states)


def listed(job_id: str, job: Attributes) -> Listed:
    """A job for people."""
    letter, now = job.get("job_state", ""), phase(job)
    waits = now is Phase.WAITING
    cpus = job.get("Resource_List.ncpus", "1")
    nodes = job.get("Resource_List.nodect", "1")
    gpus = job.get("Resource_List.ngpus", "0")
    return Listed(
        job_id=job_id,
        name=job.get("Job_Name", ""),
        owner=job.get("Job_Owner", "").partition("@")[0],
        phase=now,
        word=words.STATES.get(letter, (letter or "UNKNOWN", now))[0],
        reason=waiting(letter, job) if waits else words.STATE_REASONS.get(letter),
        partition=job.get("queue", ""),
        cpus=int(cpus) if cpus.isdecimal() else 1,
        memory=pbs_text.size(job.get("Resource_List.mem")),
        nodes=int(nodes) if nodes.isdecimal() else 1,
        gres=f"gpu:{gpus}" if gpus.isdecimal() and gpus != "0" else None,
        time_limit=units.elapsed(job.get("Resource_List.walltime", "")),
        submitted_at=pbs_text.time(job.get("qtime") or job.get("ctime")),
        started_at=pbs_text.time(job.get("stime") or job.get("start_time")),
        node=re.split(r"[/+*]", job.get("exec_host", ""))[0] or None,
        account=job.get("Account_Name"),
        count=count(job),
        tokens=(job.get("Job_Name", "").rpartition("+")[2],),
    )


def waiting(letter: str, job: Attributes) -> str | None:
    """Why a job waits, in words for people."""
    if letter not in words.STATES:
        return f"PBS calls its state {letter or 'nothing'}"
    comment = job.get("comment", "").replace("\n", " ").strip()
    if letter == "H":
        hold = next((c for c in job.get("Hold_Types", "") if c in words.HOLDS), "")
        waits = hold == "s" and "depend" in job
        return "Waits for another job" if waits else words.HOLDS.get(hold, "Held")
    return pbs_comments.why(comment) or words.STATE_REASONS.get(letter)
