"""A process of this machine that answers in a frame: a command here, or an `ssh` to elsewhere."""

import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer
from scripthut.transports.deadline import Deadline
from scripthut.transports.frame import Frame

PIECE = 64 * 1024  # bytes; what a pipe holds


class Child:
    """One process at a time, in a session of its own. `where`: whose answers it brings."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self.commands = 0
        self.code: int | None = None  # with which the last one ended; None: it was made to

    def run(self, words: Sequence[str], frame: Frame, stdin: bytes, deadline: Deadline) -> Answer:
        """Start a process and answer when the end of what it shows was seen."""
        process = self._start(words)
        try:
            _pump(process, frame, stdin, deadline, self._where)
            return frame.answer(self._where, is_over=not self._is_closed)
        finally:
            self._end(process)

    def close(self) -> None:
        """End the process that is running, and start no more."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                _kill(self._process)

    def _start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise Unreachable(f"The connection to {self._where} was closed.")
            self.commands += 1
            self.code = None
            try:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=Path.home(),
                    start_new_session=True,
                    bufsize=0,
                )
            except OSError as error:
                raise Unreachable(f"No command can be started on this machine: {error}.") from error
            return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._process = None
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            if process.poll() is None:
                # The shell has nothing left to do but exit, unless the deadline has passed.
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
            self.code = process.poll()
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group of a command whose shell still runs, and reap it."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pump(
    process: subprocess.Popen[bytes], frame: Frame, stdin: bytes, deadline: Deadline, where: str
) -> None:
    """Write standard input and read both outputs at once, until both end marks or both ends."""
    feeds: dict[object, Callable[[bytes], None]] = {
        process.stdout: lambda data: frame.feed(out=data),
        process.stderr: lambda data: frame.feed(err=data),
    }
    rest = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(_there(pipe), selectors.EVENT_READ)
        source = _there(process.stdin)
        os.set_blocking(source.fileno(), False)
        selector.register(source, selectors.EVENT_WRITE)
        while feeds and not frame.is_complete:
            if deadline.is_over:
                raise Unreachable(
                    f"The command on {where} did not end within {deadline.seconds:g} seconds."
                )
            for key, _ in selector.select(deadline.left()):
                if key.fileobj is source:
                    rest = _write(source, rest)
                    if not rest:
                        selector.unregister(source)
                        source.close()
                elif data := os.read(key.fd, PIECE):
                    feeds[key.fileobj](data)
                else:
                    selector.unregister(key.fileobj)
                    del feeds[key.fileobj]


def _write(pipe: IO[bytes], rest: memoryview) -> memoryview:
    """Write what the pipe takes; what is left. A command need not read what it is given."""
    try:
        return rest[os.write(pipe.fileno(), rest[:PIECE]) :]
    except BrokenPipeError:
        return memoryview(b"")


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without this pipe")
    return pipe
