"""What could not be collected: said in a sentence, and asked for again, ever more rarely."""

from datetime import datetime, timedelta

from scripthut.core.jobs import Listing
from scripthut.store.tasks import COLLECT_FOR

FIRST = timedelta(seconds=4)  # doubles with each failure
LONGEST = timedelta(minutes=10)
GONE = (
    "The output directory is not there any more: what is shown was collected before it was removed"
)


def after(failures: int, now: datetime) -> dict[str, object]:
    """When to look again after so many failures in a row, as columns of the task; 0: all is well.

    >>> [int((after(n, datetime.min)["collect_at"] - datetime.min).total_seconds())
    ...  for n in (1, 2, 5, 50)]
    [4, 8, 64, 600]
    """
    if not failures:
        return {"collect_failures": 0, "collect_at": None}
    pause = min(FIRST * 2 ** min(failures - 1, 20), LONGEST)
    return {"collect_failures": failures, "collect_at": now + pause}


def problem_of(listing: Listing, has_files: bool) -> str | None:
    """What is wrong with a listing; `has_files`: some were collected of it before."""
    return GONE if listing.is_gone and has_files else listing.problem


def is_worth_waiting(ended_at: datetime | None, now: datetime) -> bool:
    """Whether what failed may yet be had: the end of a task does not end a cluster's trouble."""
    return ended_at is None or now < ended_at + COLLECT_FOR
