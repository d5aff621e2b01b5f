"""What this machine has: processors, memory, the disks that jobs write to."""

import os
import socket
from pathlib import Path, PurePosixPath

import psutil

from scripthut.core.survey import Disk, Facts, Free, NodeState


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def memory() -> int:
    """How many bytes of memory the machine has."""
    return int(psutil.virtual_memory().total)


def facts(home: PurePosixPath, cpus_used: int, memory_used: int) -> Facts:
    """What there is, less what the jobs asked for that run now."""
    cpus, room = processors(), memory()
    idle = max(0, cpus - cpus_used)
    free = Free(socket.gethostname(), idle, max(0, room - memory_used), 0)
    state = NodeState.IDLE if not cpus_used else NodeState.MIXED if idle else NodeState.FULL
    return Facts(
        nodes={state: 1},
        cpus=cpus,
        cpus_idle=idle,
        largest=free if idle else None,
        disks=(_disk(Path(home)),),
    )


def _disk(path: Path) -> Disk:
    stats = os.statvfs(path)
    used = (stats.f_blocks - stats.f_bfree) * stats.f_frsize
    return Disk(str(path), used, used + stats.f_bavail * stats.f_frsize)
