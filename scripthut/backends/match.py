"""Which of the scheduler's rows is a job of ours."""

from collections.abc import Sequence

from scripthut.core.jobs import Job, Phase
from scripthut.schedulers.base import Row

_LIVE = (Phase.WAITING, Phase.RUNNING)


def choose(job: Job, rows: Sequence[Row], claimed_by: str | None) -> Row | None:
    """The row of the job that runs the command, or will; None when there is none.

    A row is ours only with our token in it: after a scheduler's reset, ids are used again. When a
    submission was repeated there may be two jobs with one token; the one that claimed it counts,
    and the other ran nothing, however it ended.
    """
    mine = [row for row in rows if job.token in row.tokens]
    if claimed_by is not None:
        return _newest([row for row in mine if number(row.sighting.job_id) == number(claimed_by)])
    known = [
        row for row in mine if job.job_id and number(row.sighting.job_id) == number(job.job_id)
    ]
    live = [row for row in mine if row.sighting.phase in _LIVE]
    newest = _newest(known)
    if newest is None or newest not in live:
        return _first(live) or newest or _first(mine)  # one that has not claimed may yet
    return newest


def _newest(rows: Sequence[Row]) -> Row | None:
    dated = [row for row in rows if row.submitted_at is not None]
    return max(dated, key=lambda row: str(row.submitted_at)) if dated else next(iter(rows), None)


def _first(rows: Sequence[Row]) -> Row | None:
    return min(rows, key=lambda row: number(row.sighting.job_id), default=None)


def number(job_id: str) -> tuple[int, int]:
    """The number of a job, and its index in an array, else -1.

    PBS adds the name of its server, which may have several.

    >>> number("12.pbs1.example.org"), number("12"), number("12_7"), number("job:")
    ((12, -1), (12, -1), (12, 7), (-1, -1))
    """
    digits, _, index = job_id.partition(".")[0].partition("_")
    known = int(digits) if digits.isdecimal() else -1
    return known, int(index) if index.isdecimal() else -1
