"""Slurm's names for limits, which are made of parts: AssocGrpCpuLimit, QOSMaxGRESPerUser.

Slurm gives one reason for a limit that others' jobs, or the user's, use up now, which passes, and
for one that the job alone is beyond, which does not. So what a job asks for is compared with the
limits that the cluster declares.
"""

import re
from collections.abc import Mapping

from scripthut.core import units

Most = Mapping[tuple[str, str], int]
"""The most that any limit allows, by the column that declares it and the resource."""

NOT_KNOWN: Most = {}
_GPUS = re.compile(r"(?:gres[:/])?gpu(?::[A-Za-z_][\w.-]*)?(?::(\d{1,6}))?")
_LIMIT = re.compile(
    r"(?P<whose>Assoc|QOS|)(?P<kind>Grp|Max|Min)(?P<what>[A-Z][A-Za-z]*?)"
    r"(?P<budget>RunMinutes|RunMins|Minutes|)(?P<per>PerJob|PerNode|PerUser|PerAccount|)"
    r"(?P<end>Limit|NotSatisfied|)"
)
_WHAT = {
    "BB": "burst buffer",
    "Billing": "billed resources",
    "CPU": "processors",
    "Cpu": "processors",
    "Energy": "energy",
    "GRES": "GPUs and other devices",
    "Jobs": "running jobs",
    "License": "licences",
    "Mem": "memory",
    "Memory": "memory",
    "Node": "nodes",
    "SubmitJob": "jobs in the queue",
    "SubmitJobs": "jobs in the queue",
    "Unknown": "a resource",
    "Wall": "time",
    "WallDuration": "time",
}
_WHOSE = {"Assoc": "the account", "QOS": "the quality of service", "": "the quality of service"}
# The columns of `sacctmgr show qos` that declare a limit of running jobs. What accounts declare
# together is left out: an account above the user's own, which is not asked for, may be stricter.
COLUMNS = ("MaxTRESPU", "MaxTRESPA", "GrpTRES", "MaxJobsPU", "MaxJobsPA", "GrpJobs")
_COLUMN = {
    ("Max", "PerUser"): ("MaxTRESPU", "MaxJobsPU"),
    ("Max", "PerAccount"): ("MaxTRESPA", "MaxJobsPA"),
    ("Grp", ""): ("GrpTRES", "GrpJobs"),
}
_RESOURCE = {"CPU": "cpu", "Cpu": "cpu", "Mem": "mem", "Memory": "mem", "Node": "node"}
_RESOURCE |= {"GRES": "gres/gpu", "Jobs": "jobs"}
PASSES = {
    "PerUser": "it starts when others of yours have ended",
    "PerAccount": "it starts when others of that account have ended",
    "": "it starts when others of them have ended",
}


def limit(name: str) -> str | None:
    """What a limit's name means, in words for people; None when it is no limit's name.

    >>> limit("QOSMaxGRESPerUser")
    'Your limit of GPUs and other devices is reached: it starts when others of yours have ended'
    >>> limit("AssocMaxWallDurationPerJobLimit")
    'Can never start: it asks for more time than the account allows a job'
    >>> limit("Priority")
    """
    match = _LIMIT.fullmatch(name)
    what = _WHAT.get(match["what"]) if match else None
    if match is None or what is None:
        return None
    whose, per = _WHOSE[match["whose"]], match["per"]
    if match["budget"] == "Minutes" and match["kind"] == "Grp":
        return _begin(
            f"{whose}'s budget of {what} over time is used up: it waits until that is renewed or "
            "raised, by whoever manages it"
        )
    if match["kind"] == "Min":
        return f"Can never start: it asks for less ({what}) than {whose} wants"
    over = " over time" if match["budget"] else ""
    if per in ("PerJob", "PerNode"):
        one = "a job" if per == "PerJob" else "one node"
        return f"Can never start: it asks for more {what}{over} than {whose} allows {one}"
    if per == "PerUser":
        return f"Your limit of {what}{over} is reached: {PASSES[per]}"
    if per == "PerAccount":
        return f"The account's limit of {what}{over} is reached: {PASSES[per]}"
    if match["kind"] == "Grp":
        return _begin(
            f"{whose}'s limit of {what}{over} is reached, for all its users together: {PASSES['']}"
        )
    return _begin(f"{whose}'s limit of {what}{over} is reached: {PASSES['PerUser']}")


def beyond(name: str, asked: Mapping[str, int], most: Most) -> str | None:
    """Why a job can never start under the limit of that name, though it is the only one left.

    None when it can, or when nobody here knows. Of several limits of one kind the largest counts,
    for nobody says which of them it is. Memory in bytes.

    >>> tight = {("MaxTRESPU", "cpu"): 32}
    >>> beyond("QOSMaxCpuPerUserLimit", {"cpu": 64}, tight)
    'Can never start: it alone asks for 64 processors, and your limit is 32: ask for less'
    >>> beyond("QOSMaxCpuPerUserLimit", {"cpu": 32}, tight)
    """
    match = _LIMIT.fullmatch(name)
    if match is None or match["whose"] == "Assoc" or match["budget"]:
        return None
    columns = _COLUMN.get((match["kind"], match["per"]))
    resource = _RESOURCE.get(match["what"])
    if columns is None or resource is None:
        return None
    allowed = most.get((columns[resource == "jobs"], resource))
    wanted = asked.get(resource, 0)
    if allowed is None or wanted <= allowed:
        return None
    whose = {"PerUser": "your", "PerAccount": "the account's"}.get(match["per"], "the common")
    if resource == "jobs":
        return f"Can never start: {whose} limit of running jobs is {allowed}"
    what = "GPUs" if resource == "gres/gpu" else _WHAT[match["what"]]
    shown = [units.size(n) if resource == "mem" else str(n) for n in (wanted, allowed)]
    of = " of" if resource == "mem" else ""
    return (
        f"Can never start: it alone asks for {shown[0]}{of} {what}, "
        f"and {whose} limit is {shown[1]}: ask for less"
    )


def asked(cpus: str, memory: str, nodes: str, gres: str) -> Mapping[str, int]:
    """What a waiting job asks for, as squeue's `%C %m %D %b` say it; memory of one node.

    With devices besides GPUs nobody knows which of them a limit of devices is about.

    >>> asked("2", "600M", "1", "gres:gpu:a100:2")
    {'jobs': 1, 'cpu': 2, 'node': 1, 'mem': 629145600, 'gres/gpu': 2}
    >>> asked("2", "0", "1", "N/A")
    {'jobs': 1, 'cpu': 2, 'node': 1, 'mem': 0}
    """
    found = {"jobs": 1}
    found |= {what: int(n) for what, n in (("cpu", cpus), ("node", nodes)) if n.isdecimal()}
    found |= dict(_amounts("", f"mem={memory}"))
    if match := _GPUS.fullmatch(gres):
        found["gres/gpu"] = int(match[1] or 1) * found.get("node", 1)
    return found


def most(rows: list[dict[str, str]]) -> Most:
    """The largest limit of each kind in rows of `sacctmgr show qos`."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        for column in COLUMNS:
            for resource, amount in _amounts(column, row.get(column, "")):
                key = column, "gres/gpu" if resource.startswith("gres/gpu") else resource
                found[key] = max(amount, found.get(key, 0))
    return found


def _amounts(column: str, text: str) -> list[tuple[str, int]]:
    """What a column says, by resource.

    >>> _amounts("MaxTRESPU", "cpu=64,gres/gpu:a100=4,mem=500M"), _amounts("GrpJobs", "5")
    ([('cpu', 64), ('gres/gpu:a100', 4), ('mem', 524288000)], [('jobs', 5)])
    """
    if "Jobs" in column:
        return [("jobs", int(text))] if text.isdecimal() else []
    found: list[tuple[str, int]] = []
    for part in filter(None, text.split(",")):
        resource, _, amount = part.partition("=")
        try:
            number = units.memory(amount) if resource == "mem" else int(amount)
        except ValueError:
            continue
        found.append((resource, number))
    return found


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]
