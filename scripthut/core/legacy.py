"""Runs as versions before 1.0 kept them, one `run.json` each, read into what a run is here."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from scripthut.core import units
from scripthut.core.errors import Invalid
from scripthut.core.jobs import Used
from scripthut.core.states import TERMINAL, State
from scripthut.core.workflow import graph
from scripthut.core.workflow.spec import KEPT, TaskSpec

EXTERNAL = "_default"  # jobs that scripthut saw and had not submitted, a file a week
UNKNOWN = "# The command is not known any more: it was not kept.\nexit 1"
RENAMED = {  # older name -> name
    "cluster_name": "backend_name",
    "slurm_job_id": "job_id",
    "sbatch_script": "submit_script",
    "sacct_state": "scheduler_state",
}
ENDED = {state.value: state for state in TERMINAL}
CANCELLED = re.compile(r"(?:Scheduler: )?Cancelled(?: \(qdel\)| by \d+)?\.?", re.IGNORECASE)
WAITING = frozenset({"pending"})
STOPPED = "Had not begun when it was imported"
LOST = "Was {status} when it was imported: ask its scheduler how it ended"


@dataclass(frozen=True)
class OldTask:
    """One task as it was. `files`: path and size of what it wrote."""

    key: str
    name: str
    spec: dict[str, Any]  # core.spec.TaskSpec, as it is kept
    deps: tuple[str, ...]
    state: State
    reason: str | None
    job_id: str | None
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    files: tuple[tuple[str, int], ...] = ()
    has_summary: bool = False
    used: Used = field(default_factory=Used)


@dataclass(frozen=True)
class OldRun:
    """One run as it was. `problems`: what of it could not be read."""

    id: str
    name: str
    backend: str
    created_at: datetime
    log_dir: str | None
    source: str | None
    git_repo: str | None
    git_branch: str | None
    git_sha: str | None
    tasks: tuple[OldTask, ...]
    problems: tuple[str, ...] = ()

    @property
    def ended_at(self) -> datetime | None:
        """When its last task ended; None while one is lost."""
        if any(task.state not in TERMINAL for task in self.tasks):
            return None
        times = [task.finished_at for task in self.tasks if task.finished_at]
        return max(times, default=self.created_at)


@dataclass
class _Notes:
    problems: list[str] = field(default_factory=list)


def read_run(data: object) -> OldRun:
    """One run.json, whatever version wrote it. Invalid when it is none."""
    if not isinstance(data, Mapping):
        raise Invalid("run.json", ["is not a mapping"])
    run = _renamed(data)
    missing = [key for key in ("id", "workflow_name", "backend_name") if not run.get(key)]
    if missing or not isinstance(run.get("items"), list):
        raise Invalid("run.json", [f"{key}: is missing" for key in missing] or ["items: no list"])
    notes = _Notes()
    tasks = _tasks([_renamed(item) for item in run["items"] if isinstance(item, Mapping)], notes)
    times = [t.submitted_at or t.finished_at for t in tasks]
    created = moment(run.get("created_at")) or min((at for at in times if at), default=None)
    if created is None:
        raise Invalid("run.json", ["created_at: is missing"])
    name = str(run["workflow_name"])
    source = run["source_name"] if "source_name" in run else source_of(name)
    return OldRun(
        id=str(run["id"]),
        name=name,
        backend=str(run["backend_name"]),
        created_at=created,
        log_dir=_text(run.get("log_dir")),
        source=_text(source),
        git_repo=_text(run.get("git_repo")),
        git_branch=_text(run.get("git_branch")),
        git_sha=_text(run.get("commit_hash")),
        tasks=tuple(tasks),
        problems=tuple(notes.problems),
    )


def read_usage(lines: Sequence[Mapping[str, object]]) -> OldRun:
    """A run of which only the lines of usage.jsonl are left."""
    first = lines[0]
    items = [
        {
            "task": {"id": line.get("task"), "command": UNKNOWN, "cpus": line.get("cpus") or 1},
            "status": line.get("status"),
            "started_at": line.get("started"),
            "finished_at": line.get("finished"),
        }
        for line in lines
    ]
    return read_run(
        {
            "id": first.get("run"),
            "workflow_name": first.get("workflow") or EXTERNAL,
            "backend_name": first.get("backend") or "unknown",
            "created_at": min(str(line.get("started")) for line in lines),
            "source_name": first.get("source"),
            "items": items,
        }
    )


def source_of(name: str) -> str | None:
    """The source in the name of a run, as versions without `source_name` had it.

    >>> [source_of(n) for n in ("src/x", "_agent/src/n", "_stack/src/s", "_stack/s", "_adhoc/t")]
    ['src', 'src', 'src', None, None]
    >>> source_of("bare"), source_of("_default")
    (None, None)
    """
    parts = name.split("/")
    if parts[0] in ("_agent", "_stack"):
        return parts[1] if len(parts) > 2 else None
    return parts[0] if len(parts) > 1 and not name.startswith("_") else None


def moment(value: object) -> datetime | None:
    """A time as older versions wrote it; one without a zone is UTC.

    >>> moment("2025-03-01T12:00:00").isoformat(), moment("soon"), moment(None)
    ('2025-03-01T12:00:00+00:00', None, None)
    """
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _renamed(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {RENAMED.get(key, key): value for key, value in data.items() if key in RENAMED}
    return found | {key: value for key, value in data.items() if key not in RENAMED}


def _tasks(items: Sequence[Mapping[str, Any]], notes: _Notes) -> list[OldTask]:
    found: list[OldTask] = []
    known: set[str] = set()
    for n, item in enumerate(items):
        task = _task(n, item, notes)
        key = task.key
        while key in known:  # older versions took two tasks of one id
            key += "_"
        if key != task.key:
            notes.problems.append(f"items[{n}]: the id {task.key} stands twice; this is {key}")
        known.add(key)
        found.append(replace(task, key=key))
    names = _Names([_given_id(item) for item in items], [task.key for task in found])
    return [_with_deps(task, names) for task in found]


class _Names:
    """What the ids of an older version are called here; some could not stay as they were."""

    def __init__(self, ids: Sequence[str], keys: Sequence[str]) -> None:
        self._keys: dict[str, list[str]] = {}
        self._matched: dict[str, list[str]] = {}  # by wildcard
        for old, key in zip(ids, keys, strict=True):
            self._keys.setdefault(old, []).append(key)

    def name(self, dep: str) -> str:
        """The new name of an id; a wildcard, or what no task is called, stays as it is."""
        return self._keys[dep][0] if dep in self._keys else dep

    def meant(self, dep: str) -> list[str]:
        """The tasks that a dependency means: an id, even one like `a[1]`, or a wildcard."""
        if dep in self._keys:
            return self._keys[dep][:1]
        if dep not in self._matched:
            olds = graph.matching(dep, self._keys) if graph.WILDCARD.search(dep) else []
            self._matched[dep] = [key for old in olds for key in self._keys[old]]
        return self._matched[dep]


def _with_deps(task: OldTask, names: _Names) -> OldTask:
    wanted = task.spec["deps"]
    meant = dict.fromkeys(key for dep in wanted for key in names.meant(dep) if key != task.key)
    spec = {**task.spec, "deps": [names.name(dep) for dep in wanted]}
    return replace(task, spec=spec, deps=tuple(meant))


def _given_id(item: Mapping[str, Any]) -> str:
    raw = item.get("task")
    return str(raw.get("id") or "") if isinstance(raw, Mapping) else ""


def _task(n: int, item: Mapping[str, Any], notes: _Notes) -> OldTask:
    raw = item.get("task")
    spec = _spec(n, raw if isinstance(raw, Mapping) else {}, notes)
    status = str(item.get("status"))
    times = {key: moment(item.get(f"{key}_at")) for key in ("submitted", "started", "finished")}
    state, reason = _state(status, item)
    if state in TERMINAL and times["finished"] is None:
        times["finished"] = times["started"] or times["submitted"]
    if times["started"] and times["finished"] and times["finished"] < times["started"]:
        notes.problems.append(f"items[{n}]: ended before it began")
        times["finished"] = times["started"] + timedelta(0)
    code = item.get("exit_code")
    return OldTask(
        key=str(spec["id"]),
        name=str(spec["name"]),
        spec=spec,
        deps=(),
        state=state,
        reason=reason,
        job_id=_text(item.get("job_id")),
        submitted_at=times["submitted"],
        started_at=times["started"],
        finished_at=times["finished"],
        exit_code=code if isinstance(code, int) else None,
        files=tuple(_files(item.get("outputs"))),
        has_summary=bool(item.get("has_run_summary")),
        used=Used(
            _memory(item.get("max_rss")),
            _processor_time(item.get("cpu_efficiency"), spec, times["started"], times["finished"]),
        ),
    )


def _state(status: str, item: Mapping[str, Any]) -> tuple[State, str | None]:
    """What a task is here: one that had not ended is not driven on, and nothing is made up."""
    said = _text(item.get("error")) or _text(item.get("scheduler_state"))
    if status == State.FAILED.value and said is not None and CANCELLED.fullmatch(said):
        return State.CANCELLED, said  # versions before 1.0 had no state for it
    if status in ENDED:
        return ENDED[status], None if status == State.COMPLETED.value else said
    if status in WAITING:
        return State.CANCELLED, STOPPED
    return State.LOST, LOST.format(status=status)


def _memory(told: object) -> int | None:
    """Bytes in a size as the schedulers' accounting printed it; None: unknown.

    >>> [_memory(told) for told in ("72348K", "1.5G", "0", "123kb", "n/a", None, 3.0)]
    [74084352, 1610612736, None, 125952, None, None, None]
    """
    if not isinstance(told, str) or told.strip().isdigit():
        return None  # of a bare number nobody knows what it counts
    try:
        return units.memory(told) or None
    except ValueError:
        return None


def _processor_time(
    percent: object, spec: Mapping[str, Any], began: datetime | None, ended: datetime | None
) -> float | None:
    """Seconds, from the part of its processors' time that a job had used; None: unknown."""
    if not isinstance(percent, int | float) or isinstance(percent, bool):
        return None
    if not 0 < percent < math.inf or began is None or ended is None:
        return None
    return percent / 100 * (ended - began).total_seconds() * float(spec["cpus"])


def _spec(n: int, raw: Mapping[str, Any], notes: _Notes) -> dict[str, Any]:
    """A task's fields as they are kept; what cannot be read of them is left out and noted."""
    words = {k: v for k, v in raw.items() if v is not None and k not in KEPT}
    variables = words.pop("env_vars", None) or words.pop("environment", None)
    words.pop("environment", None)
    if isinstance(variables, Mapping) and variables:
        given = {"set": {str(k): str(v) for k, v in variables.items()}}
        words["env"] = [given, *(words.get("env") or [])]
    words["id"] = _id(n, raw.get("id"), notes)
    words.setdefault("command", UNKNOWN)
    words["name"] = str(raw.get("name") or words["id"]).replace("\n", " ")[:1024]
    for _ in range(len(words)):
        try:
            return TaskSpec.model_validate(words).kept()
        except ValidationError as error:
            for problem in error.errors():
                place = str(problem["loc"][0]) if problem["loc"] else ""
                notes.problems.append(f"items[{n}].task.{place}: {problem['msg']}")
                words.pop("dependencies" if place == "deps" else place, None)
            words.setdefault("command", UNKNOWN)
    return TaskSpec.model_validate({"id": words["id"], "command": UNKNOWN}).kept()


def _id(n: int, given: object, notes: _Notes) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9._+=:,-]", "_", str(given or ""))[:120]
    if not cleaned or not re.match(r"[A-Za-z0-9_]", cleaned) or cleaned.startswith("_run"):
        cleaned = f"task{n}{cleaned}"
    if cleaned != given:
        notes.problems.append(f"items[{n}]: the id {given!r} is {cleaned} here")
    return cleaned


def _files(listed: object) -> list[tuple[str, int]]:
    found = []
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get("path"), str):
            size = one.get("size")
            found.append((one["path"], size if isinstance(size, int) else 0))
    return found


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
