"""What is known of a cluster besides its queue: nodes, partitions, the user's limits, disks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scripthut.core.jobs import Piece
from scripthut.core.queue import Queue
from scripthut.core.sights import Crowd, Ended
from scripthut.core.units import size


@dataclass(frozen=True)
class Wish:
    """What a look should bring besides the tasks: the user's queue, the facts, pieces of files.

    `crowd`: everybody's jobs; `ended`: the user's that ended lately. Only somebody who looks wishes
    for them.
    """

    queue: bool = False
    facts: bool = False
    crowd: bool = False
    ended: bool = False
    pieces: Sequence[Piece] = ()

    def __bool__(self) -> bool:
        """Whether anything is wished for."""
        rides = self.queue or self.facts or self.crowd or self.ended
        return rides or bool(self.pieces)


class NodeState(StrEnum):
    """What a node can do, whatever its scheduler calls that."""

    IDLE = "idle"
    MIXED = "partly used"
    FULL = "full"
    DRAINED = "draining"  # takes no new jobs
    DOWN = "down"


USABLE = (NodeState.IDLE, NodeState.MIXED, NodeState.FULL)


@dataclass(frozen=True)
class Node:
    """One node as its scheduler counts it. Memory in bytes."""

    name: str
    state: NodeState
    partitions: tuple[str, ...]
    cpus: int
    cpus_used: int
    memory: int
    memory_used: int
    gpus: int = 0
    gpus_used: int = 0
    gpu_kinds: tuple[str, ...] = ()

    @property
    def free(self) -> "Free":
        """What a job could have of it now."""
        if self.state not in USABLE:
            return Free(self.name, 0, 0, 0)
        return Free(
            self.name,
            max(0, self.cpus - self.cpus_used),
            max(0, self.memory - self.memory_used),
            max(0, self.gpus - self.gpus_used),
        )


@dataclass(frozen=True)
class Free:
    """What one node has free. Memory in bytes."""

    node: str
    cpus: int
    memory: int
    gpus: int

    def __str__(self) -> str:
        """Say it to people.

        >>> str(Free("n1", 4, 2**30, 1)), str(Free("n1", 1, 0, 0))
        ('4 CPUs, 1.0 GiB, 1 GPU', '1 CPU')
        """
        words = [_some(self.cpus, "CPU")]
        words += [size(self.memory)] if self.memory else []
        words += [_some(self.gpus, "GPU")] if self.gpus else []
        return ", ".join(words)


@dataclass(frozen=True)
class Door:
    """A partition or queue as the scheduler declares it. Times in seconds, None: no limit."""

    name: str
    is_default: bool = False
    is_open: bool = True
    time_limit: int | None = None
    time_default: int | None = None


@dataclass(frozen=True)
class Partition:
    """A partition or queue with what its nodes have. `waiting`: everybody's jobs, by reason."""

    name: str
    is_default: bool
    is_open: bool
    time_limit: int | None
    time_default: int | None
    nodes: Mapping[NodeState, int]
    cpus: int
    cpus_idle: int
    gpus: int
    gpus_idle: int
    gpu_kinds: tuple[str, ...]
    largest: Free | None  # None: no node has a CPU free
    waiting: Mapping[str, int]
    competing: int = 0  # of those, the ones that wait for a place alone

    @property
    def is_ready(self) -> bool:
        """Whether a small job would start at once."""
        return self.is_open and self.largest is not None and not self.competing

    @property
    def outlook(self) -> str:
        """How soon a job would start, in a sentence."""
        before = (
            f"{_some(self.competing, 'job')} before it" if self.competing else "no job before it"
        )
        if not self.is_open:
            return "Closed: what is submitted waits"
        if self.largest is None:
            return f"Full: a new job waits, with {before}"
        if self.competing:
            return f"{self.largest} free on one node, with {before}"
        return f"A job of up to {self.largest} starts now"


@dataclass(frozen=True)
class Limit:
    """A limit on what the user may have: of which account or quality of service, what, how much."""

    whose: str
    what: str
    most: str


@dataclass(frozen=True)
class Share:
    """The user's fair share through one account: `factor` between 0 (used up) and 1 (unused)."""

    account: str
    factor: float
    usage: float  # of all that was used lately, the user's part


@dataclass(frozen=True)
class Disk:
    """A file system that jobs write to. Bytes; `used` and `most` may be a quota's."""

    path: str
    used: int
    most: int
    is_quota: bool = False

    @property
    def free(self) -> int:
        """Bytes left."""
        return max(0, self.most - self.used)

    @property
    def is_tight(self) -> bool:
        """Whether less than a twentieth is left."""
        return self.free * 20 < self.most


@dataclass(frozen=True)
class Facts:
    """What a cluster says of itself. What it does not tell stays empty; `problems` says why."""

    partitions: tuple[Partition, ...] = ()
    nodes: Mapping[NodeState, int] = field(default_factory=dict)
    cpus: int = 0
    cpus_idle: int = 0
    gpus: int = 0
    gpus_idle: int = 0
    largest: Free | None = None
    waiting: Mapping[str, int] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    shares: tuple[Share, ...] = ()
    disks: tuple[Disk, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def soonest(self) -> list[Partition]:
        """The partitions, those in which a job would start soonest first."""
        return sorted(
            self.partitions,
            key=lambda p: (
                not p.is_open,
                not p.is_ready,
                p.competing / max(1, p.cpus),
                -p.cpus_idle,
                p.name,
            ),
        )

    @property
    def line(self) -> str:
        """The whole in one line.

        >>> Facts(cpus=8, cpus_idle=3, waiting={"Waits for free resources": 2}).line
        '3 of 8 CPUs idle · 2 jobs wait'
        """
        words = [f"{self.cpus_idle} of {_some(self.cpus, 'CPU')} idle"] if self.cpus else []
        words += [f"{self.gpus_idle} of {_some(self.gpus, 'GPU')} idle"] if self.gpus else []
        waiting = sum(self.waiting.values())
        words += [f"{_some(waiting, 'job')} wait{'s' if waiting == 1 else ''}"] if waiting else []
        return " · ".join(words)

    @property
    def yours(self) -> str:
        """What the user may have of it, in one line: limits, fair share, the disk that is fullest.

        >>> disk = Disk("/home", 3 * 2**30, 4 * 2**30, is_quota=True)
        >>> limit, share = Limit("account x", "jobs running at once", "200"), Share("x", 0.62, 0.1)
        >>> Facts(limits=(limit,), shares=(share,), disks=(disk,)).yours
        'at most 200 jobs running at once · fair share 0.62 · 1.0 GiB left in /home'
        """
        words = [f"at most {limit.most} {limit.what}" for limit in self.limits[:1]]
        best = max((share.factor for share in self.shares), default=None)
        words += [f"fair share {best:.2f}"] if best is not None else []
        fullest = min(self.disks, key=lambda disk: disk.free / max(1, disk.most), default=None)
        words += [f"{size(fullest.free)} left in {fullest.path}"] if fullest else []
        return " · ".join(words)


@dataclass(frozen=True)
class Surveyed:
    """What a look brought of what was wished for; None: not asked."""

    queue: Queue | None = None
    facts: Facts | None = None
    crowd: Crowd | None = None
    ended: Ended | None = None


def summarise(
    doors: Sequence[Door],
    nodes: Sequence[Node],
    waiting: Mapping[tuple[str, str], int],
    competing: Iterable[str],
) -> Facts:
    """Count nodes into their partitions and everybody's waiting jobs by (partition, reason).

    `competing`: the reasons for which a job waits for a place, and a new one would wait behind it.
    """
    places = frozenset(competing)
    by_reason: Counter[str] = Counter()
    for (_, reason), count in waiting.items():
        by_reason[reason] += count
    members: dict[str, list[Node]] = {door.name: [] for door in doors}
    for node in nodes:
        for name in node.partitions:
            members.setdefault(name, []).append(node)
    parts = [_partition(door, members[door.name], waiting, places) for door in doors]
    return Facts(
        partitions=tuple(parts),
        nodes=_states(nodes),
        cpus=sum(n.cpus for n in nodes),
        cpus_idle=sum(n.free.cpus for n in nodes),
        gpus=sum(n.gpus for n in nodes),
        gpus_idle=sum(n.free.gpus for n in nodes),
        largest=_largest(nodes),
        waiting=dict(by_reason.most_common()),
    )


def _partition(
    door: Door,
    nodes: Sequence[Node],
    waiting: Mapping[tuple[str, str], int],
    competing: frozenset[str],
) -> Partition:
    mine = Counter({reason: n for (name, reason), n in waiting.items() if name == door.name})
    return Partition(
        door.name,
        door.is_default,
        door.is_open,
        door.time_limit,
        door.time_default,
        _states(nodes),
        cpus=sum(n.cpus for n in nodes),
        cpus_idle=sum(n.free.cpus for n in nodes),
        gpus=sum(n.gpus for n in nodes),
        gpus_idle=sum(n.free.gpus for n in nodes),
        gpu_kinds=tuple(sorted({kind for n in nodes for kind in n.gpu_kinds})),
        largest=_largest(nodes),
        waiting=dict(mine.most_common()),
        competing=sum(n for reason, n in mine.items() if reason in competing),
    )


def _states(nodes: Sequence[Node]) -> dict[NodeState, int]:
    counted = Counter(node.state for node in nodes)
    return {state: counted[state] for state in NodeState if counted[state]}


def _largest(nodes: Sequence[Node]) -> Free | None:
    free = [node.free for node in nodes if node.free.cpus]
    return max(free, key=lambda f: (f.cpus, f.memory, f.gpus), default=None)


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


_FACTS = TypeAdapter(Facts)


def facts_as_json(facts: Facts) -> dict[str, Any]:
    """Facts as plain data."""
    told: dict[str, Any] = _FACTS.dump_python(facts, mode="json")
    return told


def facts_of(data: object) -> Facts:
    """Facts from plain data; what another version wrote differently is forgotten: it comes anew."""
    try:
        return _FACTS.validate_python(data)
    except ValidationError:
        return Facts()
