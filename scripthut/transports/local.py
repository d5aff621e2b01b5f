"""The local machine as a transport: the same frame and the same answers as over SSH."""

import os
import pwd
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from scripthut.core.jobs import Answer
from scripthut.transports.base import MIB
from scripthut.transports.child import Child
from scripthut.transports.deadline import Deadline
from scripthut.transports.frame import Frame

HERE = "this machine"


class Local:
    """The server's own machine. A command has its own session and begins in the home directory."""

    def __init__(self) -> None:
        self._child = Child(HERE)

    @property
    def home(self) -> PurePosixPath:
        """The home directory of the server's user."""
        return PurePosixPath(Path.home())

    @property
    def user(self) -> str:
        """The name of the server's user."""
        return pwd.getpwuid(os.geteuid()).pw_name

    @property
    def commands(self) -> int:
        """Commands run since the start."""
        return self._child.commands

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30, limit: int = 64 * MIB
    ) -> Answer:
        """Run words and answer when their end was seen; see transports/base.py."""
        frame = Frame(argv, limit)
        return self._child.run(frame.words, frame, stdin, Deadline(timeout))

    def close(self) -> None:
        """End the command that is running, and take no more."""
        self._child.close()
