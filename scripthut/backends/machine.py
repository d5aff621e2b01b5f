"""What this machine has: processors, memory, the disks that jobs write to."""

import os
import socket
from pathlib import Path, PurePosixPath

from scripthut.backends.local_room import Room
from scripthut.config.machine import memory, processors
from scripthut.core.survey import Disk, Facts, Free, NodeState


def whole() -> Room:
    """All that jobs could use at the same time."""
    return Room(len(processors()), memory())


def facts(home: PurePosixPath, whole: Room, left: Room, waiting: int) -> Facts:
    """What there is, and what the jobs that run now leave of it."""
    cpus, idle = whole.cpus, max(0, left.cpus)
    free = Free(socket.gethostname(), idle, max(0, left.memory), 0)
    state = NodeState.IDLE if idle == cpus else NodeState.MIXED if idle else NodeState.FULL
    return Facts(
        nodes={state: 1},
        cpus=cpus,
        cpus_idle=idle,
        largest=free if idle else None,
        waiting={"Wait for free processors or memory": waiting} if waiting else {},
        disks=(_disk(Path(home)),),
    )


def _disk(path: Path) -> Disk:
    stats = os.statvfs(path)
    used = (stats.f_blocks - stats.f_bfree) * stats.f_frsize
    return Disk(str(path), used, used + stats.f_bavail * stats.f_frsize)
