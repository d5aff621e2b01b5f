"""Sighting + exit note + how long nobody has seen the job -> the event that moves a task, or None.

Evidence in order: the job's own exit note, the queue, accounting. Silence is never evidence: a
question that got no answer changes nothing, and patience counts only answered questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from scripthut.core.causes import Cause, cause
from scripthut.core.jobs import ExitNote, Phase, Sighting, Used
from scripthut.core.states import LIVE, Event, State

PATIENCE = timedelta(minutes=10)  # no record anywhere for this long: lost
UNHEARD = timedelta(minutes=1)  # "no such job" for this long: it was never submitted
YOUNG = timedelta(seconds=10)  # a scheduler may take this long to show a job it accepted
WORD = timedelta(seconds=30)  # how long a scheduler's own word is awaited for a killed job
LATE = timedelta(minutes=2)  # a file of a node may show so late on the login node
APART = timedelta(minutes=1)  # so far apart are two clocks at most

_KILLED = 137  # what a shell makes of SIGKILL, which is what a kernel without memory sends
SIGNALLED = range(129, 128 + 65)  # exit codes that tell of a signal; 255 is a code like any other
SIGNALS = {1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
RETURNS = frozenset({"BOOT_FAIL", "NODE_FAIL", "PREEMPTED"})  # or not: a requeue may follow
ENDED = {
    Phase.DONE: Event.EXITED_OK,
    Phase.FAILED: Event.EXITED_BAD,
    Phase.CANCELLED: Event.CANCELLED,
}


_NEVER_RAN = (Phase.FAILED, Phase.CANCELLED)


@dataclass(frozen=True)
class Standing:
    """What is known of a task before this cycle's evidence."""

    state: State
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    missing_since: datetime | None = None
    time_limit: int | None = None  # seconds
    cancel_asked: bool = False
    cancel_sent: bool = False
    requeues: int = 0  # how often its job was seen to wait anew
    reason: str | None = None  # what was said of it last


@dataclass(frozen=True)
class Evidence:
    """What one cycle saw of one task. With neither sighting nor note: asked, answered, absent."""

    sighting: Sighting | None = None
    note: ExitNote | None = None
    claimed_by: str | None = None  # the job id in the claim
    unanswered: bool = False  # part of the question got no answer
    withdrawn: bool = False  # the token is claimed for no job: none can run with it
    unaccounted: bool = False  # the accounting answered, and has not heard of its end yet


Facts: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Verdict:
    """An event (None: the state stays) and the facts that come with it, named like the columns."""

    event: Event | None = None
    facts: Facts = field(default_factory=dict)


NOTHING = Verdict()
LOOK = "look at its log, then vouch for it or retry it"
NO_TOKEN: dict[str, object] = {"token": None}


def judge(task: Standing, seen: Evidence, now: datetime, answering_since: datetime) -> Verdict:
    """What the evidence says. Never asks for a move that the table does not have.

    `answering_since`: since when the backend has answered without a break; absence before that
    was not asked about and does not count.
    """
    if task.state is State.SUBMITTING:
        return _accepted(task, seen, now, answering_since)
    if task.state not in LIVE and task.state is not State.LOST:
        return NOTHING
    if seen.withdrawn and (seen.sighting is None or seen.sighting.phase is not Phase.FAILED):
        return Verdict(Event.CANCELLED, {"reason": "Cancelled before it began"})
    if task.state is not State.LOST and (pause := _interrupted(task, seen)) is not None:
        event = None if task.state is State.SETTLING else Event.LEFT_QUEUE
        return Verdict(event, {"missing_since": now, "reason": pause})
    ended = _ended(task, seen, now, answering_since)
    if ended is not None:
        return ended
    if task.state is State.LOST:
        return NOTHING
    if seen.sighting is not None and seen.sighting.phase not in ENDED:
        return _in_queue(task, seen, seen.sighting, now)
    return _absent(task, seen, now, answering_since)


def _accepted(task: Standing, seen: Evidence, now: datetime, answering_since: datetime) -> Verdict:
    """A submission whose outcome is not known: any trace of the token is an acceptance.

    One that was not found may still arrive, so its token is forgotten only when no job can run
    with it any more, or when nothing answered to an order to cancel either.
    """
    if seen.withdrawn:
        return Verdict(Event.NOT_FOUND, NO_TOKEN | {"missing_since": None, "submitted_at": None})
    job_id = seen.claimed_by
    if job_id is None and seen.note is not None:
        job_id = seen.note.job_id
    if job_id is None and seen.sighting is not None:
        job_id = seen.sighting.job_id
    if job_id is not None:
        return Verdict(
            Event.ACCEPTED, {"job_id": job_id, "accepted_at": now, "missing_since": None}
        )
    if seen.unanswered:
        return _forget_absence(task)
    if _gone_for(task, now, answering_since) >= UNHEARD and _age(task, now) >= UNHEARD:
        facts: dict[str, object] = NO_TOKEN if task.cancel_sent else {}
        return Verdict(Event.NOT_FOUND, facts | {"submitted_at": None})
    return _absence_begins(task, now)


def _interrupted(task: Standing, seen: Evidence) -> str | None:
    """What is said of a run whose end a requeue may follow, when it is seen for the first time.

    From then on it is waited for, on our own clock: it may have been out of sight for long before,
    and what a cluster's clock says need not agree with ours.
    """
    sighting = seen.sighting
    if sighting is None or sighting.word not in RETURNS or sighting.ended_at is None:
        return None
    if seen.note is not None and _is_earlier(sighting, seen.note):
        return None
    said = f"Was interrupted at {sighting.ended_at:%H:%M:%S} UTC, and may run again"
    return None if task.reason == said else said


def _ended(
    task: Standing, seen: Evidence, now: datetime, answering_since: datetime
) -> Verdict | None:
    """The ending that the evidence proves, or None when it does not prove one."""
    sighting, note = seen.sighting, seen.note
    is_earlier = note is not None and sighting is not None and _is_earlier(sighting, note)
    # Counted on our own clock from when the queue was first seen without it, never on the node's.
    awaited = _gone_for(task, now, answering_since)
    if sighting is not None and sighting.phase in ENDED and not is_earlier:
        if _is_in_doubt(task, seen, sighting, awaited, now):
            return None
        return _scheduler_says(task, sighting, note, seen.claimed_by)
    if note is None or (sighting is not None and not is_earlier):
        return None  # in the queue: it may run anew, and of a bad end the scheduler says why
    if task.requeues and awaited < LATE:
        return None  # it may be the note of an earlier run
    has_no_word = awaited < (PATIENCE if seen.unanswered else WORD)
    if note.code == 0:
        # A handler that exits 0 after the limit has not completed: the scheduler's word counts. So
        # it does where a job went back into the queue after this note, and ended there unseen.
        is_open = _over_limit(task, note) or seen.unaccounted or is_earlier
        return None if is_open and has_no_word else _by_note(note)
    if note.code in SIGNALLED and task.cancel_asked:
        return Verdict(Event.CANCELLED, _note_facts(note) | {"reason": "Cancelled"})
    return None if note.code in SIGNALLED and has_no_word else _by_note(note)


def _is_earlier(sighting: Sighting, note: ExitNote) -> bool:
    """Whether the scheduler's word is on a run before the one that left the note."""
    ended = sighting.ended_at
    return sighting.word in RETURNS and ended is not None and ended < note.started_at


def ended_unclaimed(seen: Evidence) -> bool:
    """Whether a job ended badly before it began, so that its token has to be withdrawn."""
    is_free = seen.claimed_by is None and seen.note is None and not seen.withdrawn
    return is_free and seen.sighting is not None and seen.sighting.phase in _NEVER_RAN


def _is_in_doubt(
    task: Standing, seen: Evidence, sighting: Sighting, awaited: timedelta, now: datetime
) -> bool:
    """Whether the scheduler's final word may not be the last one on this job."""
    note, started, ended = seen.note, sighting.started_at, sighting.ended_at
    if sighting.word in RETURNS:
        is_fresh = awaited < PATIENCE and ended is not None and now - ended < WORD
        if awaited < WORD or is_fresh:
            return True
    if ended is not None and task.started_at is not None and ended < _second(task.started_at):
        return True  # of an earlier run; accounting has not heard of this one's end
    if awaited >= LATE:
        return False
    if sighting.phase is not Phase.DONE:
        return ended_unclaimed(seen)  # another job with this token may be on its way
    if note is None:
        return seen.claimed_by != sighting.job_id  # another job with this token may have claimed it
    return started is not None and note.ended_at < started and note.code != 0


def _second(when: datetime) -> datetime:
    """The whole second of a time: ends are told in these, starts sometimes more exactly."""
    return when.replace(microsecond=0)


def _by_note(note: ExitNote) -> Verdict:
    return Verdict(Event.EXITED_OK if note.code == 0 else Event.EXITED_BAD, _note_facts(note))


def _scheduler_says(
    task: Standing, sighting: Sighting, note: ExitNote | None, claimed_by: str | None
) -> Verdict | None:
    """The scheduler's final word, made more exact by the note: it has the whole exit code."""
    event = ENDED[sighting.phase]
    if event is Event.EXITED_OK and note is None and claimed_by not in (None, sighting.job_id):
        return None  # a second job with our token that met the claim and ran nothing
    if event is Event.EXITED_OK and note is not None and note.code != 0:
        return Verdict(Event.EXITED_BAD, _note_facts(note))
    if event is Event.EXITED_BAD and task.cancel_asked and _was_killed(sighting):
        event = Event.CANCELLED  # Torque tells of the signal alone, not of who sent it
    facts: dict[str, object] = {"finished_at": sighting.ended_at, "node": sighting.node}
    facts |= {"exit_code": sighting.exit_code, "signal": sighting.signal}
    if sighting.started_at is not None:
        facts["started_at"] = sighting.started_at
    facts |= _used(sighting.used)
    if note is not None:
        facts |= _note_facts(note) | _used(sighting.used.or_more(note.used))
        if event is not Event.EXITED_OK and note.code == 0:
            facts |= {"exit_code": sighting.exit_code, "signal": sighting.signal}
    elif event is Event.EXITED_OK:
        facts["exit_code"] = 0
    # The scheduler's sentence (a limit, memory, a node) tells more than a bare exit code does.
    own_words = sighting.reason
    if event is Event.EXITED_BAD and (own_words is None or sighting.word == "FAILED"):
        own_words = own_words if note is None else _why(note)
    if event is Event.CANCELLED and sighting.phase is Phase.FAILED:
        own_words = "Cancelled"
    facts["cause"] = _cause(sighting, note, claimed_by) if event is Event.EXITED_BAD else None
    facts["reason"] = None if event is Event.EXITED_OK else (own_words or sighting.word.title())
    return Verdict(event, {k: v for k, v in facts.items() if k == "reason" or v is not None})


def _cause(sighting: Sighting, note: ExitNote | None, claimed_by: str | None) -> Cause:
    """What the scheduler's word tells of, else what the job script itself knows.

    A script that began and left no note was killed outright: so it looks where nobody says that
    memory ran out.
    """
    known = cause(sighting.word)
    if known is Cause.ANY and note is not None:
        return _cause_by_note(note)
    was_killed = sighting.word == "FAILED" and claimed_by == sighting.job_id
    return Cause.OUT_OF_MEMORY if was_killed and note is None else known


def _cause_by_note(note: ExitNote) -> Cause:
    if note.is_late:
        return Cause.TIMEOUT
    return Cause.OUT_OF_MEMORY if note.code == _KILLED else Cause.ANY


def _was_killed(sighting: Sighting) -> bool:
    """Whether a signal ended it, and the scheduler names no cause (a limit, a node)."""
    return sighting.word == "FAILED" and sighting.signal in (9, 15)


def _in_queue(task: Standing, seen: Evidence, sighting: Sighting, now: datetime) -> Verdict:
    facts: dict[str, object] = {"missing_since": None, "reason": sighting.reason}
    if sighting.phase is Phase.WAITING:
        has_begun = seen.claimed_by == sighting.job_id or seen.note is not None
        if task.started_at is not None or (has_begun and not task.requeues):
            facts["requeues"] = task.requeues + 1
        if seen.note is not None:
            facts["void_note"] = seen.note.ended_at  # of a run that is over, and counts no more
        facts["started_at"] = None  # a requeued job starts anew
        return Verdict(None if task.state is State.QUEUED else Event.SEEN_WAITING, facts)
    facts |= {"started_at": sighting.started_at or task.started_at or now, "node": sighting.node}
    if seen.claimed_by is not None:
        facts["job_id"] = seen.claimed_by  # of one that waited for this machine, its process
    if seen.note is not None and _began_after(seen.note, task, sighting):
        facts["void_note"] = seen.note.ended_at  # as above, where its wait was seen too briefly
    return Verdict(None if task.state is State.RUNNING else Event.SEEN_RUNNING, facts)


def _began_after(note: ExitNote, task: Standing, sighting: Sighting) -> bool:
    """Whether what runs began after a note's end; only of one that requeued is that told closely.

    The two times are of two clocks, and a short job may be seen to run with its note there.
    """
    apart = timedelta(0) if task.requeues else APART
    return sighting.started_at is not None and sighting.started_at > note.ended_at + apart


def _absent(task: Standing, seen: Evidence, now: datetime, answering_since: datetime) -> Verdict:
    if seen.unanswered and seen.note is None:
        return _forget_absence(task)
    if _age(task, now) < YOUNG and task.state is State.SUBMITTED:
        return NOTHING
    if task.state is not State.SETTLING:
        return Verdict(Event.LEFT_QUEUE, {"missing_since": now, "reason": None})
    gone_for = _gone_for(task, now, answering_since)
    if task.cancel_sent and seen.note is None and gone_for >= LATE:
        reason = "Cancelled: it left the queue after the order, and no record says otherwise"
        return Verdict(Event.CANCELLED, {"reason": reason, "finished_at": task.missing_since})
    if gone_for >= PATIENCE:
        return Verdict(Event.VANISHED, {"reason": f"{_found(seen)}: {LOOK}"})
    return _absence_begins(task, now)


def _found(seen: Evidence) -> str:
    """What there is of a job that cannot be judged."""
    if seen.note is None and seen.sighting is None:
        return "The scheduler has no record of it and it left no exit note"
    if seen.note is None:
        return "The scheduler's record is not of its last run, and it left no exit note"
    said = f"It left an exit note (code {seen.note.code}), which may be of an earlier run"
    return said if seen.sighting is None else f"{said}, as the scheduler's record may be"


def _absence_begins(task: Standing, now: datetime) -> Verdict:
    return NOTHING if task.missing_since else Verdict(None, {"missing_since": now})


def _forget_absence(task: Standing) -> Verdict:
    return Verdict(None, {"missing_since": None}) if task.missing_since else NOTHING


def _gone_for(task: Standing, now: datetime, answering_since: datetime) -> timedelta:
    """For how long answered questions have found nothing."""
    if task.missing_since is None:
        return timedelta(0)
    return now - max(task.missing_since, answering_since)


def _age(task: Standing, now: datetime) -> timedelta:
    return now - task.submitted_at if task.submitted_at else timedelta(0)


def _over_limit(task: Standing, note: ExitNote) -> bool:
    return task.time_limit is not None and (
        note.ended_at - note.started_at >= timedelta(seconds=task.time_limit)
    )


def _note_facts(note: ExitNote) -> dict[str, object]:
    return {
        "job_id": note.job_id,
        "exit_code": note.code,
        "signal": note.code - 128 if note.code in SIGNALLED else None,
        "started_at": note.started_at,
        "finished_at": max(note.ended_at, note.started_at),
        "node": note.node,
        "reason": _why(note),
        "cause": None if note.code == 0 else _cause_by_note(note),
        **_used(note.used),
    }


def _used(used: Used) -> dict[str, object]:
    facts = {"memory_used": used.memory, "cpu_used": used.cpu}
    return {name: value for name, value in facts.items() if value is not None}


def _why(note: ExitNote) -> str | None:
    code = note.code
    if code == 0:
        return None
    if note.is_late:
        return note.why or "It ran longer than its timeout"
    if note.why is not None:
        return f"The command was not run: {note.why}"
    if code not in SIGNALLED:
        return f"Exited with code {code}"
    number = code - 128
    name = SIGNALS.get(number, f"signal {number}")
    return f"Ended by {name} (exit code {code})"
