"""What a backend's disk gave no answer about: how often, and when it is asked again.

In memory: an engine that begins to lead tries anew.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

PAUSE = timedelta(minutes=1)  # after the first time; doubled with each further one
MOST = 5  # times


@dataclass(frozen=True)
class Tries:
    """The looks and deletions, by their ids, that did not come to an answer."""

    times: dict[str, int] = field(default_factory=dict)
    later: dict[str, datetime] = field(default_factory=dict)

    def pick(self, ids: list[str], now: datetime, most: int) -> set[str]:
        """What to ask about in one command: what never failed, or one that did, by itself.

        So of those that failed together the one that is to blame is found.
        """
        fresh = [one for one in ids if one not in self.times]
        due = [one for one in ids if one in self.times and self.later[one] <= now]
        return set(fresh[:most]) or set(sorted(due, key=self.later.__getitem__)[:1])

    def resting(self, now: datetime) -> set[str]:
        """Those that are not asked about yet."""
        return {one for one, at in list(self.later.items()) if at > now}

    def failed(self, one: str, now: datetime) -> bool:
        """Put one off; True when it has been tried often enough."""
        self.times[one] = self.times.get(one, 0) + 1
        self.later[one] = now + PAUSE * 2 ** (self.times[one] - 1)
        return self.times[one] >= MOST

    def over(self, one: str) -> None:
        """Forget what was answered, or given up."""
        self.times.pop(one, None)
        self.later.pop(one, None)
