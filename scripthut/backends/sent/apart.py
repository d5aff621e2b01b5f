"""On the login node: work in a process that outlives the connection, and the signs that it lives.

Sent to the node, like its siblings: the standard library of Python 3.4 and later, alone. That a
process lives is told by a file that it touches, since it may run on another login node.
"""

import os
import sys
import threading
import time
from contextlib import suppress

MYPY = False
if MYPY:  # Python 3.4 has no typing module
    from collections.abc import Callable

BEAT = 5.0  # seconds between two signs of life
DEAD = 60.0  # seconds without one, after which a process is taken for dead


def apart(work: "Callable[[], object]", log: str = os.devnull) -> None:
    """Do this in another process; what it prints goes into the log."""
    sys.stdout.flush()
    if os.fork() != 0:
        return
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        said = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        for descriptor, source in ((0, nothing), (1, said), (2, said)):
            os.dup2(source, descriptor)
        os.closerange(3, 256)
        work()
    finally:
        os._exit(0)


def sign(mark: str, text: str) -> bool:
    """Make this file, which says whose it is; False where there is one."""
    try:
        made = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(made, "w") as file:
        file.write(text)
    return True


def live(mark: str, text: str) -> None:
    """Touch this file every few seconds from now on, for as long as it says this."""
    beating = threading.Thread(target=_beat, args=(mark, text))
    beating.daemon = True
    beating.start()


def _beat(mark: str, text: str) -> None:
    while True:
        with suppress(OSError):  # a file system may fail once, and the work goes on
            if not says(mark, text):
                return
            os.utime(mark)
        time.sleep(BEAT)


def says(mark: str, text: str) -> bool:
    """Whether a file says this; who slept for long finds what another process has written."""
    try:
        with open(mark) as file:
            return file.read() == text
    except FileNotFoundError:
        return False


def time_in(folder: str) -> float:
    """The time by the clock of the file system, which may be another machine's."""
    clock = os.path.join(folder, ".clock-%d" % os.getpid())
    with open(clock, "w"):
        pass
    try:
        return os.stat(clock).st_mtime
    finally:
        os.unlink(clock)
