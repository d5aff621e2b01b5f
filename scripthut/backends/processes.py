"""Processes of this machine that outlive the server: named so that no other is taken for one."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import psutil

# The process waits to be told its own name, which holds its start time; it is then replaced by the
# job. When the server dies before it could tell, nothing has happened.
_LAUNCH = 'read -r SCRIPTHUT_JOB_ID && export SCRIPTHUT_JOB_ID && exec "$@" </dev/null'
_MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes in a unit of `ru_maxrss`
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """What tells this start of the machine from all others."""
    try:
        return _BOOT.read_text().strip().replace("-", "")[:12]
    except OSError:
        return str(int(psutil.boot_time()))


def launch(
    argv: Sequence[str],
    env: Mapping[str, str],
    out: Path,
    err: Path,
    processors: frozenset[int] = frozenset(),
) -> tuple[str, "subprocess.Popen[bytes]"]:
    """Start a program in a session of its own, its outputs appended to files; its name.

    The name is `<pid>-<start>-<boot>`, which is also its $SCRIPTHUT_JOB_ID. `processors`: the only
    ones that it and all it starts may use; none: any. OSError when it cannot be started.
    """
    with log(out) as stdout, log(err) as stderr:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _LAUNCH, "scripthut", *argv],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env=dict(env),
            cwd=Path.home(),
            start_new_session=True,
        )
    name = f"{process.pid}-{_start(process.pid)}-{boot()}"
    if processors:
        os.sched_setaffinity(process.pid, processors)
    if process.stdin is not None:
        with process.stdin as pipe, suppress(BrokenPipeError):
            pipe.write(f"{name}\n".encode())
    return name, process


def log(path: Path) -> IO[bytes]:
    """Open a file to append to, made if need be.

    A named pipe that nobody reads is an OSError, never a wait.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
    os.set_blocking(opened, True)
    return os.fdopen(opened, "ab", buffering=0)


def find(name: str) -> psutil.Process | None:
    """The live process of that name; None when it has ended, whoever has its number now."""
    pid, _, rest = name.partition("-")
    start, _, booted = rest.partition("-")
    if not pid.isdigit() or booted != boot():
        return None
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE or _start(process.pid) != start:
            return None
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    return process


def started_at(process: psutil.Process) -> datetime:
    """When a process began."""
    return datetime.fromtimestamp(process.create_time(), UTC)


def memory(process: psutil.Process) -> int:
    """Bytes that a process and all that descends from it hold for themselves."""
    held = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            told = each.memory_info()
            held += told.rss - getattr(told, "shared", 0)
    return held


def reap(child: "subprocess.Popen[bytes]") -> int | None:
    """Take leave of a child that has ended: what the largest process below it held at most.

    Bytes; None: it has not ended; 0: nobody knows. Linux counts what this process held when it
    started the child as the child's, so no more can be said of one that did not hold more.
    """
    if child.returncode is not None:
        return 0
    try:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
    except ChildProcessError:
        child.poll()
        return 0
    if pid == 0:
        return None
    child.returncode = os.waitstatus_to_exitcode(status)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * _MAXRSS if usage.ru_maxrss > own else 0


def pinned(process: psutil.Process) -> frozenset[int]:
    """The processors that a process may use, where that can be said."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied, AttributeError):
        return frozenset(process.cpu_affinity() or ())
    return frozenset()


def end(process: psutil.Process) -> None:
    """Ask a process and its group to end."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)


def kill(process: psutil.Process | None, mark: str, scope: str) -> None:
    """Kill a process, all that descends from it or holds the mark, and all of a control group."""
    doomed = list(marked(mark, scope))
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            doomed += [process, *process.children(recursive=True)]
    for each in doomed:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            each.kill()


def marked(mark: str, scope: str) -> Iterator[psutil.Process]:
    """Processes of a job that has lost its own: a session, even a daemon's, keeps the variables.

    One that has dropped those as well is still in the control group of the job, if it had one.
    """
    name, _, value = mark.partition("=")
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            if process.uids().real != os.getuid():
                continue
            if process.environ().get(name) == value or _is_in(process.pid, scope):
                yield process


def _is_in(pid: int, scope: str) -> bool:
    """Whether a process is in a control group of that name."""
    with suppress(OSError):
        return f"/{scope}" in Path(f"/proc/{pid}/cgroup").read_text()
    return False


def _start(pid: int) -> str:
    """When a process began; in ticks where the machine counts them: no clock moves those."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return str(int(psutil.Process(pid).create_time()))
    return text.rpartition(")")[2].split()[19]
