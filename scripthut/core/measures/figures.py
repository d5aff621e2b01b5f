"""The numbers in what a task wrote: of one file, as they are kept, and of a task as a whole."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice

from scripthut.core.files.previews import Kind, kind
from scripthut.core.measures import grids, metrics
from scripthut.core.measures.grids import Grid
from scripthut.core.measures.metrics import NAMES, Curve, Metrics

VERSION = "2"
"""Of the reading: what an older one found is read again."""
FILES = 50  # of one task in which metrics are looked for


@dataclass(frozen=True)
class Figures:
    """What one file holds: metrics, and the tables of a document."""

    metrics: Metrics = field(default_factory=Metrics)
    grids: tuple[Grid, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file of a task in which metrics may be; `is_fragment`: its part of the run's summary."""

    path: str
    sha256: str
    is_fragment: bool = False

    @property
    def role(self) -> str:
        """How it is read: by its name, or as a document."""
        return self.path if metrics.is_metrics(self.path) and not self.is_fragment else "x.md"


def is_source(path: str, is_fragment: bool, is_summary: bool) -> bool:
    """Whether metrics are looked for in a file."""
    return is_fragment or is_summary or metrics.is_metrics(path)


def key(sha: str, role: str) -> str:
    """The name under which the figures of a file are kept: 64 hexadecimal digits."""
    return sha256(f"figures {VERSION}\n{sha}\n{role}".encode("utf-8", "replace")).hexdigest()


def mark(sources: Iterable[Source]) -> str:
    """A word that changes whenever what a task's metrics are made of does."""
    said = [(source.path, source.sha256, source.is_fragment) for source in sources]
    return sha256(f"{VERSION}\n{said!r}".encode("utf-8", "replace")).hexdigest()


def read(role: str, data: bytes) -> bytes:
    """The figures of a file, as they are kept. May take long on text made for that."""
    if kind(role) is Kind.MARKDOWN:
        found = tuple(grids.in_markdown(data.decode("utf-8", "replace")))
        return kept(Figures(Metrics(grids.metrics_of(found)), found))
    return kept(Figures(metrics.read(role, data)))


def opened(data: bytes) -> Figures:
    """The figures that kept() or read() gave."""
    found = json.loads(data)
    curves = {name: Curve(tuple(x), tuple(y)) for name, (x, y) in found["curves"].items()}
    tables = tuple(Grid(header, rows) for header, rows in found["grids"])
    return Figures(Metrics(found["values"], curves, found["note"]), tables)


def joined(parts: Iterable[tuple[str, Metrics]]) -> Metrics:
    """A task's metrics from those of its files, by path; the first word on a name stays."""
    values: dict[str, metrics.Value] = {}
    curves: dict[str, Curve] = {}
    notes = []
    for path, found in parts:
        values |= {name: value for name, value in found.values.items() if name not in values}
        curves = {**found.curves, **curves}
        if found.note:
            notes.append(f"{path} {found.note}.")
    if len(values) > NAMES:
        notes.append(f"There are more than {NAMES} metrics; the first ones are shown.")
        values = dict(islice(values.items(), NAMES))
    left = {name: curve for name, curve in curves.items() if name in values}
    return Metrics(values, left, " ".join(notes) or None)


def kept(figures: Figures) -> bytes:
    """Figures as they are kept."""
    found = figures.metrics
    said = {
        "values": dict(found.values),
        "curves": {name: [curve.x, curve.y] for name, curve in found.curves.items()},
        "note": found.note,
        "grids": [[list(grid.header), [list(row) for row in grid.rows]] for grid in figures.grids],
    }
    return json.dumps(said, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
