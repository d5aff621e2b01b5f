"""Rendering in a child process with limits: text written by others may be made to take forever."""

import logging
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import IO

from scripthut.core.notebook import SEPARATOR
from scripthut.core.policy import without_signs
from scripthut.core.render import render
from scripthut.core.units import size

CPU = 2.0  # seconds of a processor for one document
WALL = 5.0  # seconds until the child is ended whatever it does
MEMORY = 512 * 1024 * 1024  # bytes of address space
TEXT = 1024 * 1024  # bytes of a document that are shown
TURNS = 500  # documents after which a new child takes over

TRUNCATED = "Only the first {shown} of this document’s {size} are shown."
TOO_HARD = "This document could not be rendered within the server’s limits: this is its text."

_HEAD = struct.Struct(">II")  # lengths of the folder's and of the text's bytes
_SIZE = struct.Struct(">I")
_ROOT = Path(__file__).resolve().parents[2]  # where the package is imported from

log = logging.getLogger(__name__)


class Renderer:
    """Renders one document at a time in one child, which is made anew when a limit ended it.

    For any thread. The child starts with the first document and ends with the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def render(self, data: bytes, folder: str = "") -> str:
        """A Markdown document’s HTML; its text, escaped, when it cannot be had in time.

        It begins with a sentence when it is not the whole document, or not rendered.
        """
        shown = data[:TEXT].decode("utf-8", "ignore" if len(data) > TEXT else "replace")
        notices = []
        if len(data) > TEXT:
            notices.append(TRUNCATED.format(shown=size(TEXT), size=size(len(data))))
        html = self._ask(shown, folder)
        if html is None:
            notices.append(TOO_HARD)
            html = f"<pre>{escape(without_signs(shown))}</pre>"
        return "".join(f"<p><em>{notice}</em></p>\n" for notice in notices) + html

    def close(self) -> None:
        """End the child."""
        with self._lock:
            if self._child is not None:
                self._child.end()
            self._child = None

    def _ask(self, text: str, folder: str) -> str | None:
        with self._lock:
            if self._child is None or not self._child.is_fit():
                if self._child is not None:
                    self._child.end()
                self._child = _Child()
            html = self._child.ask(text, folder)
            if html is None:
                self._child.end()
                self._child = None
            return html


class _Child:
    """One child process. It knows nothing of the server: no settings, no environment, no files."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._turns = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
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

    def ask(self, text: str, folder: str) -> str | None:
        """The HTML; None when the child died over it, by a limit or by itself."""
        asked, answers = self._pipes
        self._turns += 1
        late = threading.Event()
        timer = threading.Timer(WALL, self._kill, [late])
        timer.daemon = True
        timer.start()
        try:
            _send(asked, folder, text)
            answer = _receive(answers)
        except (BrokenPipeError, EOFError):
            log.warning("rendering ended by a limit bytes=%d late=%s", len(text), late.is_set())
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


def _send(pipe: IO[bytes], folder: str, text: str) -> None:
    parts = [part.encode("utf-8", "surrogateescape") for part in (folder, text)]
    pipe.write(_HEAD.pack(*map(len, parts)) + b"".join(parts))
    pipe.flush()


def _receive(pipe: IO[bytes]) -> str:
    (size,) = _SIZE.unpack(_exactly(pipe, _SIZE.size))
    return _exactly(pipe, size).decode("utf-8")


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """The child's life. Whatever goes wrong with a document ends it, and the parent sees that."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while head := asked.read(_HEAD.size):
        folder_size, text_size = _HEAD.unpack(head)
        folder = _exactly(asked, folder_size).decode("utf-8", "replace")
        text = _exactly(asked, text_size).decode("utf-8", "replace")
        # Ends the process by a signal, even inside a regular expression, at 2 s of processor time.
        signal.setitimer(signal.ITIMER_PROF, CPU)
        parts = [render(part, folder) for part in text.split(SEPARATOR)]
        html = SEPARATOR.join(parts).encode("utf-8", "replace")
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(_SIZE.pack(len(html)) + html)
        answers.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
