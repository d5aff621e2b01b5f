"""What this machine has, and what of it tasks may use."""

import os
from collections.abc import Sequence

from scripthut.core.units import size
from scripthut.core.workflow.spec import TaskSpec


def processors() -> frozenset[int]:
    """The numbers of the processors that this process may use."""
    try:
        return frozenset(os.sched_getaffinity(0))
    except AttributeError:
        return frozenset(range(os.cpu_count() or 1))


def memory() -> int:
    """How many bytes of memory the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def beyond(tasks: Sequence[TaskSpec], cpus: int, most: int) -> list[str]:
    """Sentences for tasks that ask for more than the machine has: they get all of it.

    `most`: bytes of memory.
    """
    return [
        *_said([t for t in tasks if t.cpus > cpus], "processors", str(cpus)),
        *_said([t for t in tasks if (t.memory or 0) > most], "memory", size(most)),
        *_shared([t for t in tasks if t.gres]),
    ]


def _said(tasks: Sequence[TaskSpec], what: str, has: str) -> list[str]:
    if not tasks:
        return []
    asks, get = ("asks", "gets") if len(tasks) == 1 else ("ask", "get")
    who = f"{_names(tasks)} {asks}"
    return [f"{who} for more {what} than this machine has ({has}), and {get} that."]


def _shared(tasks: Sequence[TaskSpec]) -> list[str]:
    """A sentence for those that ask for GPUs, which nobody shares out here."""
    if not tasks:
        return []
    asks = "asks" if len(tasks) == 1 else "ask"
    words = ", ".join(sorted({str(task.gres) for task in tasks})[:3])
    return [
        f"{_names(tasks)} {asks} for {words}, which this machine does not share out: "
        "every task sees what there is."
    ]


def _names(tasks: Sequence[TaskSpec]) -> str:
    rest = f" and {len(tasks) - 3} more" if len(tasks) > 3 else ""
    return ", ".join(task.id for task in tasks[:3]) + rest
