"""What a Slurm cluster says of itself: nodes, partitions, who waits why, and the user's limits."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from scripthut.core import units
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer
from scripthut.core.survey import Door, Facts, Limit, Node, NodeState, Share, summarise
from scripthut.schedulers import slurm_limits
from scripthut.schedulers import slurm_words as words
from scripthut.schedulers.slurm_limits import NOT_KNOWN, Most

CLOCK = ("env", "TZ=UTC", "SLURM_TIME_FORMAT=%s")  # else times are local and say no zone
WHOLE = "SLURM_BITSTR_LEN=0"  # else squeue cuts the list of an array's waiting elements
_FIELD = "\x1f"
# Nodes and partitions of many fields: `Key=value`, the free text of people last on the line.
_PAIR = re.compile(r"(?:^| )([A-Za-z/]+)=(\S*)")
_GPU = re.compile(r"gpu(?::([^:,()]+))?:(\d+)")
_USES = re.compile(r"\([^()]*\)")  # (IDX:0-1), (S:0)
_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_SHARES = ("Account", "User", "EffectvUsage", "FairShare")
_LIMITS = ("MaxJobs", "MaxSubmit", "MaxWall", "GrpTRES", "MaxTRES", "GrpJobs")
_ACCOUNT = ("Cluster", "Account", "Partition", "QOS", *_LIMITS)
_QOS = (
    *("Name", "MaxJobsPU", "MaxSubmitPU", "MaxWall", "MaxTRESPU", "GrpTRES", "GrpJobs"),
    *("MaxJobsPA", "MaxSubmitPA", "MaxTRESPA", "MaxTRES"),
)
_SAYS = {
    "MaxJobs": "jobs running at once",
    "MaxJobsPU": "jobs running at once",
    "MaxSubmit": "jobs in the queue at once",
    "MaxSubmitPU": "jobs in the queue at once",
    "MaxWall": "time of one job",
    "GrpTRES": "resources of all its users at once",
    "MaxTRES": "resources of one job",
    "MaxTRESPU": "resources at once",
    "GrpJobs": "jobs of all its users running at once",
    "MaxJobsPA": "jobs of one account running at once",
    "MaxSubmitPA": "jobs of one account in the queue at once",
    "MaxTRESPA": "resources of one account at once",
}
_STATES = {
    "IDLE": NodeState.IDLE,
    "MIXED": NodeState.MIXED,
    "ALLOCATED": NodeState.FULL,
    "ALLOC": NodeState.FULL,
}
# What makes a node unusable, whatever else is said of it.
_DOWN = ("DOWN", "FAIL", "ERROR", "UNKNOWN", "NOT_RESPONDING", "NO_RESPOND", "FUTURE")
_DRAINED = ("DRAIN", "MAINT", "RESERVED", "REBOOT", "POWERING_DOWN", "INVALID_REG", "BLOCKED")


def commands(user: str) -> Mapping[str, list[str]]:
    """What to ask, by key; each may fail by itself."""
    return {
        "nodes": ["scontrol", "--oneliner", "--details", "show", "nodes"],
        "partitions": ["scontrol", "--oneliner", "show", "partitions"],
        "waiting": [
            *("env", WHOLE, "squeue", "--noheader", "--states=PENDING"),
            f"--format={_FIELD.join(('%P', '%r', '%K'))}",
        ],
        "shares": [
            *("sshare", "--noheader", "--parsable2", "--Users", f"--user={user}"),
            f"--format={','.join(_SHARES)}",
        ],
        "limits": [
            *("sacctmgr", "--noheader", "--parsable2", "show", "assoc", "where", f"user={user}"),
            f"format={','.join(_ACCOUNT)}",
        ],
        "qualities": [
            *("sacctmgr", "--noheader", "--parsable2", "show", "qos", f"format={','.join(_QOS)}"),
        ],
    }


def read(answers: Mapping[str, Answer]) -> Facts:
    """What was answered. Unreachable when neither nodes nor partitions were."""
    for key in ("nodes", "partitions", "waiting"):
        if answers[key].code != 0:
            raise Unreachable(f"Slurm does not say what it has: {_said(answers[key])}")
    doors = [_door(pairs) for pairs in _lines(answers["partitions"])]
    nodes = [_node(pairs) for pairs in _lines(answers["nodes"]) if "NodeName" in pairs]
    facts = summarise(doors, nodes, _waiting(answers["waiting"].out), words.COMPETING)
    problems = [
        f"{what}: {_said(answers[key])}"
        for key, what in (("shares", "fair share"), ("limits", "limits"), ("qualities", "limits"))
        if answers[key].code != 0 and not _is_kept_nowhere(answers[key])
    ]
    return replace(
        facts,
        limits=tuple(_limits(answers["limits"], answers["qualities"])),
        shares=tuple(_shares(answers["shares"])),
        problems=tuple(dict.fromkeys(problems)),
    )


def _lines(answer: Answer) -> Iterator[dict[str, str]]:
    for line in answer.out.splitlines():
        pairs: dict[str, str] = {}
        for key, value in _PAIR.findall(line):
            pairs.setdefault(key, value)
        if pairs:
            yield pairs


def _door(pairs: Mapping[str, str]) -> Door:
    return Door(
        name=pairs.get("PartitionName", ""),
        is_default=pairs.get("Default") == "YES",
        is_open=pairs.get("State", "UP") == "UP",
        time_limit=units.elapsed(pairs.get("MaxTime", "")),
        time_default=units.elapsed(pairs.get("DefaultTime", "")),
    )


def _node(pairs: Mapping[str, str]) -> Node:
    gpus = _gpus(pairs.get("Gres", ""))
    partitions = pairs.get("Partitions", "")
    return Node(
        name=pairs["NodeName"],
        state=node_state(pairs.get("State", "UNKNOWN")),
        partitions=tuple(filter(None, partitions.split(","))),
        cpus=_int(pairs.get("CPUEfctv") or pairs.get("CPUTot")),
        cpus_used=_int(pairs.get("CPUAlloc")),
        memory=_int(pairs.get("RealMemory")) * units.MIB,
        memory_used=_int(pairs.get("AllocMem")) * units.MIB,
        gpus=sum(gpus.values()),
        gpus_used=sum(_gpus(pairs.get("GresUsed", "")).values()),
        gpu_kinds=tuple(sorted(kind for kind in gpus if kind)),
    )


def node_state(text: str) -> NodeState:
    """What Slurm's words for a node mean: a base state with flags, `*` where it does not answer.

    >>> [str(node_state(t)) for t in ("IDLE", "MIXED+PLANNED", "IDLE+DRAIN", "DOWN*", "IDLE+CLOUD")]
    ['idle', 'partly used', 'draining', 'down', 'idle']
    """
    flags = text.upper().rstrip("*$@^!%~#-").split("+")
    if "*" in text or any(flag.startswith(_DOWN) for flag in flags):
        return NodeState.DOWN
    if any(flag.startswith(_DRAINED) for flag in flags):
        return NodeState.DRAINED
    return _STATES.get(flags[0], NodeState.DOWN)


def _gpus(gres: str) -> Counter[str]:
    """GPUs by kind.

    >>> sorted(_gpus("gpu:a100:2(IDX:0,1),gpu:v100:1(S:0),shard:8,gpu:3").items())
    [('', 3), ('a100', 2), ('v100', 1)]
    """
    found: Counter[str] = Counter()
    for part in _USES.sub("", gres).split(","):
        if match := _GPU.fullmatch(part):
            found[match[1] or ""] += int(match[2])
    return found


def _waiting(text: str) -> Counter[tuple[str, str]]:
    """Waiting jobs by (partition, reason); a job that may go to several waits in each."""
    found: Counter[tuple[str, str]] = Counter()
    for line in text.splitlines():
        parts = line.split(_FIELD)
        if len(parts) == 3:
            for name in parts[0].split(","):
                found[name, words.why(parts[1]) or words.NOT_LOOKED_AT] += elements(parts[2])
    return found


def elements(indices: str) -> int:
    """How many jobs stand behind the indices of an array's waiting part.

    >>> [elements(t) for t in ("N/A", "7", "2-50%2", "1,3,5-9:2", "0-99,...")]
    [1, 1, 49, 5, 100]
    """
    count = 0
    for part in indices.split("%")[0].split(","):
        if match := _RANGE.fullmatch(part):
            first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
            count += max(0, (last - first) // max(1, step) + 1)
    return max(1, count)


def _shares(answer: Answer) -> Iterator[Share]:
    for line in answer.out.splitlines() if answer.code == 0 else ():
        account, _, used, factor = (line.split("|") + [""] * 4)[:4]
        try:
            yield Share(account.strip(), float(factor), float(used))
        except ValueError:
            continue  # without the plug-in for priorities the fields are empty


def _limits(accounts: Answer, qualities: Answer) -> Iterator[Limit]:
    rows = [line.split("|") for line in accounts.out.splitlines() if accounts.code == 0]
    mine = [dict(zip(_ACCOUNT, row, strict=True)) for row in rows if len(row) == len(_ACCOUNT)]
    has_clusters = len({row["Cluster"] for row in mine}) > 1
    for row in mine:
        at = f" on {row['Cluster']}" if has_clusters else ""
        place = f", partition {row['Partition']}" if row["Partition"] else ""
        yield from _each(f"account {row['Account']}{place}{at}", row)
    names = {name for row in mine for name in row["QOS"].split(",")}
    for line in qualities.out.splitlines() if qualities.code == 0 else ():
        parts = line.split("|")
        if len(parts) == len(_QOS) and parts[0] in names:
            yield from _each(f"quality of service {parts[0]}", dict(zip(_QOS, parts, strict=True)))


def most(answers: Mapping[str, Answer]) -> Most:
    """The limits of all qualities of service: a partition may have one that is not the user's."""
    qualities = answers.get("qualities")
    if qualities is None or qualities.code != 0:
        return NOT_KNOWN
    rows = (line.split("|") for line in qualities.out.splitlines())
    whole = [dict(zip(_QOS, row, strict=True)) for row in rows if len(row) == len(_QOS)]
    return slurm_limits.most(whole)


def _each(whose: str, row: Mapping[str, str]) -> Iterator[Limit]:
    for key, what in _SAYS.items():
        if row.get(key):
            yield Limit(whose, what, _amount(row[key]))


def _amount(text: str) -> str:
    """A limit's value in words.

    >>> [_amount(t) for t in ("cpu=64,gres/gpu=4,mem=1T", "2-00:00:00", "10")]
    ['64 CPUs, 4 GPUs, 1T of memory', '2-00:00:00', '10']
    """
    units_of = {"cpu": "CPUs", "gres/gpu": "GPUs", "mem": "of memory", "node": "nodes"}
    parts = [part.partition("=") for part in text.split(",")]
    return ", ".join(f"{n} {units_of.get(key, key)}" if n else key for key, _, n in parts)


def _is_kept_nowhere(answer: Answer) -> bool:
    """Whether the cluster keeps no accounts at all, which is no failure."""
    return any(word in answer.err for word in words.NO_ACCOUNTING)


def _int(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _said(answer: Answer) -> str:
    lines = (answer.err.strip() or answer.out.strip()).splitlines()[-1:]
    return lines[0][:300] if lines else f"exit code {answer.code} and no word"
