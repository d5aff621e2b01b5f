"""What a PBS cluster says of itself: `pbsnodes -a` and `qstat -Q -f`, of all its kinds."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from scripthut.core import units
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer
from scripthut.core.survey import Door, Facts, Limit, Node, NodeState, summarise
from scripthut.schedulers.pbs_limits import limits
from scripthut.schedulers.pbs_text import Attributes, size

_ATTRIBUTE = re.compile(r"\s+([A-Za-z_][\w.]*) = (.*)")
_SLOTS = re.compile(r"([\d,-]+)/")  # Torque: 0/12.server, 1-3/13.server
_NUMBER = re.compile(r"\d{1,9}")
_GPU_IN_USE = re.compile(r"gpu_state=(?:Exclusive|Shared)")
_STATES = {
    "job-exclusive": NodeState.FULL,
    "job-busy": NodeState.FULL,
    "busy": NodeState.FULL,
    "resv-exclusive": NodeState.FULL,
    "offline": NodeState.DRAINED,
    "offline_by_mom": NodeState.DRAINED,
    "maintenance": NodeState.DRAINED,
    "provisioning": NodeState.DRAINED,
    "wait-provisioning": NodeState.DRAINED,
    "sleep": NodeState.DRAINED,
    "down": NodeState.DOWN,
    "stale": NodeState.DOWN,
    "state-unknown": NodeState.DOWN,
    "unknown": NodeState.DOWN,
    "unresolvable": NodeState.DOWN,
}
_WORST = (NodeState.DOWN, NodeState.DRAINED, NodeState.FULL)
_WAITING = {
    "Queued": "Waits for free resources",
    "Held": "Held, or waits for another job",
    "Waiting": "Its earliest start has not come yet",
}
_STOPPED = "The queue is stopped"
_NO = ("False", "no")


def commands(user: str, has_server: bool = True) -> Mapping[str, list[str]]:
    """What to ask, by key; `user` comes back with the answers, for limits name users."""
    asked = {"nodes": ["pbsnodes", "-a"], "queues": ["qstat", "-Q", "-f"]}
    server = {"server": ["qstat", "-B", "-f"]} if has_server else {}
    return {**asked, **server, "user": ["printf", "%s", user]}


def read(answers: Mapping[str, Answer]) -> Facts:
    """What was answered. Unreachable when nodes or queues were not."""
    for key in ("nodes", "queues"):
        if answers[key].code != 0:
            said = (answers[key].err.strip() or answers[key].out.strip())[:300]
            raise Unreachable(f"PBS does not say what it has: {said or 'no word'}")
    queues = {
        name.removeprefix("Queue:").strip(): block
        for name, block in _blocks(answers["queues"].out)
        if block.get("queue_type", "Execution").lower().startswith("e")  # routes lead to others
    }
    server: Attributes = {}
    if "server" in answers and answers["server"].code == 0:
        server = next((block for _, block in _blocks(answers["server"].out)), {})
    default = server.get("default_queue", "")
    doors = [_door(name, block, name == default) for name, block in queues.items()]
    nodes = [_node(name, block, tuple(queues)) for name, block in _blocks(answers["nodes"].out)]
    waiting: Counter[tuple[str, str]] = Counter()
    for name, block in queues.items():
        for part in block.get("state_count", "").split():
            word, _, count = part.partition(":")
            if word in _WAITING and count.isdecimal() and int(count):
                is_stopped = word == "Queued" and block.get("started") in _NO
                waiting[name, _STOPPED if is_stopped else _WAITING[word]] += int(count)
    facts = summarise(doors, nodes, waiting, [_WAITING["Queued"]])
    return replace(facts, limits=tuple(_limits(answers, server, queues, default)))


def _limits(
    answers: Mapping[str, Answer], server: Attributes, queues: Mapping[str, Attributes], first: str
) -> Iterator[Limit]:
    """The server's, then those of each queue, of the default queue first."""
    user = answers["user"].out.strip() if "user" in answers else ""
    yield from limits("the whole cluster", server, user)
    for name in sorted(queues, key=lambda name: name != first):
        yield from limits(f"queue {name}", queues[name], user)


def _blocks(text: str) -> Iterator[tuple[str, Attributes]]:
    """Blocks of a name and attributes; a long value goes on in a next line with a tab before."""
    name, values, last = "", dict[str, str](), ""
    for line in text.splitlines():
        if match := _ATTRIBUTE.fullmatch(line):
            last = match[1]
            values.setdefault(last, match[2])
        elif line.startswith("\t") and last:
            values[last] += line[1:]
        elif line.strip() and not line[0].isspace():
            if values:
                yield name, values
            name, values, last = line.strip(), {}, ""
    if values:
        yield name, values


def _door(name: str, queue: Attributes, is_default: bool) -> Door:
    return Door(
        name,
        is_default=is_default,
        is_open=queue.get("enabled") not in _NO and queue.get("started") not in _NO,
        time_limit=units.elapsed(queue.get("resources_max.walltime", "")),
        time_default=units.elapsed(queue.get("resources_default.walltime", "")),
    )


def _node(name: str, node: Attributes, queues: tuple[str, ...]) -> Node:
    status = dict(p.split("=", 1) for p in node.get("status", "").split(",") if "=" in p)
    cpus = _int(node.get("resources_available.ncpus") or node.get("np") or node.get("pcpus"))
    used = _int(node.get("resources_assigned.ncpus")) or _slots(node.get("jobs", ""))
    state = _state(node.get("state", "unknown"), cpus, used)
    is_untold = state is NodeState.FULL or (state is NodeState.MIXED and not used)
    memory = size(node.get("resources_available.mem") or status.get("physmem"))
    memory = memory or size(status.get("availmem")) or 0
    return Node(
        name=name,
        state=state,
        partitions=(node["queue"],) if node.get("queue") else queues,
        cpus=cpus,
        cpus_used=max(used, cpus) if is_untold else used,
        memory=memory,
        memory_used=size(node.get("resources_assigned.mem")) or 0,
        gpus=_int(node.get("resources_available.ngpus") or node.get("gpus")),
        gpus_used=_int(node.get("resources_assigned.ngpus"))
        or len(_GPU_IN_USE.findall(node.get("gpu_status", ""))),
    )


def _state(text: str, cpus: int, used: int) -> NodeState:
    """What PBS's words for a node mean, the worst of several: `job-exclusive,offline`.

    OpenPBS writes some with a capital letter: `Stale`.
    """
    found = {_STATES[w] for w in text.lower().replace(" ", "").split(",") if w in _STATES}
    for state in _WORST:
        if state in found:
            return state
    if used >= cpus > 0:
        return NodeState.FULL
    return NodeState.MIXED if used or text == "mixed" else NodeState.IDLE


def _slots(jobs: str) -> int:
    """How many processors Torque's list of jobs takes: `0/12.server, 1-3/13.server`.

    >>> _slots("0/12.pbs, 1-3/13.pbs"), _slots("46.pbs1/0, 46.pbs1/1"), _slots("")
    (4, 2, 0)
    """
    if not jobs.strip():
        return 0
    count = 0
    for part in jobs.split(","):
        match = _SLOTS.match(part.strip())
        first, _, last = (match[1] if match else "0").partition("-")
        count += int(last) - int(first) + 1 if last.isdecimal() and first.isdecimal() else 1
    return count


def _int(text: str | None) -> int:
    return int(text) if text and _NUMBER.fullmatch(text) else 0
