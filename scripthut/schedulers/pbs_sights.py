"""Everybody's jobs on a cluster of PBS, and the user's that ended lately. For people alone."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scripthut.core.errors import BadAnswer
from scripthut.core.jobs import Answer, Phase
from scripthut.core.queue import Listed
from scripthut.core.sights import OTHERS, Crowd, Ended
from scripthut.schedulers import pbs_text
from scripthut.schedulers import pbs_words as words
from scripthut.schedulers.base import Cut, Question
from scripthut.schedulers.cut import alone, counts, named, others, table
from scripthut.schedulers.pbs_end import ending
from scripthut.schedulers.pbs_jobs import listed, owner
from scripthut.schedulers.pbs_text import Attributes, said

# id, user, queue, name, session, nodes, tasks, memory, time, state, elapsed
_FIELDS = 11
_AT = {"user": 1, "partition": 2, "name": 3, "cpus": 6, "state": 9, "reason": 9}
_RUNS = tuple(letter for letter, (_, phase) in words.STATES.items() if phase is Phase.RUNNING)
_WHY = {
    "Q": "Waits for free resources",
    "H": "Held, or waits for another job",
    **{letter: words.STATE_REASONS[letter] for letter in "WTM"},
}
# Columns are wide enough for most names with -w, which old servers' qstat does not know.
_WIDE = "qstat -a -w 2>/dev/null || exec qstat -a"
_HIDES = "qstat -B -f | grep query_other_jobs"
_SHOWN = re.compile(r"query_other_jobs\s*=\s*True", re.IGNORECASE)
_LATEST = 200  # jobs of a history, which is listed from the first on
_OF_HISTORY = (
    "TZ=UTC; export TZ; set -f; most=$1 user=$2; shift 2; "
    'ids=$(qselect -x -u "$user") || exit; ids=$(printf "%s\\n" $ids | tail -n "$most"); '
    '[ -n "$ids" ] || exit 0; '
    'qstat -x "$@" $ids; code=$?; case $code in 35|153) exit 0; esac; exit $code'
)


@dataclass(frozen=True)
class PBSSights:
    """What qstat says to people. `queue`: the question for the user's own jobs in the queue."""

    kind: words.Kind
    queue: Callable[[str], list[str]]

    def crowd(self, user: str) -> Mapping[str, Question]:
        """The short table: all there is to know of everybody's jobs would be far too much."""
        cut = Cut(_FIELDS, _AT, below="---", skips=words.OVER, runs=_RUNS, user=user, is_short=True)
        wide = ["sh", "-c", _WIDE] if self.kind.has_history else ["qstat", "-a"]
        hides = {"hides": Question(["sh", "-c", _HIDES])} if self.kind.has_qselect else {}
        return {"jobs": Question(wide, cut), **hides}

    def parse_crowd(self, answers: Mapping[str, Answer], user: str) -> Crowd:
        """Of others' jobs no token is read."""
        answer = named(answers, "jobs")
        if answer.code != 0:
            why = said(answer)
            return Crowd(user, note=f"Others' jobs cannot be listed: qstat says: {why}")
        found = table(answer)
        crowd = counts(found, _RUNS, _why)
        note = None
        if not others(crowd, user):
            is_hidden = "hides" in answers and not _SHOWN.search(answers["hides"].out)
            note = alone("query_other_jobs is not set" if is_hidden else None)
        return replace(crowd, user=user, jobs=tuple(map(_listed, found.rows)), note=note)

    def ended(self, user: str, since: datetime) -> Mapping[str, Question]:  # noqa: ARG002 -- a history is not asked by time
        """The last of the history; else what the queue still shows of jobs that ended."""
        if not self.kind.has_history:
            return {"jobs": Question(self.queue(user))}
        form = ["-f", "-F", "json"] if self.kind.has_json else ["-f"]
        argv = ["sh", "-c", _OF_HISTORY, "ended", str(_LATEST), user, *form]
        return {"jobs": Question(argv)}

    def parse_ended(self, answers: Mapping[str, Answer], user: str) -> Ended:
        """The last to end first."""
        answer = named(answers, "jobs")
        if words.NO_HISTORY in answer.err:
            return Ended(is_told=False, note="This server keeps no history of jobs that ended.")
        try:
            if answer.code not in (0, words.NO_SUCH_JOB, words.HAS_FINISHED):
                raise BadAnswer(said(answer))
            shown = pbs_text.jobs(answer.out)
        except BadAnswer as error:
            return Ended(is_told=False, note=f"PBS does not say what ended: {error}")
        is_whole = self.kind.has_qselect  # Slurm's qstat tells of everybody's
        own = {job_id: job for job_id, job in shown.items() if is_whole or owner(job) == user}
        found = [self._ended(job_id, job) for job_id, job in own.items()]
        jobs = sorted(
            (job for job in found if job is not None),
            key=lambda job: job.ended_at.timestamp() if job.ended_at else 0,
            reverse=True,
        )
        if self.kind.has_history:
            is_full = len(shown) >= _LATEST
            note = f"Only the last {_LATEST} jobs of the history were read." if is_full else None
            return Ended(tuple(jobs), note=note)
        why = f"{self.kind.name} forgets a job some minutes after its end."
        return Ended(tuple(jobs), is_told=False, note=why)

    def _ended(self, job_id: str, job: Attributes) -> Listed | None:
        over = ending(job, self.kind) if job.get("job_state") in words.OVER else None
        if over is None:
            return None
        return replace(
            listed(job_id, job),
            owner=owner(job),
            phase=over.phase,
            word=over.word,
            reason=over.reason,
            count=1,
            ended_at=over.ended_at,
            exit_code=over.exit_code,
        )


def _why(letter: str) -> str:
    return _WHY.get(letter, f"PBS calls its state {letter}" if letter else OTHERS)


def _listed(row: Sequence[str]) -> Listed:
    job_id, user, queue, name, _, nodes, tasks, memory, limit, letter, _ = row
    word, phase = words.STATES.get(letter, (letter, Phase.WAITING))
    waits = phase is Phase.WAITING
    return Listed(
        job_id=job_id,
        name=name,
        owner=user,
        phase=phase,
        word=word,
        reason=_why(letter) if waits else words.STATE_REASONS.get(letter),
        partition=queue,
        cpus=int(tasks) if re.fullmatch(r"[1-9]\d{0,8}", tasks) else 1,
        memory=pbs_text.size(memory),
        nodes=int(nodes) if re.fullmatch(r"[1-9]\d{0,8}", nodes) else 1,
        time_limit=_clock(limit),
    )


def _clock(text: str) -> int | None:
    """Seconds in the hours and minutes of the table.

    >>> _clock("72:30"), _clock("00:05:00"), _clock("--")
    (261000, 300, None)
    """
    match = re.fullmatch(r"(\d{1,6}):(\d\d)(?::(\d\d))?", text)
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0) if match else None
