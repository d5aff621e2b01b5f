"""What is left for a scheduler's accounting to tell, and what it told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from scripthut.backends.node import Seen
from scripthut.core.jobs import Job, Sighting, Token
from scripthut.core.judge import SIGNALLED


@dataclass(frozen=True)
class Asked:
    """What the accounting said."""

    sightings: Mapping[Token, Sighting] = field(default_factory=dict)
    unanswered: frozenset[Token] = frozenset()
    unaccounted: frozenset[Token] = frozenset()
    notice: str | None = None


@dataclass
class Open:
    """Whom the accounting is asked about: jobs with their ids by token, and those without one.

    `noted`: their notes say that all went well. One that went back into the queue after that, and
    was cancelled before anybody saw it there, is known to the accounting alone.
    """

    named: dict[Token, tuple[Job, str]] = field(default_factory=dict)
    noted: dict[Token, tuple[Job, str]] = field(default_factory=dict)
    unclaimed: frozenset[Token] = frozenset()  # of the named: nothing says that they began
    unnamed: list[Job] = field(default_factory=list)

    @classmethod
    def of(cls, jobs: Sequence[Job], seen: Seen, absent: Collection[Token]) -> "Open":
        """What a look at the queue and the notes leaves open of jobs that the queue does not have.

        `absent`: those without an id that have been absent for long.
        """
        found = cls()
        for job in jobs:
            note = seen.notes.get(job.token)
            job_id = seen.claims.get(job.token) or job.job_id
            if note is not None and note.code not in SIGNALLED:
                if note.code == 0 and job_id is not None:
                    found.noted[job.token] = (job, job_id)
            elif job_id is not None:
                found.named[job.token] = (job, job_id)
            elif job.token in absent:
                found.unnamed.append(job)
        found.unclaimed = frozenset(found.named) - seen.claims.keys()
        return found

    @property
    def needed(self) -> list[Job]:
        """Those whose ending nothing else tells."""
        return [*(job for job, _ in self.named.values()), *self.unnamed]

    @property
    def jobs(self) -> list[Job]:
        """All of them."""
        return [*self.needed, *(job for job, _ in self.noted.values())]

    def __bool__(self) -> bool:
        return bool(self.named or self.noted or self.unnamed)


def unanswered(jobs: Sequence[Job], why: str) -> Asked:
    """Nobody could say anything about these."""
    return Asked(unanswered=frozenset(job.token for job in jobs), notice=why)
