"""A login node as a backend asks it, and the memory of the last commands there.

The one place where commands are noted. What goes to a command's standard input never is: job
scripts are in it, with their variables.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from threading import Lock

from scripthut.backends import node
from scripthut.clock import utcnow
from scripthut.core import commands, mask
from scripthut.core.commands import MOST_PARTS, Command, Part
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer, Value
from scripthut.transports.base import Transport

MOST = 200  # commands that are remembered
NODE_SCRIPT = "the node script (constant; python3 there reads it from standard input)"
WHO = "Who we are there, and where our home directory is"
READ = 32 * 1024  # characters of either end of a text that are looked through
# Begin the keys of commands that may fail: much is not everywhere.
ASIDES = ("facts", "used", "crowd", "ended")


class Ring:
    """The last commands on a backend. Those that are not written down yet are its news."""

    def __init__(self) -> None:
        self.secret_names: frozenset[str] = frozenset()  # besides those that look like it
        self._lock = Lock()
        self._news: deque[Command] = deque(maxlen=MOST)
        self._has_bad = False

    def add(self, command: Command) -> None:
        """Remember one."""
        with self._lock:
            self._news.append(command)
            self._has_bad = self._has_bad or command.is_bad

    def news(self, is_looked_at: bool) -> Sequence[Command]:
        """What is to be written down now: what went wrong, and the rest while somebody looks."""
        if not (is_looked_at or self._has_bad):
            return ()
        with self._lock:
            return [one for one in self._news if is_looked_at or one.is_bad]

    def written(self, commands: Sequence[Command]) -> None:
        """Note that they have been written down."""
        known = {id(one) for one in commands}
        with self._lock:
            self._news = deque((one for one in self._news if id(one) not in known), MOST)
            self._has_bad = any(one.is_bad for one in self._news)


class Node:
    """The machine that a backend asks. One thread at a time."""

    def __init__(self, transport: Transport, ring: Ring, python: str | None = None) -> None:
        """`python`: the one there, None to look for it."""
        self._transport = transport
        self._ring = ring
        self._python = python

    @property
    def home(self) -> PurePosixPath:
        """The home directory there."""
        return self._who()[0]

    @property
    def user(self) -> str:
        """The login name there."""
        return self._who()[1]

    @property
    def commands(self) -> int:
        """Commands run there since the start."""
        return self._transport.commands

    def close(self) -> None:
        """Leave for good."""
        self._transport.close()

    def ask(
        self, request: node.Record, timeout: float, envs: Sequence[Mapping[str, Value]] = ()
    ) -> list[node.Record]:
        """One command on the node. Unreachable unless its end was seen.

        `envs`: variables that the request hands over, of which secrets might be said back.
        """
        data = node.wire(request)
        noted = _Noted(self._transport, self._ring, commands.what(request), NODE_SCRIPT, envs)
        answer: Answer | None = None
        told: list[node.Record] = []
        try:
            answer = self._transport.run(node.command(self._python), data, timeout)
            told = node.records(answer)
        except Unreachable as error:
            noted.end(len(data), answer, noted.parts(request, told), str(error))
            raise
        noted.end(len(data), answer, noted.parts(request, told))
        return told

    def _who(self) -> tuple[PurePosixPath, str]:
        noted = _Noted(self._transport, self._ring, WHO, "printf $HOME; id -un")
        try:
            who = self._transport.home, self._transport.user
        except Unreachable as error:
            noted.end(0, None, (), str(error))
            raise
        if noted.was_run:
            noted.end(0, Answer(0, f"{who[0]}\n{who[1]}\n", ""), ())
        return who


class _Noted:
    """A command from its beginning to its end."""

    def __init__(
        self,
        transport: Transport,
        ring: Ring,
        what: str,
        command: str,
        envs: Sequence[Mapping[str, Value]] = (),
    ) -> None:
        self._transport = transport
        self._ring = ring
        self._what, self._command, self._envs = what, command, envs
        self._at, self._began, self._before = utcnow(), time.monotonic(), transport.commands

    @property
    def was_run(self) -> bool:
        """Whether anything was sent: a transport that rests says its last reason again."""
        return self._transport.commands > self._before

    def end(
        self, sent: int, answer: Answer | None, parts: tuple[Part, ...], error: str = ""
    ) -> None:
        """Remember it; `error` is why nothing can be concluded."""
        said = answer.err.strip() if answer else ""
        self._ring.add(
            Command(
                at=self._at,
                what=self._what,
                command=self._command if self.was_run else "nothing was sent",
                code=answer.code if answer and not error else None,
                milliseconds=round(1000 * (time.monotonic() - self._began)),
                sent=sent if self.was_run else 0,
                received=len(answer.out) + len(answer.err) if answer else 0,
                error=self._shown("\n".join(text for text in (error, said) if text)),
                parts=parts,
            )
        )

    def parts(self, request: node.Record, told: Sequence[node.Record]) -> tuple[Part, ...]:
        """What the request ran there, the bad ones first where there are too many."""
        ends = {one.get("ran") or one.get("submitted"): one for one in told}
        asked = [*request.get("commands", ()), *request.get("submits", ())]
        parts = [self._part(one, ends.get(one.get("key") or one.get("token"))) for one in asked]
        return tuple(sorted(parts, key=lambda part: not part.is_bad)[:MOST_PARTS])

    def _part(self, asked: node.Record, end: node.Record | None) -> Part:
        is_aside = str(asked.get("key", "")).startswith(ASIDES)
        words = mask.mask_argv(asked["argv"], self._ring.secret_names)
        command = commands.line([mask.mask(word, self._secrets) for word in words])
        if end is None:
            return Part(command, None, "", is_aside)
        code = int(end.get("code", 0))
        said = node.bytes_of(end.get("err", "")).decode("utf-8", "replace").strip()
        return Part(command, code, self._shown(said), is_aside)

    def _shown(self, text: str) -> str:
        """A text as it may be kept: masked before it is clipped, or half a secret might stay."""
        if not text:
            return ""
        text = mask.mask(text[:READ] + text[READ:][-READ:], self._secrets)
        return commands.clip(mask.mask_assignments(text, self._ring.secret_names))

    @cached_property
    def _secrets(self) -> Sequence[str]:
        names = self._ring.secret_names
        found = {form for env in self._envs for form in mask.secrets(env, names)}
        return sorted(found, key=len, reverse=True)
