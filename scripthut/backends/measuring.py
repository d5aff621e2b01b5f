"""What ended jobs have used, as the scheduler's records have it: asked beside all else."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from scripthut.backends import node
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer, Job, Token, Used, Watch
from scripthut.schedulers.base import Dialect

SECONDS = 5  # worth no longer wait
PAUSE = 600.0  # records that did not answer are left alone for so long
_KEY = "used "  # begins the keys of its commands


class Measuring:
    """No evidence comes of it: where nothing is told, nothing is shown."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._not_before = 0.0

    def commands(self, dialect: Dialect, watches: Sequence[Watch]) -> list[node.Record]:
        """What to ask in the look at these watches."""
        jobs = [watch.job for watch in watches if watch.measure]
        ids = {job.job_id for job in jobs if job.job_id}
        if not ids or self._now() < self._not_before:
            return []
        asked = dialect.measuring(ids, submitted_since(jobs))
        return [
            {"key": f"{_KEY}{n}", "argv": argv, "timeout": SECONDS} for n, argv in enumerate(asked)
        ]

    def read(
        self, dialect: Dialect, watches: Sequence[Watch], ran: Mapping[str, Answer]
    ) -> dict[Token, Used]:
        """What came of it."""
        found: dict[str, Used] = {}
        for key, answer in ran.items():
            if key.startswith(_KEY):
                try:
                    found |= dialect.parse_measured(answer)
                except Unreachable:
                    self._not_before = self._now() + PAUSE
        ids = {watch.job.token: watch.job.job_id for watch in watches if watch.measure}
        return {token: found[job_id] for token, job_id in ids.items() if job_id in found}


def submitted_since(jobs: Sequence[Job]) -> datetime:
    """When the first of some jobs was submitted; long ago, where nobody knows."""
    times = (job.submitted_at for job in jobs if job.submitted_at)
    return min(times, default=datetime(2000, 1, 1, tzinfo=UTC))
