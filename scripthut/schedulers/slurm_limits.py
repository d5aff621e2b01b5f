"""Slurm's names for limits, which are made of parts: AssocGrpCpuLimit, QOSMaxGRESPerUser."""

import re

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


def limit(name: str) -> str | None:
    """What a limit's name means, in words for people; None when it is no limit's name.

    >>> limit("AssocGrpCpuLimit")
    "The account's limit of processors is reached, for all its users together"
    >>> limit("QOSMaxGRESPerUser")
    'Your limit of GPUs and other devices is reached'
    >>> limit("MaxCpuRunMinsPerUser")
    'Your limit of processors over time is reached'
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
        return _begin(f"{whose}'s budget of {what} over time is used up")
    if match["kind"] == "Min":
        return f"Can never start: it asks for less ({what}) than {whose} wants"
    over = " over time" if match["budget"] else ""
    if per in ("PerJob", "PerNode"):
        one = "a job" if per == "PerJob" else "one node"
        return f"Can never start: it asks for more {what}{over} than {whose} allows {one}"
    if per == "PerUser":
        return f"Your limit of {what}{over} is reached"
    if match["kind"] == "Grp":
        return _begin(f"{whose}'s limit of {what}{over} is reached, for all its users together")
    return _begin(f"{whose}'s limit of {what}{over} is reached")


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]
