"""What a user may have of a PBS cluster: the limits that its server and its queues declare.

Sources: pbs_server_attributes(7B) and pbs_queue_attributes(7B), of PBS Pro ("Limits": max_run and
its like, `[u:PBS_GENERIC=4],[u:ada=8],[o:PBS_ALL=100]`) and of Torque (max_user_run and its like).
Limits that only lower a job's priority (`_soft`) are none.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripthut.core.survey import Limit
from scripthut.schedulers.pbs_text import Attributes

_ENTRY = re.compile(r"\[\s*([ugpo]):\s*\"?([^=\]\"]+?)\"?\s*=\s*([^\]]+?)\s*\]")
_GENERIC, _ALL = "PBS_GENERIC", "PBS_ALL"
_TOGETHER = {"o": " of all users together", "g": " of all users of a group together"}

# Limits with an entry for each kind of holder, in the order in which they matter to a person.
_LISTED = {
    "max_run": "jobs running at once",
    "max_queued": "jobs in the queue at once",
    "queued_jobs_threshold": "jobs waiting at once",
}
_LISTED_OF = {
    "max_run_res": "{what} of running jobs at once",
    "max_queued_res": "{what} of jobs in the queue at once",
    "queued_jobs_threshold_res": "{what} of waiting jobs at once",
}
# Limits of one number: whose it is, and of what.
_PLAIN = {
    "max_user_run": ("u", "jobs running at once"),
    "max_user_queuable": ("u", "jobs in the queue at once"),
    "max_group_run": ("g", "jobs running at once"),
    "max_running": ("o", "jobs running at once"),
    "max_queuable": ("o", "jobs in the queue at once"),
}
_PLAIN_OF = {
    "max_user_res": ("u", "{what} of running jobs at once"),
    "max_group_res": ("g", "{what} of running jobs at once"),
    "resources_max": ("u", "{what} of one job"),
}
_WHAT = {
    "ncpus": "CPUs",
    "ngpus": "GPUs",
    "mem": "memory",
    "vmem": "virtual memory",
    "nodect": "nodes",
    "walltime": "time",
    "cput": "processor time",
}
_ORDER = {"u": 0, "g": 1, "o": 2}


@dataclass(frozen=True)
class _Found:
    holder: str  # u, g or o
    what: str
    most: str


def limits(whose: str, block: Attributes, user: str) -> Iterator[Limit]:
    """The limits of a server or a queue that may hold `user` up, their own first."""
    found = [one for key, value in block.items() for one in _read(key, value, user)]
    for one in sorted(found, key=lambda one: _ORDER[one.holder]):
        yield Limit(whose, one.what + _TOGETHER.get(one.holder, ""), one.most)


def _read(key: str, value: str, user: str) -> Iterator[_Found]:
    name, _, resource = key.partition(".")
    listed = (_LISTED_OF if resource else _LISTED).get(name)
    holder, plain = (_PLAIN_OF if resource else _PLAIN).get(name, ("", ""))
    what = _WHAT.get(resource, resource)
    if plain:
        yield _Found(holder, plain.format(what=what), value)
    if listed is None:
        return
    entries = {(kind, of): most for kind, of, most in _ENTRY.findall(value)}
    if not entries and "[" not in value:
        yield _Found("u", listed.format(what=what), value)  # as versions before 10 wrote it
    for kind, most in _held(entries, user):
        yield _Found(kind, listed.format(what=what), most)


def _held(entries: Mapping[tuple[str, str], str], user: str) -> Iterator[tuple[str, str]]:
    """Which entries hold a user: their own before everybody's.

    Of a group or project by name nobody here knows whether the user belongs to it.
    """
    own = entries.get(("u", user)) or entries.get(("u", _GENERIC))
    held = {"u": own, "g": entries.get(("g", _GENERIC)), "o": entries.get(("o", _ALL))}
    yield from ((kind, most) for kind, most in held.items() if most is not None)
