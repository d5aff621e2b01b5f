"""What the child process does, within limits: see workshop.py for how it is asked."""

import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import IO

from scripthut.core import figures
from scripthut.core.notebook import SEPARATOR
from scripthut.core.render import render
from scripthut.engine.workshop import HEAD, SIZE, exactly

CPU = 2.0  # seconds of a processor for one piece of work
MEMORY = 512 * 1024 * 1024  # bytes of address space


def _rendered(folder: str, data: bytes) -> bytes:
    """Markdown's HTML; the parts of a notebook each for itself."""
    parts = data.decode("utf-8", "replace").split(SEPARATOR)
    html = SEPARATOR.join(render(part, folder) for part in parts)
    return html.encode("utf-8", "replace")


WORKS: Mapping[str, Callable[[str, bytes], bytes]] = {
    "render": _rendered,
    "figures": figures.read,
}
"""Name of a piece of work -> what does it: (words about it, data) -> answer."""


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """The child's life. Whatever goes wrong with a piece ends it, and the parent sees that."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while head := asked.read(HEAD.size):
        work, words, data = (exactly(asked, size) for size in HEAD.unpack(head))
        # Ends the process by a signal, even inside a regular expression, at 2 s of processor time.
        signal.setitimer(signal.ITIMER_PROF, CPU)
        answer = WORKS[work.decode()](words.decode("utf-8", "replace"), data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(SIZE.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
