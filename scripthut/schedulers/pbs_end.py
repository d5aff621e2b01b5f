"""How a PBS job ended: its exit status, what it used of its limits, and who ended it."""

from datetime import datetime

from scripthut.core import units
from scripthut.core.jobs import Phase, Sighting, Used
from scripthut.schedulers import pbs_text
from scripthut.schedulers import pbs_words as words
from scripthut.schedulers.pbs_text import Attributes

NO_LOG = 73  # our script's exit code when its log cannot be opened
_BY_SIGNAL = 256  # added by PBS to the number of the signal that ended a job
_BY_SHELL = 128  # added by a shell
_SIGNALS = 65
_TERM = 15
_ENDS = ("obittime", "comp_time", "history_timestamp", "mtime")  # the first that is there


def ending(job: Attributes, kind: words.Kind) -> Sighting | None:
    """The ending that qstat tells of, without an id; None when it does not tell how it ended."""
    ended = next((t for name in _ENDS if (t := pbs_text.time(job.get(name)))), None)
    if ended is None:
        return None
    code = _exit_status(job)
    if code is None:
        return _never_ran(job, kind, ended)
    if code in kind.codes:
        word, reason = kind.codes[code]
        return _failed(word, reason, job, ended)
    if code < 0:
        return _failed("ENDED", f"PBS ended it with its code {code}", job, ended)
    return _killed(code, job, ended) or _exited(code, ended)


def used(job: Attributes) -> Used:
    """What a job has used by now. Servers look from time to time, and say 0 before the first."""
    memory = pbs_text.size(job.get("resources_used.mem"))
    cpu = units.elapsed(job.get("resources_used.cput", ""))
    return Used(memory or None, float(cpu) if cpu else None)


def _killed(code: int, job: Attributes, ended: datetime) -> Sighting | None:
    """Who killed it, or what; None when nobody did."""
    by_pbs = code - _BY_SIGNAL if _BY_SIGNAL < code < _BY_SIGNAL + _SIGNALS else None
    signal = by_pbs or (code - _BY_SHELL if _BY_SHELL < code < _BY_SHELL + _SIGNALS else None)
    was_deleted = job.get("substate") == words.DELETED
    if was_deleted or (by_pbs == _TERM and not _over_a_limit(job, ended)):
        return Sighting("", Phase.CANCELLED, "CANCELLED", "Cancelled", ended_at=ended)
    if signal is None:
        return None
    exit_code = None if by_pbs else code
    text = f"Ended by signal {signal}"
    plain = Sighting("", Phase.FAILED, "FAILED", text, exit_code, signal, ended_at=ended)
    return _over_a_limit(job, ended) or plain


def _exited(code: int, ended: datetime) -> Sighting:
    if code == 0:
        return Sighting("", Phase.DONE, "FINISHED", None, 0, ended_at=ended)
    hint = " (it may not have been able to open its log file)" if code == NO_LOG else ""
    text = f"Exited with code {code}{hint}"
    return Sighting("", Phase.FAILED, "FAILED", text, code, ended_at=ended)


def _exit_status(job: Attributes) -> int | None:
    """PBS Pro writes `Exit_status`, Torque `exit_status`."""
    text = job.get("Exit_status", job.get("exit_status", ""))
    return int(text) if text.removeprefix("-").isdecimal() else None


def _never_ran(job: Attributes, kind: words.Kind, ended: datetime) -> Sighting | None:
    """Without an exit status: it was deleted before it ran, or PBS gave it up.

    Torque and Slurm's commands leave it out of jobs that did run, so there it tells nothing.
    """
    if job.get("substate") == words.DELETED:
        return Sighting("", Phase.CANCELLED, "CANCELLED", "Cancelled", ended_at=ended)
    if not kind.has_history:
        return None
    why = job.get("comment") or ("a job it waited for failed" if "depend" in job else None)
    reason = f"PBS ended it before it ran{f': {why}' if why else ''}"
    return _failed("NOT_STARTED", reason, job, ended)


def _over_a_limit(job: Attributes, ended: datetime) -> Sighting | None:
    """Some servers kill with a plain signal: what the job had used says why."""
    used = units.elapsed(job.get("resources_used.walltime", ""))
    limit = units.elapsed(job.get("Resource_List.walltime", ""))
    if used is not None and limit and used >= limit:
        return _failed("TIMEOUT", words.TIME, job, ended)
    held = pbs_text.size(job.get("resources_used.mem"))
    room = pbs_text.size(job.get("Resource_List.mem"))
    if held is not None and room and held >= room:
        return _failed("OUT_OF_MEMORY", words.MEMORY, job, ended)
    return None


def _failed(word: str, reason: str, job: Attributes, ended: datetime) -> Sighting:
    limit = units.elapsed(job.get("Resource_List.walltime", ""))
    text = reason.replace("{limit}", units.clock(limit) if limit else "its queue")
    return Sighting("", Phase.FAILED, word, text, ended_at=ended)
