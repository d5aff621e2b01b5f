"""Which of the waiting jobs this machine has room for: in their order, none overtakes another."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scripthut.core.jobs import Job
from scripthut.core.units import size


@dataclass(frozen=True)
class Room:
    """Processors, and memory in bytes."""

    cpus: int
    memory: int

    def of(self, job: Job) -> "Room":
        """What a job takes of this machine. One that asks for more than there is gets all of it."""
        asked = job.resources
        return Room(min(asked.cpus, self.cpus), min(asked.memory or 0, self.memory))

    def without(self, jobs: Iterable[Job]) -> "Room":
        """What is left when these run."""
        taken = [self.of(job) for job in jobs]
        return Room(
            self.cpus - sum(room.cpus for room in taken),
            self.memory - sum(room.memory for room in taken),
        )

    def lacks(self, wanted: "Room") -> str | None:
        """Why there is no room, in a sentence; None when there is."""
        if wanted.cpus > self.cpus:
            return f"Waits for processors: asks for {wanted.cpus}, and {max(0, self.cpus)} are free"
        if wanted.memory > self.memory:
            asked, free = size(wanted.memory), size(max(0, self.memory))
            return f"Waits for memory: asks for {asked}, and {free} is free"
        return None


def starting(whole: Room, running: Iterable[Job], waiting: Iterable[Job]) -> Iterator[Job | str]:
    """For each waiting job, in its order: the job, when it starts, or why it waits.

    A job that needs much would wait for ever if small ones were let pass.
    """
    left = whole.without(running)
    blocked = False
    for job in waiting:
        wanted = whole.of(job)
        why = left.lacks(wanted)
        if blocked:
            yield why or "Waits for its turn: a task before it needs more than is free"
            continue
        if why is not None:
            blocked = True
            yield why
            continue
        left = Room(left.cpus - wanted.cpus, left.memory - wanted.memory)
        yield job
