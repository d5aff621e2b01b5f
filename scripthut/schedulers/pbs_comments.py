"""Why a job of PBS waits: its scheduler's comment, in words for people.

The comments are those of the schedulers that come with OpenPBS (all that its table of reasons has)
and with Torque. Each begins with `Not Running: ` while waiting may help, else `Can Never Run: `.
"""

import re
from collections.abc import Mapping

_WAITS, _NEVER = "Not Running: ", "Can Never Run: "
_PLACES = "Waits for free resources"
_OTHERS = "it starts when others of yours have ended"
_SHARED = "it starts when others' jobs have ended"
# What a limit counts, where PBS names it; the rest is shown as PBS says it.
_COUNTED = {"ncpus": "processors", "ngpus": "GPUs", "mem": "memory", "nodect": "nodes"}

# Whole comments, without their beginning. A group named `what` is a resource, `queue` a queue's.
_SENTENCES: Mapping[str, str] = {
    r"Queue not started\.": "The queue is stopped",
    r"Queue not an execution queue\.": "The queue runs no jobs itself",
    r"Not enough (?:free nodes|of the right type of nodes are) available": _PLACES,
    r"No available resources on nodes": _PLACES,
    r"All timesharing nodes are too loaded to run job": _PLACES,
    r"Node has reached (?:job|user|group) run limit": _PLACES,
    r"Can't preempt enough work to run job": _PLACES,
    r".+ set .+ has too few free resources(?: or is too small)?": _PLACES,
    r"Insufficient amount of resource: (?P<rest>.*)": f"{_PLACES}: {{rest}}",
    r"Insufficient amount of queue resource: (?P<rest>.*)": "The queue's limit is reached: {rest}",
    r"Insufficient amount of server resource: (?P<rest>.*)": (
        "The cluster's limit is reached: {rest}"
    ),
    r"Job would (?:conflict with reservation or|interfere with a) top job": (
        "Jobs of higher priority are before it"
    ),
    r"Job would (?:break strict sorted order|interfere with a confirmed reservation)": (
        "Jobs of higher priority are before it"
    ),
    r"Strict fifo order|Draining system to allow starving job to run": (
        "Jobs of higher priority are before it"
    ),
    r"Dedicated time conflict": "Waits for the end of a time that is dedicated to others",
    r"Job would cross dedicated time bounda?ry": (
        "It would not end before a time that is dedicated to others: a shorter time limit may let "
        "it start"
    ),
    r"Job will cross into (?P<rest>.+)": (
        "It would not end before {rest}: a shorter time limit may let it start"
    ),
    r"Job only runs in (?P<rest>.+)": "Starts in {rest} alone",
    r"Job has zero shares for fairshare": (
        "Your fair share of the cluster is none: ask its administrator"
    ),
    r"Job is under job_sort_formula threshold value": "Its priority is too low to be looked at yet",
    r"Number of concurrent running subjobs limit reached": (
        "The array's limit of running tasks is reached"
    ),
    r"(?:User has reached server running job limit\.|Server job limit reached for user \S+)": (
        f"Your limit of running jobs is reached: {_OTHERS}"
    ),
    r"User has reached queue (?P<queue>\S+) running job limit\.": (
        f"Your limit of running jobs in the queue {{queue}} is reached: {_OTHERS}"
    ),
    r"User has reached queue running job limit\.": (
        f"Your limit of running jobs in its queue is reached: {_OTHERS}"
    ),
    r"Queue (?P<queue>\S+) job limit reached for user \S+": (
        f"Your limit of running jobs in the queue {{queue}} is reached: {_OTHERS}"
    ),
    r"Server per-user limit reached on resource (?P<what>\S+)": (
        f"Your limit of {{what}} is reached: {_OTHERS}"
    ),
    r"would exceed user \S+'s limit on resource (?P<what>\S+) in complex": (
        f"Your limit of {{what}} is reached: {_OTHERS}"
    ),
    r"Queue (?P<queue>\S+) per-user limit reached on resource (?P<what>\S+)": (
        f"Your limit of {{what}} in the queue {{queue}} is reached: {_OTHERS}"
    ),
    r"would exceed user \S+'s limit on resource (?P<what>\S+) in queue (?P<queue>\S+)": (
        f"Your limit of {{what}} in the queue {{queue}} is reached: {_OTHERS}"
    ),
    r"(?P<whose>Group|Project) has reached .*running limit\.": (
        f"The {{whose}}'s limit of running jobs is reached: {_SHARED}"
    ),
    r"(?:Queue \S+|Server) job limit reached for (?P<whose>group|project) \S+": (
        f"The {{whose}}'s limit of running jobs is reached: {_SHARED}"
    ),
    r"(?:Queue \S+|Server) per-(?P<whose>group|project) limit reached on resource (?P<what>\S+)": (
        f"The {{whose}}'s limit of {{what}} is reached: {_SHARED}"
    ),
    r"would exceed (?P<whose>group|project) \S+'s limit on resource (?P<what>\S+) in .+": (
        f"The {{whose}}'s limit of {{what}} is reached: {_SHARED}"
    ),
    r"would exceed overall limit on resource (?P<what>\S+) in (?:complex|queue \S+)": (
        f"The limit of {{what}} for all users together is reached: {_SHARED}"
    ),
    r"(?:Queue(?: \S+)?|Server) job limit has been reached\.": (
        f"The limit of running jobs for all users together is reached: {_SHARED}"
    ),
}
_KNOWN = [(re.compile(pattern), said) for pattern, said in _SENTENCES.items()]


def why(comment: str) -> str:
    """What a comment means; empty when there is none.

    >>> why("Not Running: would exceed group phys's limit on resource ncpus in queue workq")
    "The group's limit of processors is reached: it starts when others' jobs have ended"
    >>> why("Can Never Run: Not enough total nodes available")
    'Can never start: Not enough total nodes available'
    >>> why("Not Running: The administrator says so"), why("")
    ('The administrator says so', '')
    """
    if comment.startswith(_NEVER):
        return f"Can never start: {comment.removeprefix(_NEVER)}"
    bare = comment.removeprefix(_WAITS).strip()
    for pattern, said in _KNOWN:
        if match := pattern.fullmatch(bare):
            named = {name: _named(name, value) for name, value in match.groupdict().items()}
            return said.format(**named)
    return bare


def _named(name: str, value: str) -> str:
    if name == "whose":
        return value.lower()
    return _COUNTED.get(value, value) if name == "what" else value
