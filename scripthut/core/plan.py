"""What to submit now: caps and fair share between runs."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Claimant:
    """A run that could use slots: `ready` tasks could start, `live` ones hold slots already."""

    run_id: str
    ready: int
    live: int


def allot(free: int, claimants: Sequence[Claimant]) -> dict[str, int]:
    """How many of a backend's free slots each run gets.

    Slot by slot to the run that holds the fewest (the first of equals in the order given, so give
    the oldest first): a run of 500 tasks does not starve one of 5, and no slot stays empty while
    any run could use it.

    >>> allot(6, [Claimant("big", 500, 0), Claimant("small", 2, 0)])
    {'big': 4, 'small': 2}
    >>> allot(3, [Claimant("big", 500, 7), Claimant("small", 9, 5)])
    {'big': 1, 'small': 2}
    """
    given = dict.fromkeys((c.run_id for c in claimants), 0)
    hungry = [c for c in claimants if c.ready > 0]
    for _ in range(max(0, free)):
        if not hungry:
            break
        next_one = min(hungry, key=lambda c: c.live + given[c.run_id])
        given[next_one.run_id] += 1
        if given[next_one.run_id] == next_one.ready:
            hungry.remove(next_one)
    return given
