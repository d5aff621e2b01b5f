"""From what a task wrote to its metrics: read in the child, kept by content, joined per task."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripthut.core.jobs import Area
from scripthut.core.measures import figures
from scripthut.core.measures.figures import Figures, Source
from scripthut.core.measures.metrics import Metrics
from scripthut.engine.base import Hands
from scripthut.engine.children.workshop import WORKSHOP
from scripthut.store import metrics, outputs
from scripthut.store.files.kept import Kept
from scripthut.store.outputs import Found

TEXT = 1024 * 1024  # bytes of a document that are read, as many as are shown
MOST = 32 * 1024 * 1024  # of any other file
TOO_HARD = "could not be read within the server’s limits"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """What a task's files say now, and the mark of those files."""

    mark: str
    metrics: Metrics


def measure(hands: Hands, found: Mapping[int, Sequence[Found]]) -> dict[int, Reading]:
    """The metrics of those tasks (by row) of which the files that hold them have changed.

    A task with such a file that is not here yet stays as it is. NoRoom goes through.
    """
    by_task = {task: _sources(files) for task, files in found.items()}
    wanted = {task: sources for task, sources in by_task.items() if sources is not None}
    if not wanted:
        return {}
    with hands.reading() as session:
        known = metrics.marks(session, list(wanted))
    nothing = figures.mark([])
    readings = {}
    for task, sources in wanted.items():
        mark = figures.mark(sources)
        if known.get(task, nothing) != mark:
            readings[task] = Reading(mark, _joined(hands.kept, sources))
    return readings


def _sources(found: Sequence[Found]) -> list[Source] | None:
    """The files that metrics are read from: those named for it, then documents. None: one lacks."""
    named: list[Source] = []
    documents: list[Source] = []
    for one in found:
        file = one.file
        is_fragment = file.area is Area.FRAGMENT
        path = outputs.shown_path(file.path)
        if not figures.is_source(path, is_fragment, file.path == outputs.SUMMARY):
            continue
        if one.sha256 is None:
            if one.note is None:
                return None
            continue
        source = Source(path, one.sha256, is_fragment)
        (documents if source.role.endswith(".md") else named).append(source)
    documents.sort(key=lambda source: source.is_fragment)
    return [*sorted(named, key=lambda source: source.path)[: figures.FILES], *documents]


def _joined(kept: Kept, sources: Sequence[Source]) -> Metrics:
    return figures.joined((source.path, _figures(kept, source).metrics) for source in sources)


def _figures(kept: Kept, source: Source) -> Figures:
    """The figures of one file: as they are kept, else read now."""
    name = figures.key(source.sha256, source.role)
    try:
        return figures.opened(kept.read(name))
    except FileNotFoundError:
        pass
    limit = TEXT if source.role.endswith(".md") else MOST
    try:
        answer = WORKSHOP.do("figures", source.role, kept.read(source.sha256, limit=limit))
    except OSError as error:  # no process to be had, or the file has gone
        log.warning("not measured file=%s: %s", source.sha256, error)
        return Figures(Metrics(note=TOO_HARD))
    if answer is None:
        answer = figures.kept(Figures(Metrics(note=TOO_HARD)))
    kept.put_as(name, answer)
    return figures.opened(answer)
