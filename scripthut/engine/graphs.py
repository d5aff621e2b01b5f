"""What the graphs of runs say may start: worked out again only when a run has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripthut.core.workflow.graph import Node, cascade, ready
from scripthut.store import tasks as store
from scripthut.store.db import Session
from scripthut.store.models import Run


@dataclass(frozen=True)
class Standing:
    """How a run's graph stands at a version of the run."""

    version: int
    ready: Sequence[Node]  # in the document's order
    doomed: Mapping[int, str]  # tasks that can never start -> the key of what ended badly


class Graphs:
    """The graphs of one backend's runs that are not over.

    Ten thousand tasks are read in tens of milliseconds, and most cycles find none that moved.
    """

    def __init__(self) -> None:
        self._known: Mapping[str, Standing] = {}

    def read(self, session: Session, runs: Sequence[Run]) -> Mapping[str, Standing]:
        """How each run stands, by its id.

        A run's version was read before its tasks are. So what changes in between is read now, and
        once more the next time, under the version that it made.
        """
        self._known = {run.id: self._standing(session, run) for run in runs}
        return self._known

    def _standing(self, session: Session, run: Run) -> Standing:
        known = self._known.get(run.id)
        if known is not None and known.version == run.version:
            return known
        nodes = store.nodes(session, run.id)
        return Standing(run.version, ready(nodes), cascade(nodes))
