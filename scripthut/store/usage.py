"""CPU time by hour and source: written when a task ends, so that a year of it is a small read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from sqlalchemy import Double, case, cast, extract, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scripthut.core.costs import Hours, used
from scripthut.core.states import State
from scripthut.core.usage import spread
from scripthut.store.models import Run, Task, Usage, asked

LONGEST = 10_000  # hours of one task that are counted, whatever its clock says


def spend(session: Session, task: Task) -> None:
    """Count the CPU time of a task that has just ended, in its run and in the hours that it ran."""
    if task.started_at is None or task.finished_at is None:
        return
    found = select(Run.source, Run.name).where(Run.id == task.run_id)
    source = source_of(*session.execute(found).one())
    wall, each = 0.0, used(task.spec, 3600)
    hours = spread(task.started_at, task.finished_at, 1)
    for (hour, seconds), _ in zip(hours, range(LONGEST), strict=False):
        wall += seconds
        _add(session, hour, source, seconds * each.cpu)
    more = {
        "cpu_seconds": Run.cpu_seconds + wall * each.cpu,
        "gpu_seconds": Run.gpu_seconds + wall * each.gpu,
    }
    session.connection().execute(update(Run).where(Run.id == task.run_id).values(more))


def _add(session: Session, hour: datetime, source: str, seconds: float) -> None:
    # A person who vouches for a lost task writes here too, maybe at the same moment.
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = insert(Usage).values(hour=hour, source=source, cpu_seconds=seconds)
    sum_of = {"cpu_seconds": Usage.cpu_seconds + new.excluded.cpu_seconds}
    both = new.on_conflict_do_update(index_elements=["hour", "source"], set_=sum_of)
    session.connection().execute(both)


def source_of(source: str | None, name: str) -> str:
    """What a run's time is counted under: its source, else the head of its name."""
    return source or name.partition("/")[0] or name


def by_hour(session: Session, since: datetime, now: datetime) -> dict[tuple[datetime, str], float]:
    """CPU seconds by hour and source since a time, with what running tasks have spent so far."""
    statement = select(Usage.hour, Usage.source, Usage.cpu_seconds).where(Usage.hour >= since)
    found = {(hour, source): seconds for hour, source, seconds in session.execute(statement)}
    running = (
        select(Task.started_at, Task.spec["cpus"].as_integer(), Run.source, Run.name)
        .join(Task.run)
        .where(Task.state == State.RUNNING, Task.started_at.is_not(None))
    )
    for started, cpus, source, name in session.execute(running):
        for hour, seconds in spread(max(started or now, since), now, cpus or 1):
            key = hour, source_of(source, name)
            found[key] = found.get(key, 0.0) + seconds
    return found


class Spender(Protocol):
    """A run, whole or as a row of a list."""

    @property
    def cpu_seconds(self) -> float: ...
    @property
    def gpu_seconds(self) -> float: ...


def ended(run: Spender) -> Hours:
    """What the tasks of a run have spent that have ended."""
    return Hours(run.cpu_seconds / 3600, run.gpu_seconds / 3600)


def running(session: Session, run_id: str, now: datetime) -> Hours:
    """What a run's tasks have spent so far which run now."""
    statement = select(Task.started_at, Task.spec).where(
        Task.run_id == run_id, Task.state == State.RUNNING, Task.started_at.is_not(None)
    )
    parts = (
        used(spec, max(0.0, (now - (started or now)).total_seconds()))
        for started, spec in session.execute(statement)
    )
    return sum(parts, Hours())


@dataclass(frozen=True)
class Efficiency:
    """Which parts of what tasks held they used, of those of which it is known; None: of none."""

    cpu: float | None
    memory: float | None


def efficiency(session: Session, run_id: str) -> Efficiency:
    """How well a run's tasks used what they asked for; counts those that have ended."""
    wall = extract("epoch", Task.finished_at) - extract("epoch", Task.started_at)
    is_known = Task.cpu_used.is_not(None) & Task.started_at.is_not(None)
    has_used = case((is_known, Task.cpu_used))
    has_held = case((is_known, wall * asked("cpus")))
    memory = case((Task.memory_used.is_not(None), asked("memory")))
    both = case((asked("memory").is_not(None), Task.memory_used))
    sums = [func.sum(cast(one, Double)) for one in (has_used, has_held, both, memory)]
    where = (Task.run_id == run_id, Task.finished_at.is_not(None))
    row = session.execute(select(*sums).where(*where)).one()
    return Efficiency(_part(row[0], row[1]), _part(row[2], row[3]))


def _part(used: float | None, held: float | None) -> float | None:
    return used / held if used is not None and held else None


def by_backend(session: Session, since: datetime) -> dict[str, Hours]:
    """What the ended tasks of runs that were made after a time have spent, by backend."""
    statement = (
        select(Run.backend, func.sum(Run.cpu_seconds), func.sum(Run.gpu_seconds))
        .where(Run.created_at >= since)
        .group_by(Run.backend)
    )
    return {name: Hours(cpu / 3600, gpu / 3600) for name, cpu, gpu in session.execute(statement)}


def by_day(spent: Mapping[tuple[datetime, str], float]) -> dict[date, float]:
    """CPU seconds by day, as UTC has days."""
    found: dict[date, float] = {}
    for (hour, _), seconds in spent.items():
        found[hour.date()] = found.get(hour.date(), 0.0) + seconds
    return found
