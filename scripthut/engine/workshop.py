"""A child process with limits, for files that others wrote: they may be made to take forever."""

import logging
import os
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

WALL = 5.0  # seconds until the child is ended whatever it does; work.py has the other limits
TURNS = 500  # pieces of work after which a new child takes over

HEAD = struct.Struct(">III")  # lengths of the work's name, of the words about it, of the data
SIZE = struct.Struct(">I")
_ROOT = Path(__file__).resolve().parents[2]  # where the package is imported from

log = logging.getLogger(__name__)


class Workshop:
    """Does one piece of work at a time in one child, which is made anew when a limit ended it.

    For any thread. The child starts with the first piece and ends with the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def do(self, work: str, words: str, data: bytes) -> bytes | None:
        """What comes of it (see work.py); None: it could not be done within the limits.

        OSError when there is no process to be had.
        """
        with self._lock:
            if self._child is None or not self._child.is_fit():
                if self._child is not None:
                    self._child.end()
                self._child = _Child()
            answer = self._child.ask(work, words, data)
            if answer is None:
                self._child.end()
                self._child = None
            return answer

    def close(self) -> None:
        """End the child."""
        with self._lock:
            if self._child is not None:
                self._child.end()
            self._child = None


class _Child:
    """One child process. It knows nothing of the server: no settings, no environment, no files."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._turns = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scripthut.engine.work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(_ROOT), "PYTHONIOENCODING": "utf-8"},
            cwd="/",
            start_new_session=True,  # a Ctrl-C in the server's terminal is not for the child
        )
        self._pipes = [p for p in (self._process.stdin, self._process.stdout) if p is not None]

    def is_fit(self) -> bool:
        return self._owner == os.getpid() and self._turns < TURNS and self._process.poll() is None

    def ask(self, work: str, words: str, data: bytes) -> bytes | None:
        """The answer; None when the child died over it, by a limit or by itself."""
        asked, answers = self._pipes
        self._turns += 1
        late = threading.Event()
        timer = threading.Timer(WALL, self._kill, [late])
        timer.daemon = True
        timer.start()
        try:
            _send(asked, work, words, data)
            answer = received(answers)
        except (BrokenPipeError, EOFError):
            log.warning("%s ended by a limit bytes=%d late=%s", work, len(data), late.is_set())
            return None
        finally:
            timer.cancel()
            timer.join()
        return None if late.is_set() else answer

    def _kill(self, late: threading.Event) -> None:
        late.set()
        self._process.kill()

    def end(self) -> None:
        if self._owner != os.getpid():
            return  # a fork's parent has it
        self._process.kill()
        for pipe in self._pipes:
            with suppress(BrokenPipeError):  # gone before it had read everything
                pipe.close()
        self._process.wait()


def received(pipe: IO[bytes]) -> bytes:
    """One answer of a child; EOFError when it ends before."""
    (size,) = SIZE.unpack(exactly(pipe, SIZE.size))
    return exactly(pipe, size)


def exactly(pipe: IO[bytes], size: int) -> bytes:
    """So many bytes of a pipe; EOFError when it ends before."""
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _send(pipe: IO[bytes], work: str, words: str, data: bytes) -> None:
    parts = [work.encode(), words.encode("utf-8", "surrogateescape"), data]
    pipe.write(HEAD.pack(*map(len, parts)))
    for part in parts:
        pipe.write(part)
    pipe.flush()


WORKSHOP = Workshop()
"""The process's own: whoever collects shares it."""
