"""How templates say things: times, durations, sizes, states, and logs as plain text."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from flask import Flask, url_for

from scripthut.clock import utcnow
from scripthut.core.costs import Hours
from scripthut.core.states import State
from scripthut.core.units import size
from scripthut.store.outputs import shown_path

WORDS: Mapping[str, str] = {
    State.SUBMITTING: "submitting",
    State.SETTLING: "finishing",
    State.DEP_FAILED: "dependency failed",
}
# From what is certain to what is to come: the order of bars and of counts.
ORDER = (
    State.COMPLETED,
    State.FAILED,
    State.DEP_FAILED,
    State.CANCELLED,
    State.LOST,
    State.RETRYING,
    State.GENERATING,
    State.SETTLING,
    State.RUNNING,
    State.QUEUED,
    State.SUBMITTED,
    State.SUBMITTING,
    State.PENDING,
)
# What a tab has room for: the sign, and the states that it counts.
SIGNS: Mapping[str, frozenset[State]] = {
    "▶": frozenset({State.RUNNING, State.SETTLING, State.GENERATING}),
    "◷": frozenset(
        {State.PENDING, State.SUBMITTING, State.SUBMITTED, State.QUEUED, State.RETRYING}
    ),
    "✓": frozenset({State.COMPLETED}),
    "✕": frozenset({State.FAILED, State.DEP_FAILED, State.LOST, State.CANCELLED}),
}
UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))
# Colours and cursor moves (CSI), titles (OSC), and other escapes of two characters.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
CODE = re.compile(r"`([^`\n]+)`")
CUT_ESCAPE = re.compile(rb"\x1b[^A-Za-z\x07]{0,64}$")


def code_pieces(text: str) -> list[str]:
    """A sentence in pieces, of which every second stood in backticks; an odd one is a sign.

    >>> code_pieces("ask for more with `memory`")
    ['ask for more with ', 'memory', '']
    """
    return CODE.split(text)


def init_app(app: Flask) -> None:
    """Give the templates these words."""
    app.jinja_env.filters |= {"size": size, "duration": duration, "iso": iso, "words": words}
    app.jinja_env.filters |= {"percent": percent, "hours": hours, "used": used}
    app.jinja_env.filters["path"] = shown_path
    app.jinja_env.filters |= {"signs": signs, "code_pieces": code_pieces}
    folder = Path(app.static_folder or "")
    marks = {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()[:8]
        for path in folder.rglob("*")
        if path.is_file()
    }

    def asset(name: str) -> str:
        return url_for("static", filename=name, v=marks[name])

    app.add_template_global(asset)
    app.add_template_global(counted)
    app.add_template_global(segments)
    app.add_template_global(utcnow, "now")


def words(state: str) -> str:
    """A state as people say it."""
    return WORDS.get(state, str(state).replace("_", " "))


def counted(counts: Mapping[State, int]) -> list[tuple[State, int]]:
    """The states that occur, in the order of ORDER, with how often they do."""
    return [(state, counts[state]) for state in ORDER if counts.get(state)]


def segments(counts: Mapping[State, int]) -> list[tuple[State, int, int]]:
    """The pieces of a progress bar: state, where it begins, how long it is, all in tasks."""
    start, pieces = 0, []
    for state, count in counted(counts):
        pieces.append((state, start, count))
        start += count
    return pieces


def hours(value: float) -> str:
    """CPU hours as people say them; less than half a minute in seconds.

    >>> [hours(h) for h in (0, 0.04, 3.14, 1234.5, 1.0)]
    ['0 CPU hours', '0.04 CPU hours', '3.1 CPU hours', '1,234 CPU hours', '1.0 CPU hours']
    >>> [hours(seconds / 3600) for seconds in (0.3, 1, 12)]
    ['1 CPU second', '1 CPU second', '12 CPU seconds']
    """
    if 0 < value < 0.01:
        seconds = max(1, round(value * 3600))
        return f"{seconds} CPU second{'s' if seconds > 1 else ''}"
    digits = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2
    return f"{value:,.{digits}f} CPU hours"


def used(spent: Hours) -> str:
    """CPU hours, and GPU hours where there are any.

    >>> used(Hours(2)), used(Hours(2, 0.5))
    ('2.0 CPU hours', '2.0 CPU hours and 0.5 GPU hours')
    """
    cards = f" and {spent.gpu:,.1f} GPU hours" if spent.gpu else ""
    return hours(spent.cpu) + cards


def percent(share: float) -> str:
    """A share in percent; not 100 before all is done.

    >>> percent(0.57), percent(0.9999), percent(1.0)
    ('57 %', '99 %', '100 %')
    """
    return f"{int(share * 100 + 1e-9)} %"


def iso(at: datetime) -> str:
    """A time for <time datetime>: UTC, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(span: timedelta | float | None) -> str:
    """A duration in its two largest units.

    >>> [duration(s) for s in (0, 59, 61, 3600, 90061)]
    ['0s', '59s', '1m 01s', '1h 00m', '1d 01h']
    """
    if span is None:
        return "no limit"
    seconds = max(0, int(span.total_seconds() if isinstance(span, timedelta) else span))
    for unit, name, part, part_name in UNITS:
        if seconds >= unit:
            return f"{seconds // unit}{name} {seconds % unit // part:02d}{part_name}"
    return f"{seconds}s"


def plain(text: str) -> str:
    r"""A terminal's text without colours, cursor moves and what was written over.

    >>> plain("\x1b[31mred\x1b[0m\r\n10%\r99%\rdone\n")
    'red\ndone\n'
    """
    text = ESCAPES.sub("", text).replace("\r\n", "\n")
    return CONTROLS.sub("", OVERWRITTEN.sub("", text))


def whole(data: bytes) -> int:
    """How many of these bytes end neither in a character nor in an escape that is still to come.

    >>> whole("naï".encode()[:-1]), whole(b"a\x1b[3"), whole(b"abc")
    (2, 1, 3)
    """
    cut = CUT_ESCAPE.search(data)
    end = cut.start() if cut else len(data)
    for back in range(1, min(4, end) + 1):
        byte = data[end - back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # leads a character of 2, 3 or 4 bytes
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return end - back if length > back else end
    return end


def signs(counts: Mapping[State, int]) -> str:
    """Counts of tasks as a tab's title has room for.

    >>> signs({State.RUNNING: 2, State.QUEUED: 3, State.PENDING: 4, State.COMPLETED: 1})
    '▶2 ◷7 ✓1'
    """
    found = {sign: sum(counts.get(s, 0) for s in states) for sign, states in SIGNS.items()}
    return " ".join(f"{sign}{count}" for sign, count in found.items() if count)
