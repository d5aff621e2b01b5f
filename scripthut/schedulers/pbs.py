"""PBS's dialect: qsub, qselect, qstat, qdel, of OpenPBS, PBS Pro, Torque and Slurm's stand-ins.

Which of them it is, `qstat --version` says. A job's streams are opened by its own script: PBS
would bring them to their place when the job has ended.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath

from scripthut.core import units
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.jobs import UNKNOWN, Accepted, Answer, Job, Phase, Rejected, Used
from scripthut.core.queue import Queue, bounded
from scripthut.core.quote import sh
from scripthut.core.survey import Facts
from scripthut.schedulers import pbs_facts, pbs_text
from scripthut.schedulers import pbs_words as words
from scripthut.schedulers.base import Row, check_extra
from scripthut.schedulers.pbs_end import NO_LOG, used
from scripthut.schedulers.pbs_jobs import count, elements, listed, owner, phase, row
from scripthut.schedulers.pbs_sights import PBSSights
from scripthut.schedulers.pbs_text import Attributes, said

_ID = re.compile(r"\d{1,12}(?:\.[\w.-]{1,250})?")  # 4[].pbs1 and 4[2].pbs1 are arrays, never ours
_GPUS = re.compile(r"gpu(?::[A-Za-z][\w.-]*)?(?::(\d{1,4}))?")
_VERSION = re.compile(r"pbs_version\s*=\s*(?:PBSPro_)?(\d+)", re.IGNORECASE)
_NAME_ROOM = 200  # characters; PBS Pro takes 230
_AT_ONCE = 500  # ids in one command: far from the longest command line
_PROGRAM_MISSING = 127

# Constant scripts; what they are asked is in their words. Times are printed in the zone of the
# command. Ids that nobody knows, or that have ended, are no failure.
_BEGIN = "TZ=UTC; export TZ; set -f; flags=$1; shift; ids=; "
_SHOW = "qstat $flags $ids; code=$?; case $code in 35|153) exit 0; esac; exit $code"
_IF_ANY = '[ -n "$ids" ] || exit 0; '
_OF_ALL = _BEGIN + _SHOW
_OF_IDS = _BEGIN + 'ids="$*"; ' + _IF_ANY + _SHOW
_OF_USER = _BEGIN + 'ids=$(qselect "$@") || exit; ' + _IF_ANY + _SHOW
_OF_NAMES = _BEGIN + (
    "select=$1; shift; "
    'for name do found=$(qselect $select -N "$name") || exit; ids="$ids${found:+ $found}"; done; '
    + _IF_ANY
    + _SHOW
)


@dataclass(frozen=True)
class PBS:
    """PBS as one cluster is set up. `queue`: used for all tasks, whatever partition they name.

    `kind`: None until the server was asked.
    """

    account: str | None = None
    queue_name: str | None = None
    login_shell: bool = False
    kind: words.Kind | None = None
    extra: tuple[str, ...] = ()  # words for qsub, of all jobs

    @property
    def arrays(self) -> None:
        """None: arrays of PBS cannot leave indices out (ARCHITECTURE.md, section 6)."""

    def introduction(self) -> list[str]:
        """Every kind of PBS answers this in its own way, without asking its server."""
        return [] if self.kind else ["qstat", "--version"]

    def introduced(self, answer: Answer) -> "PBS":
        """The dialect of the kind that answered. Unreachable when nothing did."""
        if answer.code == _PROGRAM_MISSING:
            raise _missing("qstat")
        if answer.code < 0:
            raise Unreachable(f"qstat did not say its version: {said(answer)}")
        text = answer.out + answer.err
        if version := _VERSION.search(text):
            is_new = int(version[1]) >= words.FIRST_WITH_JSON
            return replace(self, kind=words.PRO if is_new else words.OLD_PRO)
        is_stand_in = "Unknown option: version" in text  # Perl's words, not Torque's
        return replace(self, kind=words.ON_SLURM if is_stand_in else words.TORQUE)

    @property
    def _kind(self) -> words.Kind:
        return self.kind or words.PRO

    @property
    def has_accounts(self) -> bool:
        """PBS Pro has a history; Torque's queue itself remembers for a while."""
        return self._kind.has_history

    def directives(self, job: Job) -> list[str]:
        """How the job is submitted, as comments; and where its output goes from here on."""
        shown = [f"# {sh([word])}" for word in self.submit(job)]
        out, err = sh([str(job.paths.out)]), sh([str(job.paths.err)])
        return [*shown, f"exec >>{out} 2>>{err} || exit {NO_LOG}"]

    def submit(self, job: Job) -> list[str]:
        """Qsub with all options; the script comes on standard input, or in script_file."""
        file = self.script_file(job)
        extra = [*self.extra, *job.resources.extra]
        check_extra(job.key, extra, words.NOT_PASSED_ON, words.WAITS_FOR_THE_END)
        options = [
            *(self._word(word) for word in extra),
            *("-N", job_name(job, self._kind)),
            *self._option("-q", self.queue_name or job.resources.partition),
            *self._option("-A", self.account),
            *self._resources(job),
            *("-o", "/dev/null", "-e", "/dev/null"),  # see directives()
            *("-m", "n"),
            *(("-S", "/bin/bash") if self._kind.reads_stdin else ()),  # whatever the login shell is
        ]
        return ["qsub", *options, *([self._word(str(file))] if file else [])]

    def _option(self, name: str, value: str | None) -> list[str]:
        return [] if value is None else [name, self._word(value)]

    def _word(self, text: str) -> str:
        """Slurm's qsub builds a line for a shell of what it is given."""
        return text if self._kind.reads_stdin else sh([text])

    def _resources(self, job: Job) -> list[str]:
        asked = job.resources
        gpus = _gpus(job)
        memory = [] if asked.memory is None else [f"mem={-(-asked.memory // units.MIB)}mb"]
        limit = [] if asked.time_limit is None else [f"walltime={units.clock(asked.time_limit)}"]
        if self._kind.has_select:
            chunk = [f"select=1:ncpus={asked.cpus}", *memory, *([f"ngpus={gpus}"] if gpus else [])]
            return ["-l", ":".join(chunk), *(["-l", *limit] if limit else [])]
        node = f"nodes=1:ppn={asked.cpus}" + (f":gpus={gpus}" if gpus else "")
        return ["-l", ",".join([node, *memory, *limit])]

    def script_file(self, job: Job) -> PurePosixPath | None:
        """Where qsub wants to find the script, if it reads no standard input."""
        return None if self._kind.reads_stdin else job.paths.state / f"{job.token}.sh"

    def parse_submit(self, answer: Answer) -> Accepted | Rejected | None:
        """The id stands on a line of its own; hooks may print others around it."""
        ids = [line.strip() for line in answer.out.splitlines() if _ID.fullmatch(line.strip())]
        if answer.code == 0:
            return Accepted(ids[-1]) if ids else None
        if answer.code == _PROGRAM_MISSING:
            raise _missing("qsub")
        if answer.code < 0 or ids or _holds(answer, words.UNKNOWN):
            return None
        return Rejected(said(answer), wait=_holds(answer, words.NOT_NOW))

    def queue(self, user: str) -> list[str]:
        """Qstat gives either a user's jobs or all there is to know of some; qselect joins both."""
        if not self._kind.has_qselect:
            return ["sh", "-c", _OF_ALL, "queue", self._flags(past=False)]
        return ["sh", "-c", _OF_USER, "queue", self._flags(past=False), "-u", user]

    def parse_queue(self, answer: Answer, user: str) -> list[Row]:
        """Unreachable when qstat failed, even with a valid answer of no jobs."""
        return list(self._rows(self._of(answer, user)))

    def list_queue(self, answer: Answer, user: str) -> Queue:
        """All of it, arrays too."""
        found = list(self._of(answer, user).items())
        queue = bounded(
            (phase(job), count(job), partial(listed, job_id, job)) for job_id, job in found
        )
        # An array that has begun is one row, though some of it waits.
        begun = (job for _, job in found if phase(job) is Phase.RUNNING)
        return replace(queue, waiting=queue.waiting + sum(elements(job, "Queued") for job in begun))

    @property
    def sights(self) -> PBSSights:
        """See pbs_sights.py."""
        return PBSSights(self._kind, self.queue)

    def facts(self, user: str) -> Mapping[str, list[str]]:
        """See pbs_facts.py. Slurm's commands know of no server."""
        return pbs_facts.commands(user, has_server=self._kind.has_qselect)

    def parse_facts(self, answers: Mapping[str, Answer]) -> Facts:
        """See pbs_facts.py."""
        return pbs_facts.read(answers)

    def informed(self, answers: Mapping[str, Answer]) -> "PBS":  # noqa: ARG002 -- of the protocol
        """The same: PBS's scheduler says itself which job can never run."""
        return self

    def accounting(
        self,
        user: str,
        ids: Collection[str],
        jobs: Sequence[Job],
        since: datetime,  # noqa: ARG002 -- a history is not asked by time
    ) -> list[list[str]]:
        """Ended jobs are asked for by id and by name: a user's history may be long."""
        flags = self._flags(past=True)
        select = f"-x -u {user}" if self._kind.has_history else f"-u {user}"
        names = [job_name(job, self._kind) for job in jobs] if self._kind.has_qselect else []
        by_id = [["sh", "-c", _OF_IDS, "ids", flags, *part] for part in _parts(sorted(ids))]
        by_name = [["sh", "-c", _OF_NAMES, "names", flags, select, *p] for p in _parts(names)]
        return by_id + by_name

    def _flags(self, past: bool) -> str:
        is_past = past and self._kind.has_history
        return ("-x " if is_past else "") + ("-f -F json" if self._kind.has_json else "-f")

    def parse_accounting(self, answer: Answer) -> list[Row] | None:
        """Endings alone. A server that keeps no history says so, and answers with no jobs."""
        if words.NO_HISTORY in answer.err:
            return None
        rows = self._rows(self._shown(answer))
        return [row for row in rows if row.sighting.ended_at is not None]

    def _rows(self, shown: Mapping[str, Attributes]) -> Iterator[Row]:
        for job_id, attributes in shown.items():
            if _ID.fullmatch(job_id) and (found := row(job_id, attributes, self._kind)):
                yield found

    def _of(self, answer: Answer, user: str) -> Mapping[str, Attributes]:
        """The user's jobs: Slurm's qstat tells of everybody's."""
        shown = self._shown(answer)
        is_whole = self._kind.has_qselect
        return {job_id: job for job_id, job in shown.items() if is_whole or owner(job) == user}

    def _shown(self, answer: Answer) -> Mapping[str, Attributes]:
        if answer.code == _PROGRAM_MISSING:
            raise _missing("qstat, or qselect,")
        if answer.code not in (0, words.NO_SUCH_JOB, words.HAS_FINISHED):
            raise Unreachable(f"qstat did not answer: {said(answer)}")
        return pbs_text.jobs(answer.out)

    def measuring(self, ids: Collection[str], since: datetime) -> list[list[str]]:
        """The same question as for endings: a job's record tells of both."""
        return self.accounting("", ids, [], since)

    def parse_measured(self, answer: Answer) -> Mapping[str, Used]:
        """What the jobs that are still known have used."""
        found = {job_id: used(job) for job_id, job in self._shown(answer).items()}
        return {job_id: told for job_id, told in found.items() if told != UNKNOWN}

    def cancel(self, ids: Collection[str]) -> list[str]:
        """Qdel for many jobs."""
        return ["qdel", *sorted(ids)]

    def parse_cancel(self, answer: Answer) -> None:
        """A server that does not answer is a failure; a job that has ended already is none.

        Nor is a node that does not answer: others' jobs must not wait, and orders are given again.
        """
        if answer.code == _PROGRAM_MISSING:
            raise _missing("qdel")
        if answer.code < 0 or _holds(answer, words.UNKNOWN):
            raise Unreachable(f"qdel did not reach the scheduler: {said(answer)}")


def job_name(job: Job, kind: words.Kind) -> str:
    """The job's name in the queue: the token, and what a person recognises if there is room.

    Letters, digits and `._+-` alone; PBS takes no blank.
    """
    if not kind.has_long_names:
        return job.token
    shown = re.sub(r"[^A-Za-z0-9._-]+", "_", job.name)[:_NAME_ROOM].strip("_-.")
    # A name must begin with a letter, for some.
    return f"{shown}+{job.token}" if shown[:1].isalpha() else job.token


def _gpus(job: Job) -> int:
    """How many GPUs a task asks for, written for Slurm. Refused for anything else."""
    text = job.resources.gres
    if text is None or not text.strip():
        return 0
    match = _GPUS.fullmatch(text.strip())
    if match is None:
        raise Refused(
            f'task {job.key!r}: gres {text!r} means nothing to PBS: write "gpu:2" for two GPUs'
        )
    return int(match[1] or 1)


def _missing(program: str) -> Unreachable:
    return Unreachable(
        f"{program} was not found on the login node: put PBS's commands into the PATH of the login "
        "shell"
    )


def _holds(answer: Answer, some: Sequence[str]) -> bool:
    return any(word in answer.err or word in answer.out for word in some)


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))
