"""Commands on a backend's machine as people read of them: what was asked, and how it went."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from scripthut.core.quote import sh

LONGEST = 2000  # characters of a text
MOST_WORDS = 60  # of a command; others are counted
MOST_PARTS = 20  # of a request
# Beginnings of the keys that a request's commands have -> what they are asked for.
_KEYS: Mapping[str, str] = {
    "queue": "the queue",
    "facts": "what the cluster has",
    "crowd": "everybody's jobs",
    "ended": "what ended lately",
    "accounting": "the accounting",
    "kind": "which scheduler it is",
    "arrays": "how large arrays may be",
    "used": "what ended jobs have used",
    "cancel": "cancel jobs",
}
# What else a request holds -> words for it; {n} of them, {s} where they are several.
_PARTS: Mapping[str, str] = {
    "submits": "submit {n} script{s}",
    "withdrawals": "withdraw tokens of jobs",
    "states": "notes of jobs",
    "outputs": "what tasks have written",
    "logs": "{n} piece{s} of logs",
    "pieces": "{n} piece{s} of files",
    "files": "fetch {n} file{s}",
    "documents": "read {n} file{s}",
    "find": "look for workflows",
    "place": "bring a commit's directory one step further",
    "holds": "hold {n} director{ies}",
    "drops": "delete {n} director{ies}",
    "clears": "delete {n} thing{s} from the disk",
    "scan": "look what lies on the disk",
}


@dataclass(frozen=True)
class Part:
    """A command that a request has run there. `code` None: nothing came back of it.

    `is_aside`: it may fail, and nobody is harmed.
    """

    command: str
    code: int | None = None
    error: str = ""
    is_aside: bool = False

    @property
    def is_bad(self) -> bool:
        return self.code not in (0, None) and not self.is_aside


@dataclass(frozen=True)
class Command:
    """One command. `code` None: no answer came; then `error` says why. Sizes in bytes."""

    at: datetime
    what: str
    command: str
    code: int | None
    milliseconds: int
    sent: int
    received: int
    error: str = ""
    parts: tuple[Part, ...] = field(default=())

    @property
    def is_bad(self) -> bool:
        return self.code != 0 or any(part.is_bad for part in self.parts)

    @property
    def said(self) -> str:
        """The first line of what was said of a failure; empty: nothing."""
        texts = [self.error, *(part.error for part in self.parts if part.is_bad)]
        return next((text.splitlines()[0] for text in texts if text), "")


def what(request: Mapping[str, Any]) -> str:
    """What a request to a login node asks for, in words.

    >>> what({"commands": [{"key": "queue"}, {"key": "facts nodes"}, {"key": "facts disks"}]})
    'The queue, what the cluster has'
    >>> what({"submits": [{}, {}], "states": []})
    'Submit 2 scripts'
    """
    keys = [str(one["key"]).split()[0] for one in request.get("commands") or ()]
    said = [_KEYS.get(key, key) for key in dict.fromkeys(keys)]
    for name, words in _PARTS.items():
        if held := request.get(name):
            n = len(held) if isinstance(held, list) else 1
            ends = {"s": "" if n == 1 else "s", "ies": "y" if n == 1 else "ies"}
            said.append(words.format(n=n, **ends))
    text = ", ".join(said) or "whether it answers"
    return text[0].upper() + text[1:]


def line(argv: Sequence[str]) -> str:
    """A command as a person would type it, as far as anybody reads.

    >>> line(["squeue", "--format", "%i %T"])
    "squeue --format '%i %T'"
    """
    more = len(argv) - MOST_WORDS
    text = clip(sh(argv[:MOST_WORDS]))
    return f"{text} … and {more} words more" if more > 0 else text


def clip(text: str) -> str:
    """The beginning and the end of a long text."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … {len(text) - LONGEST} characters left out … {text[-half:]}"


def parts_as_json(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Parts as they are stored."""
    return [asdict(part) for part in parts]


def parts_of(stored: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Parts as they were stored."""
    return tuple(Part(**one) for one in stored)
