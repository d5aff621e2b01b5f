"""How the queues are looked at: search, phase and order. The address holds it all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flask import request

from scripthut.core.jobs import Phase
from scripthut.store.machines.queue import QueueRow, View
from scripthut.web.numbers import LONGEST

PHASES: Mapping[str, Phase] = {"running": Phase.RUNNING, "queued": Phase.WAITING}
ENDED = "ended"
VIEWS = ((View.MINE, "Mine"), (View.ALL, "All users"), (View.ENDED, "Ended"))
Key = Callable[[QueueRow], str | int | float | datetime | None]
ORDERS: Mapping[str, Key] = {
    "state": lambda row: row.job.phase.value,
    "job": lambda row: row.job.job_id.rjust(20),
    "name": lambda row: (row.task.key if row.task else row.job.name).lower(),
    "user": lambda row: row.job.owner.lower(),
    "partition": lambda row: row.job.partition.lower(),
    "cpus": lambda row: row.job.cpus * row.job.count,
    "submitted": lambda row: row.job.submitted_at,
    "starts": lambda row: row.job.started_at,
    "ended": lambda row: row.job.ended_at,
    "elapsed": lambda row: row.job.elapsed,
    "code": lambda row: row.job.exit_code,
}


@dataclass(frozen=True)
class QueueLook:
    """What the address asks for; what it does not say is as usual."""

    find: str = ""
    phase: str = ""  # a key of PHASES, or ENDED; empty: all that are in the queue
    who: str = ""  # "all": everybody's
    by: str = ""  # a key of ORDERS, with "-" before it when the last come first

    @property
    def args(self) -> dict[str, str]:
        """What an address must say to be looked at like this."""
        said = {"who": self.who, "find": self.find, "phase": self.phase, "by": self.by}
        return {name: value for name, value in said.items() if value}

    @property
    def view(self) -> View:
        """Whose jobs are looked at. Of others' that have ended nobody tells."""
        if self.phase == ENDED:
            return View.ENDED
        return View.ALL if self.who else View.MINE

    @property
    def is_narrow(self) -> bool:
        """Whether not all of its view is shown."""
        return bool(self.find or self.phase in PHASES)

    @property
    def whole(self) -> dict[str, str]:
        """The address of all that its view has."""
        return replace(self, find="").viewing(self.view)

    def viewing(self, view: View) -> dict[str, str]:
        """The address of another view, which searches for the same."""
        words = {View.ALL: {"who": "all"}, View.ENDED: {"phase": ENDED}, View.MINE: {}}
        return {**({"find": self.find} if self.find else {}), **words[view]}

    def sorting(self, by: str) -> dict[str, str]:
        """The address of this order; the other way round, if it is so already."""
        return {**self.args, "by": f"-{by}" if self.by == by else by}

    def direction(self, by: str) -> str:
        """How a column is sorted, as ARIA says it."""
        ways = {by: "ascending", f"-{by}": "descending"}
        return ways.get(self.by, "none")

    def shown(self, rows: Sequence[QueueRow]) -> list[QueueRow]:
        """Those of the rows that are asked for, in the order that is."""
        words = self.find.lower().split()
        found = [row for row in rows if all(word in _text(row) for word in words)]
        if self.phase in PHASES:
            found = [row for row in found if row.job.phase is PHASES[self.phase]]
        key = ORDERS.get(self.by.removeprefix("-"))
        if key is None:
            return found
        # What has no such value stands last, whichever way round.
        known = [row for row in found if key(row) is not None]
        known.sort(key=key, reverse=self.by.startswith("-"))  # type: ignore[arg-type]
        return [*known, *(row for row in found if key(row) is None)]


def queue_look() -> QueueLook:
    """As the request's address says; what it cannot mean is left out."""
    asked = request.args
    phase, by = asked.get("phase", ""), asked.get("by", "")
    return QueueLook(
        asked.get("find", "").strip()[:LONGEST],
        phase if phase in (*PHASES, ENDED) else "",
        "all" if asked.get("who") == "all" and phase != ENDED else "",
        by if by.removeprefix("-") in ORDERS else "",
    )


def _text(row: QueueRow) -> str:
    job, task = row.job, row.task
    words = [job.job_id, job.name, job.owner, job.account, job.partition, job.reason, job.node]
    words += [task.key, task.run.name, task.run_id] if task else []
    return " ".join(word for word in words if word).lower()
