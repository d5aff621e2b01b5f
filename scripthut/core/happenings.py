"""What happens to a run that somebody may want to be told, and the message that tells it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from scripthut.core.states import RunState, State, run_state
from scripthut.core.units import clock

SUMMARY = 1500  # characters of a Run Summary that a message carries
FAILURES = 5  # failed tasks that a message names
_IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?([^)\s>]+)")


class What(StrEnum):
    """What a run's followers can be told; one message of each for a run, and for each ending."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    FIRST_FAILURE = "first_failure"  # a task failed, and others go on
    STALLED = "stalled"  # nothing moves until a person decides


ENDINGS: Mapping[RunState, What] = {
    RunState.COMPLETED: What.COMPLETED,
    RunState.FAILED: What.FAILED,
    RunState.CANCELLED: What.CANCELLED,
}
WORDS: Mapping[What, str] = {
    What.COMPLETED: "completed",
    What.FAILED: "failed",
    What.CANCELLED: "was cancelled",
    What.FIRST_FAILURE: "goes on, with a first failure",
    What.STALLED: "stands still: a lost task needs a decision",
}
SIGNS: Mapping[What, str] = {
    What.COMPLETED: "✓",
    What.FAILED: "✗",
    What.CANCELLED: "⊘",
    What.FIRST_FAILURE: "✗",
    What.STALLED: "?",
}


def happened(counts: Mapping[State, int], has_ended: bool) -> set[What]:
    """What there is to tell of a run with so many tasks in each state.

    >>> sorted(happened({State.FAILED: 1, State.RUNNING: 2}, False))
    [<What.FIRST_FAILURE: 'first_failure'>]
    """
    state = run_state(counts)
    if has_ended:
        return {ENDINGS[state]} if state in ENDINGS else set()
    found = {What.FIRST_FAILURE} if counts.get(State.FAILED) else set()
    return found | ({What.STALLED} if state is RunState.STALLED else set())


@dataclass(frozen=True)
class Interest:
    """What a channel is told of: `runs` are globs of run names, `backends` None: any."""

    on: frozenset[What]
    runs: tuple[str, ...] = ("*",)
    backends: frozenset[str] | None = None

    def is_in(self, name: str, backend: str) -> bool:
        """Whether a run is one of those that a channel follows by its rule."""
        is_here = self.backends is None or backend in self.backends
        return is_here and any(fnmatchcase(name, glob) for glob in self.runs)


@dataclass(frozen=True)
class Picture:
    """An image that goes with a message."""

    name: str
    kind: str  # its media type
    data: bytes


@dataclass(frozen=True)
class Message:
    """What a channel carries. `summary`: the first lines of the Run Summary, as Markdown.

    `html`: the same, rendered and sanitised, with the picture as `cid:picture`; "" for none.
    `ident` is the same when a message is sent again, so that a receiver can tell.
    """

    what: What
    ident: str
    run_id: str
    run: str
    backend: str
    counts: Mapping[State, int]
    at: datetime
    elapsed: float  # seconds
    link: str | None = None  # None: the site does not know its own address
    failures: tuple[tuple[str, str], ...] = ()  # task id, reason
    summary: str = ""
    html: str = ""
    picture: Picture | None = None

    @property
    def title(self) -> str:
        """One line that says it all."""
        total = sum(self.counts.values())
        failed = self.counts.get(State.FAILED, 0)
        tasks = "1 task" if total == 1 else f"{total} tasks"
        of = f": {failed} of {tasks} failed" if failed else f" ({tasks})"
        return f"{SIGNS[self.what]} {self.run} {WORDS[self.what]}{of}"

    @property
    def text(self) -> str:
        """The message for people who read plain text."""
        parts = [f"{self.states} on {self.backend}, {clock(int(self.elapsed))}"]
        parts += [f"- {key}: {reason}" for key, reason in self.failures]
        parts += [f"\n{self.summary}"] if self.summary else []
        parts += [f"\n{self.link}"] if self.link else []
        return "\n".join(parts)

    @property
    def states(self) -> str:
        """How many tasks are in which state."""
        return ", ".join(f"{n} {state.value.replace('_', ' ')}" for state, n in self.counts.items())


def first_lines(texts: Iterable[str], most: int = SUMMARY) -> str:
    """The whole lines that texts begin with, as many as fit into `most` characters.

    >>> first_lines(["# One", "two\\nthree and more"], 16)
    '# One\\n\\ntwo\\n…'
    """
    lines: list[str] = []
    left = most
    for line in "\n\n".join(text.strip() for text in texts if text.strip()).split("\n"):
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*lines, "…"]).strip()
        lines.append(line)
    return "\n".join(lines)


def images(markdown: str) -> list[str]:
    """The relative addresses of the images that a Markdown text shows, in its order.

    >>> images("![a](fit.png) and ![b](https://x.example/y.png)")
    ['fit.png']
    """
    found = _IMAGE.findall(markdown)
    return [path.removeprefix("./") for path in found if "://" not in path and path[:1] != "/"]
