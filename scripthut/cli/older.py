"""A data directory of an older version: its runs, each once, and what could not be read of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from scripthut.core.errors import Invalid, Refused
from scripthut.core.legacy import EXTERNAL, OldRun, read_run, read_usage

LEDGER = "usage.jsonl"
LARGEST = 512 * 1024 * 1024  # bytes of one run.json


@dataclass
class Older:
    """What a data directory holds. `problems`: place -> sentences."""

    runs: dict[str, OldRun] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    files: int = 0
    older: int = 0  # files of a run that was read from a newer one, after a rerun

    def note(self, place: str, problems: list[str]) -> None:
        """Remember what could not be read."""
        if problems:
            self.problems.setdefault(place, []).extend(problems)


def read(directory: Path) -> Older:
    """Read all runs of a data directory. Refused when it is none."""
    workflows = directory / "workflows"
    if not workflows.is_dir() and not (directory / LEDGER).is_file():
        raise Refused(f"{directory} is no data directory: it has neither workflows/ nor {LEDGER}")
    found = Older()
    for file in sorted(workflows.glob("*/*/run.json")):
        _read_file(found, file, str(file.relative_to(directory)))
    _read_ledger(found, directory / LEDGER)
    return found


def _read_file(found: Older, file: Path, place: str) -> None:
    found.files += 1
    try:
        if file.stat().st_size > LARGEST:
            raise Invalid(place, [f"is larger than {LARGEST} bytes"])
        run = _named(read_run(json.loads(file.read_bytes().decode("utf-8", "replace"))), file)
    except OSError as error:
        found.note(place, [f"cannot be read: {error.strerror}"])
    except (ValueError, RecursionError) as error:
        found.note(place, [f"is not JSON: {error}"])
    except Invalid as error:
        found.note(place, error.problems)
    else:
        found.note(place, list(run.problems))
        before = found.runs.get(run.id)
        if before is not None:
            found.older += 1
        if before is None or run.created_at > before.created_at:
            found.runs[run.id] = run


def _named(run: OldRun, file: Path) -> OldRun:
    """A week of jobs that scripthut had not submitted gets an id that no other week has."""
    if run.name == EXTERNAL:
        place = f"{file.parent.parent.name}/{file.parent.name}"
        name = f"{EXTERNAL}/{run.backend} {file.parent.name}"
        return replace(run, id="w" + sha256(place.encode()).hexdigest()[:7], name=name)
    if len(run.id) > 8:
        return replace(run, id=sha256(run.id.encode()).hexdigest()[:8])
    return run


def _read_ledger(found: Older, file: Path) -> None:
    """Runs of which only what they spent is left."""
    by_run: dict[str, list[Mapping[str, object]]] = {}
    for n, line in _lines(found, file):
        run = line.get("run")
        if not isinstance(run, str) or not line.get("started") or not line.get("finished"):
            found.note(f"{LEDGER}:{n}", ["names no run with its times"])
        elif run not in found.runs:
            by_run.setdefault(run, []).append(line)
    for run, lines in by_run.items():
        try:
            old = read_usage(lines)
        except Invalid as error:
            found.note(f"{LEDGER}: run {run}", error.problems)
            continue
        found.note(f"{LEDGER}: run {run}", list(old.problems))
        found.runs[run] = replace(old, id=run[:8])


def _lines(found: Older, file: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    if not file.is_file():
        return
    found.files += 1
    with file.open(encoding="utf-8", errors="replace") as lines:
        for n, text in enumerate(lines, 1):
            try:
                line = json.loads(text) if text.strip() else {}
            except ValueError as error:
                found.note(f"{LEDGER}:{n}", [f"is not JSON: {error}"])
                continue
            if isinstance(line, dict) and line:
                yield n, line
