"""Metrics that tasks write to plain files: names and values, and how a value went."""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import TypeAlias

Value: TypeAlias = int | float | str | bool
"""What a metric is; a number that no JSON can say is its word: NaN, Infinity, -Infinity."""

NAMES = 200  # metrics of one task
NAME = 120  # characters of a name
WORDS = 200  # characters of a value that is text
DEPTH = 8  # levels of a JSON value whose names are joined with dots
ITEMS = 20  # of a list; a longer one is no set of metrics
POINTS = 200  # of a curve
BYTES = 4 * 1024 * 1024  # of a file that grows: its last ones
WHOLE = 1024 * 1024  # bytes of a file that is one JSON value
EXACT = 2**53  # integers beyond are not exact in JSON's readers
STEPS = ("step", "global_step", "epoch", "iteration", "iter")
FILES = frozenset({"metrics.json", "metrics.jsonl", "metrics.ndjson", "metrics.csv"})
"""Names of files that hold metrics, in any folder of a task's outputs."""

_NO_NUMBERS: Mapping[str, float] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_POINT = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<before>[:,\[]\s{0,9}-?)\.(?=\d)')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?")


@dataclass(frozen=True)
class Curve:
    """How a metric went; a gap in `y` is None. `x` is the step where the rows say one."""

    x: tuple[float, ...]
    y: tuple[float | None, ...]


@dataclass(frozen=True)
class Metrics:
    """What was found; `note` says what was not, and why."""

    values: Mapping[str, Value] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    note: str | None = None


def is_metrics(path: str) -> bool:
    """Whether a file's name says that it holds metrics."""
    return PurePosixPath(path).name in FILES


def read(path: str, data: bytes) -> Metrics:
    """The metrics of a file; names from a folder's file begin with the folder's name.

    >>> read("fold1/metrics.json", b'{"loss": {"train": 0.5, "test": NaN}, "ok": true}').values
    {'fold1.loss.train': 0.5, 'fold1.loss.test': 'NaN', 'fold1.ok': True}
    """
    place = PurePosixPath(path)
    prefix = "".join(f"{part}." for part in place.parent.parts)
    if place.suffix == ".json":
        return _whole(data, prefix)
    rows = _csv_rows(data) if place.suffix == ".csv" else _json_rows(data)
    return _grown(rows, prefix)


def number(value: object) -> float | None:
    """A value as a number; NaN and the infinities are such. None: it is text, or there is none."""
    if isinstance(value, str):
        return _NO_NUMBERS.get(value)
    return float(value) if isinstance(value, int | float) else None


def is_finite(value: object) -> bool:
    """Whether a value can stand on an axis."""
    found = number(value)
    return found is not None and math.isfinite(found)


def spoken(text: str) -> Value:
    """A cell's text as a value.

    >>> [spoken(t) for t in ("12", " 1.5e-3", "1e999", "-inf", "nan", "1_0", "adam")]
    [12, 0.0015, 'Infinity', '-Infinity', 'NaN', '1_0', 'adam']
    """
    text = text.strip()
    if _NUMBER.fullmatch(text[:400]):
        return _integer(text) if text.lstrip("+-").isdecimal() else _plain(float(text))
    word = text.lower().lstrip("+")
    known = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity"}
    if word.removeprefix("-") in known and word != "-nan":
        return ("-" if word.startswith("-") else "") + known[word.removeprefix("-")]
    return _clean(text, WORDS)


def name_of(text: str) -> str:
    """A name as it is shown: one line, without what a page cannot show."""
    return _clean(text, NAME)


def _whole(data: bytes, prefix: str) -> Metrics:
    if len(data) > WHOLE:
        return Metrics(note="is too long to be read as metrics: write rows to metrics.jsonl")
    try:
        found = _parsed(data)
    except (ValueError, RecursionError):
        return Metrics(note="is not JSON")
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        return _grown(({**row} for row in found), prefix)
    if not isinstance(found, dict):
        return Metrics(note="is no mapping of names to values")
    flat = dict(islice(_flat(found, prefix), NAMES + 1))
    return _bounded(flat, {}, 0)


def _grown(rows: Iterable[Mapping[str, object] | None], prefix: str) -> Metrics:
    """The last value of each name in rows that were written one after the other, and its curve."""
    last: dict[str, Value] = {}
    curves: dict[str, tuple[list[float], list[float | None]]] = {}
    broken = 0
    for place, row in enumerate(rows):
        if row is None:
            broken += 1
            continue
        flat = dict(islice(_flat(row, prefix), NAMES + 1))
        at = _step(flat, prefix, place)
        for name, value in flat.items():
            if name not in last and len(last) > NAMES:
                continue
            last[name] = value
            as_number = number(value)
            if as_number is not None:
                x, y = curves.setdefault(name, ([], []))
                x.append(at)
                y.append(as_number if math.isfinite(as_number) else None)
    return _bounded(
        last, {name: _thinned(*c) for name, c in curves.items() if len(c[0]) > 1}, broken
    )


def _step(flat: Mapping[str, Value], prefix: str, place: int) -> float:
    for name in STEPS:
        value = flat.get(prefix + name)
        if value is not None and is_finite(value):
            return float(value)
    return float(place)


def _thinned(x: list[float], y: list[float | None]) -> Curve:
    """At most POINTS points of a curve; the last one is always among them."""
    stride = -(-len(x) // POINTS)
    first = (len(x) - 1) % stride
    return Curve(tuple(x[first::stride]), tuple(y[first::stride]))


def _bounded(values: dict[str, Value], curves: dict[str, Curve], broken: int) -> Metrics:
    notes = []
    if len(values) > NAMES:
        notes.append(f"holds more than {NAMES} metrics, of which the first ones are read")
        values = dict(islice(values.items(), NAMES))
    if broken:
        notes.append(f"has {broken} line{'s' if broken > 1 else ''} that cannot be read")
    kept = {name: curve for name, curve in curves.items() if name in values}
    return Metrics(values, kept, " and ".join(notes) or None)


def _json_rows(data: bytes) -> Iterator[Mapping[str, object] | None]:
    lines = _last(data).split(b"\n")
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            row = _parsed(line)
        except (ValueError, RecursionError):
            if place < len(lines) - 1:  # the last line may still be being written
                yield None
            continue
        yield row if isinstance(row, dict) else None


def _csv_rows(data: bytes) -> Iterator[Mapping[str, object] | None]:
    head = data[: 64 * 1024].partition(b"\n")[0]
    body = data if len(data) <= BYTES else head + b"\n" + _last(data)
    rows = csv.reader(body.decode("utf-8-sig", "replace").replace("\0", "").splitlines())
    try:
        names = next(rows, [])
        for row in rows:
            if row:
                cells = zip(names, row, strict=False)
                yield {name: spoken(cell) for name, cell in cells if cell.strip()}
    except csv.Error:
        yield None


def _last(data: bytes) -> bytes:
    """The end of what has grown long, from the beginning of a line."""
    return data if len(data) <= BYTES else data[-BYTES:].partition(b"\n")[2]


def _parsed(data: bytes) -> object:
    """A JSON value; numbers may begin with their point, as `bc` writes them. ValueError."""
    text = data.decode("utf-8-sig", "replace")
    try:
        return json.loads(text, parse_int=_integer)
    except ValueError:
        mended = _POINT.sub(lambda m: f"{m['before']}0." if m["before"] else m[0], text)
        if mended == text:
            raise
        return json.loads(mended, parse_int=_integer)


def _integer(text: str) -> Value:
    whole = int(text) if len(text) < 20 else EXACT
    return whole if abs(whole) < EXACT else _plain(float(text))


def _plain(value: float) -> Value:
    """A number that JSON can say, else its word."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _flat(value: object, prefix: str, depth: int = 0) -> Iterator[tuple[str, Value]]:
    """The leaves of a JSON value under their joined names; null, and what is too deep, are none."""
    if isinstance(value, dict | list) and depth < DEPTH:
        pairs = value.items() if isinstance(value, dict) else enumerate(value[: ITEMS + 1])
        if isinstance(value, list) and len(value) > ITEMS:
            return
        for name, inner in pairs:
            yield from _flat(inner, f"{prefix}{str(name)[:NAME]}.", depth + 1)
        return
    name = name_of(prefix.removesuffix("."))
    if isinstance(value, bool | int):
        yield name, value
    elif isinstance(value, float):
        yield name, _plain(value)
    elif isinstance(value, str):
        yield name, _clean(value, WORDS)


def _clean(text: str, most: int) -> str:
    text = "".join(c if c.isprintable() else " " for c in text[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"
