"""A child process with limits, for files that others wrote: they may be made to take forever."""

import gc
import logging
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

CPU = 2.0  # seconds of a processor for one piece of work
WALL = 5.0  # seconds until the child is ended whatever it does
MEMORY = 512 * 1024 * 1024  # bytes of address space
TURNS = 500  # pieces of work after which a new child takes over

_HEAD = struct.Struct(">III")  # lengths of the work's name, of the words about it, of the data
_SIZE = struct.Struct(">I")
_ROOT = Path(__file__).resolve().parents[3]  # where the package is imported from

log = logging.getLogger(__name__)


class Workshop:
    """Does one piece of work at a time in one child, which is made anew when a limit ended it.

    For any thread. The child starts with the first piece and ends with the process.
    """

    def __init__(self, module: str = "scripthut.engine.children.work") -> None:
        """`module` is what the child runs; nothing is started yet."""
        self._module = module
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def do(self, work: str, words: str, data: bytes) -> bytes | None:
        """What comes of it (see the module); None: it could not be done within the limits.

        OSError when there is no process to be had.
        """
        with self._lock:
            if self._child is None or not self._child.is_fit():
                if self._child is not None:
                    self._child.end()
                self._child = _Child(self._module)
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

    def __init__(self, module: str) -> None:
        self._owner = os.getpid()
        self._turns = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
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
            answer = _received(answers)
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


def serve(works: Mapping[str, Callable[[str, bytes], bytes]], memory: int = MEMORY) -> None:
    """The child's life: (words, data) -> answer, by the name of the work.

    Whatever goes wrong with a piece ends it, and the parent sees that.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    gc.set_threshold(50_000)  # documents are large trees, which are freed without the collector
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := asked.read(_HEAD.size):
        work, words, data = (_exactly(asked, size) for size in _HEAD.unpack(head))
        # Ends the process by a signal, even inside a regular expression.
        signal.setitimer(signal.ITIMER_PROF, CPU)
        answer = works[work.decode()](words.decode("utf-8", "replace"), data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(_SIZE.pack(len(answer)) + answer)
        answers.flush()


def _received(pipe: IO[bytes]) -> bytes:
    (size,) = _SIZE.unpack(_exactly(pipe, _SIZE.size))
    return _exactly(pipe, size)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _send(pipe: IO[bytes], work: str, words: str, data: bytes) -> None:
    parts = [work.encode(), words.encode("utf-8", "surrogateescape"), data]
    pipe.write(_HEAD.pack(*map(len, parts)))
    for part in parts:
        pipe.write(part)
    pipe.flush()


WORKSHOP = Workshop()
"""The process's own: whoever collects shares it."""
