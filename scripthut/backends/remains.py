"""What jobs have left where they ran: of one that waits, it counts from the next look on."""

from collections.abc import Mapping

from scripthut.backends.node import Seen
from scripthut.core.jobs import Phase, Sighting, Token


class Remains:
    """The claims and notes that were there when a backend was last looked at."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._before: dict[Token, object] = {}

    def keep_back(self, sightings: Mapping[Token, Sighting], seen: Seen) -> None:
        """Leave to the next look what a job that waits has left since the last one.

        The queue is asked before files are read. A job that began in between, or ended even, would
        be taken for one that waits anew, and its note for that of a run that is over.
        """
        before = self._before
        self._before = {
            token: (seen.claims.get(token), seen.notes.get(token))
            for token in seen.claims.keys() | seen.notes.keys()
        }
        for token, sighting in sightings.items():
            if sighting.phase is Phase.WAITING and self._before.get(token) != before.get(token):
                seen.claims.pop(token, None)
                seen.notes.pop(token, None)
