"""What people see beside their own queue: everybody's jobs, and what of theirs ended lately."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scripthut.core.queue import Listed

LATELY = timedelta(days=1)  # what has ended since then, ended lately
OTHERS = "Other reasons"
_SHOWN = 8  # users, or reasons, that are shown one by one


@dataclass(frozen=True)
class Holding:
    """What a user has in a partition: jobs that run, on how many CPUs, and jobs that wait.

    The user "" stands for all whom the answer had no room to name.
    """

    user: str
    partition: str
    running: int = 0
    cpus: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Before:
    """How many jobs of how many others wait in a partition before the first of the user's own."""

    partition: str
    jobs: int
    users: int


@dataclass(frozen=True)
class Crowd:
    """Everybody's jobs, for people alone: none of it is evidence of anything.

    `jobs` is cut at a bound, what waits in the order in which it may start where that is known;
    `more` counts what is left out. All else counts all jobs.
    """

    user: str = ""  # whose own jobs are among them
    jobs: tuple[Listed, ...] = ()
    more: int = 0
    users: int = 0
    holdings: tuple[Holding, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)  # by reason
    before: tuple[Before, ...] = ()
    note: str | None = None  # a sentence: why others' jobs are not seen

    @property
    def running(self) -> int:
        """Of everybody."""
        return sum(one.running for one in self.holdings)

    @property
    def queued(self) -> int:
        """Of everybody."""
        return sum(one.waiting for one in self.holdings)

    @property
    def commonest(self) -> list[tuple[str, int]]:
        """For which reasons most jobs wait; the others together.

        >>> Crowd(waiting={"a": 1, OTHERS: 9, "b": 2}).commonest
        [('b', 2), ('a', 1), ('Other reasons', 9)]
        """
        named = [one for one in self.waiting.items() if one[0] != OTHERS]
        named.sort(key=lambda one: -one[1])
        rest = sum(self.waiting.values()) - sum(count for _, count in named[:_SHOWN])
        return [*named[:_SHOWN], *([(OTHERS, rest)] if rest else [])]

    @property
    def foremost(self) -> list[Holding]:
        """Those of `holders` who hold most, and the user; all others together."""
        found = self.holders
        told = [one for at, one in enumerate(found) if at < _SHOWN or one.user == self.user]
        named = [one for one in told if one.user]
        rest = [one for one in found if one not in named]
        return [*named, _all(rest)] if rest else named

    @property
    def holders(self) -> list[Holding]:
        """What each user has in all partitions, those who hold most first; the unnamed last.

        >>> some = [Holding("ada", "a", 1, 4), Holding("bob", "a", 1, 9), Holding("ada", "b", 2, 8)]
        >>> [(one.user, one.running, one.cpus) for one in Crowd(holdings=tuple(some)).holders]
        [('ada', 3, 12), ('bob', 1, 9)]
        """
        found: dict[str, Holding] = {}
        for one in self.holdings:
            known = found.get(one.user, Holding(one.user, ""))
            found[one.user] = Holding(
                one.user,
                "",
                known.running + one.running,
                known.cpus + one.cpus,
                known.waiting + one.waiting,
            )
        return sorted(
            found.values(), key=lambda one: (not one.user, -one.cpus, -one.waiting, one.user)
        )


def _all(some: Sequence[Holding]) -> Holding:
    return Holding(
        "",
        "",
        sum(one.running for one in some),
        sum(one.cpus for one in some),
        sum(one.waiting for one in some),
    )


@dataclass(frozen=True)
class Ended:
    """The user's jobs that ended lately, the last first; `more` counts those that are left out."""

    jobs: tuple[Listed, ...] = ()
    more: int = 0
    is_told: bool = True  # by the scheduler, or its accounting
    note: str | None = None  # a sentence: why there may be others


_CROWD, _ENDED = TypeAdapter(Crowd), TypeAdapter(Ended)


def crowd_as_json(crowd: Crowd) -> dict[str, Any]:
    """A crowd as plain data, short."""
    told: dict[str, Any] = _CROWD.dump_python(crowd, mode="json", exclude_defaults=True)
    return told


def crowd_of(data: object) -> Crowd:
    """A crowd from plain data; what another version wrote differently is forgotten."""
    try:
        return _CROWD.validate_python(data)
    except ValidationError:
        return Crowd()


def ended_as_json(ended: Ended) -> dict[str, Any]:
    """Ended jobs as plain data, short."""
    told: dict[str, Any] = _ENDED.dump_python(ended, mode="json", exclude_defaults=True)
    return told


def ended_of(data: object) -> Ended:
    """Ended jobs from plain data; what another version wrote differently is forgotten."""
    try:
        return _ENDED.validate_python(data)
    except ValidationError:
        return Ended()
