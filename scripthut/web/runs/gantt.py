"""A run's tasks on a line of time: when each waited and when it ran, by task or by group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import g

from scripthut.clock import utcnow
from scripthut.core.states import LIVE, State
from scripthut.core.timeline import Bar, Span, Window
from scripthut.store import runs, search
from scripthut.store.runs import Mark, RunRow, Stay
from scripthut.web.runs.look import Look

ROWS = 60  # on a page
FEW = 120  # tasks up to which a row is a task unless groups are asked for
FOUND = 10_000  # tasks that a search puts on the chart at most


@dataclass(frozen=True)
class Row:
    """A line of the chart: a task, or a group of `count` tasks whose first has this key."""

    name: str
    key: str
    count: int
    state: State
    bars: Sequence[Bar]
    said: str  # the same in words


def context(run: RunRow, look: Look) -> dict[str, object]:
    """What the chart of a run's page needs."""
    now = utcnow()
    stays = _stays(run, look)
    end = max((_end(stay, now) - run.created_at for stay in stays), default=timedelta(0))
    whole = Window(0.0, max(end.total_seconds(), 1.0))
    window = Window(*map(float, look.window)) if look.window else whole
    per = look.per or ("task" if len(stays) <= FEW or look.is_narrow else "group")
    lines = _by_task(stays) if per == "task" else _by_group(stays)
    at = min(look.at, max(0, len(lines) - 1)) // ROWS * ROWS
    shown = lines[at : at + ROWS]
    return {
        "rows": [_row(name, found, run.created_at, now, window) for name, found in shown],
        "ticks": [(at_, run.created_at + timedelta(seconds=s)) for at_, s in window.ticks()],
        "ends": [run.created_at + timedelta(seconds=s) for s in (window.start, window.end)],
        "windows": _windows(look, window, whole),
        "per": per,
        "pages": _pages(look, at, len(lines)),
        "place": (at + 1, at + len(shown), len(lines)),
    }


def news(run: RunRow, look: Look, _changed: list[Mark]) -> dict[str, object]:
    """The chart anew: what runs has grown in every row."""
    return {"tasks": [], **context(run, look)}


def _stays(run: RunRow, look: Look) -> list[Stay]:
    stays = runs.stays(g.session, run.id)
    if not look.is_narrow:
        return stays
    by_id = {stay.id: stay for stay in stays}
    found = search.found(g.session, run.id, look.wish, 0, FOUND)
    return [by_id[task_id] for task_id in found if task_id in by_id]


def _by_task(stays: Iterable[Stay]) -> list[tuple[str, list[Stay]]]:
    return [(stay.key, [stay]) for stay in stays]


def _by_group(stays: Iterable[Stay]) -> list[tuple[str, list[Stay]]]:
    groups: dict[str, list[Stay]] = {}
    for stay in stays:
        groups.setdefault(stay.key.rpartition(".")[0] or f"\0{stay.key}", []).append(stay)
    return [(name.removeprefix("\0"), found) for name, found in groups.items()]


def _end(stay: Stay, now: datetime) -> datetime:
    ended = stay.finished_at or now
    return ended if stay.submitted_at or stay.finished_at else stay.submitted_at or now


def _row(name: str, stays: Sequence[Stay], zero: datetime, now: datetime, window: Window) -> Row:
    def span(start: datetime, end: datetime) -> Span:
        return (start - zero).total_seconds(), max((end - zero).total_seconds(), 0.0)

    waited, ran, failed = list[Span](), list[Span](), list[Span]()
    for stay in stays:
        end = stay.finished_at or now
        if stay.submitted_at and (stay.started_at or stay.state in LIVE):
            waited.append(span(stay.submitted_at, stay.started_at or end))
        if stay.started_at:
            ran.append(span(stay.started_at, end))
        if stay.state in search.FAILURES and stay.finished_at:
            failed.append(span(stay.finished_at, stay.finished_at))
    state = next(s for s in search.URGENT if any(stay.state is s for stay in stays))
    kind = state.value if len(stays) == 1 else "ran"
    bars = [*window.bars("waited", waited), *window.bars(kind, ran)]
    if len(stays) > 1:
        bars += window.bars("failed", failed)
    total = sum(end - start for start, end in ran)
    said = f"waited {_words(waited)}, ran {_words(ran)}" if waited or ran else "has not begun"
    if len(stays) > 1:
        said = f"{len(ran)} of {len(stays)} began; together they ran {_said(total)}"
    return Row(name, stays[0].key, len(stays), state, bars, said)


def _words(spans: Sequence[Span]) -> str:
    return _said(sum(end - start for start, end in spans))


def _said(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))


def _windows(look: Look, window: Window, whole: Window) -> dict[str, dict[str, str | list[str]]]:
    """What an address says for each way to look at another piece of time."""
    ways = {
        "in": window.zoomed(0.5),
        "out": window.zoomed(2.0),
        "earlier": window.moved(-0.5),
        "later": window.moved(0.5),
    }
    shown = {
        name: replace(look, window=(int(way.start), max(int(way.end), int(way.start) + 1)))
        for name, way in ways.items()
        if way.length < whole.length and (name != "later" or way.start < whole.end)
    }
    shown |= {
        "all": replace(look, window=None),
        "out": shown.get("out", replace(look, window=None)),
    }
    return {name: way.args for name, way in shown.items()}


def _pages(look: Look, at: int, count: int) -> dict[str, dict[str, str | list[str]]]:
    pages = {"previous": at - ROWS, "next": at + ROWS}
    return {
        name: replace(look, at=start).args
        for name, start in pages.items()
        if -ROWS < start < count and (start >= 0)
    }
