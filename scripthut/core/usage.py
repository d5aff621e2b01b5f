"""CPU time spent, by hour: how a task's is spread, and the charts that are drawn of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

HOUR = timedelta(hours=1)
LEVELS = 4  # shades of a day on which something was spent
SOURCES = 5  # named in a chart; the rest is "other"
OTHER = "other"


def spread(start: datetime, end: datetime, cpus: int) -> Iterator[tuple[datetime, float]]:
    """The hours from one time to another, each with the CPU seconds spent in it.

    >>> from datetime import UTC
    >>> at = datetime(2026, 1, 1, 9, 59, tzinfo=UTC)
    >>> [(hour.hour, spent) for hour, spent in spread(at, at + timedelta(minutes=3), 2)]
    [(9, 120.0), (10, 240.0)]
    """
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        spent = (min(end, hour + HOUR) - max(start, hour)).total_seconds()
        if spent > 0:
            yield hour, spent * cpus
        hour += HOUR


@dataclass(frozen=True)
class Day:
    """A square of the year's map: its place, and a shade from 0 (nothing) to LEVELS."""

    at: date
    week: int
    weekday: int  # 0: Monday
    hours: float  # CPU hours
    level: int


@dataclass(frozen=True)
class Year:
    """A map of a year of CPU hours. `months`: in which week each begins, and its name."""

    days: Sequence[Day]
    months: Sequence[tuple[int, str]]
    weeks: int
    total: float
    active: int  # days on which something was spent
    busiest: Day | None
    by_month: Sequence[tuple[str, float]]


def year(spent: Mapping[date, float], today: date) -> Year:
    """The year that ends today, from CPU seconds by day."""
    first = today - timedelta(days=today.weekday() + 52 * 7)
    dates = [first + timedelta(days=n) for n in range((today - first).days + 1)]
    hours = {at: spent.get(at, 0.0) / 3600 for at in dates}
    steps = _steps(sorted(h for h in hours.values() if h > 0))
    days = [
        Day(at, n // 7, n % 7, hours[at], sum(hours[at] >= step for step in steps))
        for n, at in enumerate(dates)
    ]
    months: dict[str, float] = {}
    for day in days:
        name = f"{day.at:%B %Y}"
        months[name] = months.get(name, 0.0) + day.hours
    begins = [(day.week, f"{day.at:%b}") for day in days if day.at.day <= 7 and day.weekday == 0]
    return Year(
        days=days,
        months=begins,
        weeks=days[-1].week + 1,
        total=sum(hours.values()),
        active=sum(1 for day in days if day.hours > 0),
        busiest=max(days, key=lambda day: day.hours) if any(hours.values()) else None,
        by_month=list(months.items()),
    )


def _steps(sorted_hours: Sequence[float]) -> list[float]:
    """Where each shade begins: quarters of the days on which something was spent."""
    count = len(sorted_hours)
    return [sorted_hours[count * n // LEVELS] for n in range(LEVELS)] if count else []


@dataclass(frozen=True)
class Block:
    """A part of a column: which of the chart's sources, from where, how high. In CPU hours."""

    source: int
    start: float
    height: float


@dataclass(frozen=True)
class Columns:
    """The last hours as columns, the sources upon each other. `peak`: CPU hours of the highest."""

    hours: Sequence[tuple[datetime, Sequence[Block]]]
    sources: Sequence[tuple[str, float]]  # name, CPU hours; the largest first
    peak: float
    total: float


def columns(spent: Mapping[tuple[datetime, str], float], now: datetime, count: int = 24) -> Columns:
    """The last `count` hours, from CPU seconds by hour and source."""
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - n * HOUR for n in reversed(range(count))]
    within = {key: value for key, value in spent.items() if hours[0] <= key[0] <= last}
    totals: dict[str, float] = {}
    for (_, source), seconds in within.items():
        totals[source] = totals.get(source, 0.0) + seconds / 3600
    named = sorted(totals, key=lambda name: (-totals[name], name))[:SOURCES]
    names = [*named, OTHER] if len(totals) > len(named) else named
    heights = {(hour, name): 0.0 for hour in hours for name in names}
    for (hour, source), seconds in within.items():
        heights[hour, source if source in named else OTHER] += seconds / 3600
    stacks = [(hour, _stack([heights[hour, name] for name in names])) for hour in hours]
    sums = [(name, sum(heights[hour, name] for hour in hours)) for name in names]
    tops = [sum(block.height for block in blocks) for _, blocks in stacks]
    return Columns(stacks, sums, max(tops, default=0.0), sum(tops))


def _stack(heights: Sequence[float]) -> list[Block]:
    start, blocks = 0.0, []
    for source, height in enumerate(heights):
        if height > 0:
            blocks.append(Block(source, start, height))
            start += height
    return blocks
