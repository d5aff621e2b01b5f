"""The seam to a machine: run a command, read a file, write a file."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Protocol

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer

MIB = 1024 * 1024


class BadHostKey(Unreachable):
    """The machine is not known to be the one that is meant."""


class BadLogin(Unreachable):
    """The machine does not let us in."""


class Transport(Protocol):
    """A machine we can run things on. Raises Unreachable; never answers for one that did not.

    `run` passes words, never a line for a shell, and answers only when the command's end was seen
    (an exit status alone is not enough: a cut connection looks like one). `timeout` in seconds
    covers the whole call; at most `limit` bytes of standard output are taken, more is Unreachable.
    Connects when first used, keeps the connection, makes it anew after it broke; a command is
    never sent twice. One thread at a time may use a transport. `close` is for good, may come from
    any thread and ends a running call. ValueError: the words are too long or hold a NUL.
    """

    @property
    def home(self) -> PurePosixPath: ...  # `~`, resolved once when connecting

    @property
    def user(self) -> str: ...  # the login name on the machine

    @property
    def commands(self) -> int: ...  # commands run since the start

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30, limit: int = 64 * MIB
    ) -> Answer: ...

    def close(self) -> None: ...
