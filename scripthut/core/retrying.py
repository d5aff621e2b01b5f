"""Whether a task that failed is tried again by itself: when, and asking for what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripthut.core import units
from scripthut.core.causes import Cause
from scripthut.core.workflow.spec import Retry, TaskSpec

LONGEST = 86400  # seconds between two attempts
MOST = 35  # attempts: one character of the token, see core.tokens

WORDS: Mapping[Cause, str] = {
    Cause.NODE_FAILURE: "its node failed",
    Cause.PREEMPTED: "it was preempted",
    Cause.OUT_OF_MEMORY: "it ran out of memory",
    Cause.TIMEOUT: "it ran out of time",
    Cause.ANY: "it failed",
}

_DEAREST = (Cause.TIMEOUT, *(cause for cause in Cause if cause is not Cause.TIMEOUT))


@dataclass(frozen=True)
class Again:
    """Another attempt: after `wait` seconds, asking for `asked` in the place of its spec."""

    wait: int
    asked: Mapping[str, int]
    words: str  # how that is said: "tried again after 1:00 as attempt 2, with 8.0 GiB"


def again(
    spec: TaskSpec, attempt: int, cause: Cause, asked: Mapping[str, int | None] | None
) -> Again | None:
    """What its policy says about a task whose attempt number `attempt` failed; None: it has failed.

    `asked`: what this attempt asked for in the place of its spec, bytes and seconds.
    """
    policy = spec.retry
    if policy is None or attempt > policy.count or attempt >= MOST:
        return None
    if cause not in policy.on and Cause.ANY not in policy.on:
        return None
    before = {
        "memory": spec.memory,
        "time_limit": spec.time_limit,
        "timeout": spec.timeout,
        **(asked or {}),
    }
    more = _more(policy, cause, before)
    if more is None:
        return None
    wait = min(round(policy.wait * policy.backoff ** (attempt - 1)), LONGEST)
    words = f"tried again after {units.clock(wait)} as attempt {attempt + 1}{_with(more)}"
    return Again(wait, {**{k: v for k, v in (asked or {}).items() if v is not None}, **more}, words)


def costliest(
    spec: TaskSpec, attempt: int, asked: Mapping[str, int] | None
) -> Sequence[Mapping[str, int]]:
    """What attempt number `attempt`, and each that its policy may add, would ask for at the most.

    >>> policy = {"count": 2, "on": ["timeout"], "max_time": 180}
    >>> spec = TaskSpec.stored({"time_limit": 60, "retry": policy})
    >>> costliest(spec, 1, None)
    [{}, {'time_limit': 120}, {'time_limit': 180}]
    """
    found: list[Mapping[str, int]] = [asked or {}]
    while True:
        ways = (again(spec, attempt, cause, found[-1]) for cause in _DEAREST)
        dearest = next((way for way in ways if way is not None), None)
        if dearest is None:
            return found
        found.append(dearest.asked)
        attempt += 1


def _more(policy: Retry, cause: Cause, before: Mapping[str, int | None]) -> dict[str, int] | None:
    """What the next attempt asks for; None when it has all that it may have, and more is needed."""
    if cause is Cause.OUT_OF_MEMORY:
        wanted = {"memory": (policy.memory, policy.max_memory)}
    elif cause is Cause.TIMEOUT:
        wanted = dict.fromkeys(("time_limit", "timeout"), (policy.time, policy.max_time))
    else:
        return {}
    more: dict[str, int] = {}
    for name, (factor, most) in wanted.items():
        held = before[name]
        if held is None or factor == 1:
            continue
        more[name] = min(round(held * factor), most or round(held * factor))
        if more[name] <= held:
            return None
    return more


def _with(more: Mapping[str, int]) -> str:
    told = []
    if "memory" in more:
        told.append(f"{units.size(more['memory'])} of memory")
    if "time_limit" in more or "timeout" in more:
        told.append(f"{units.clock(more.get('timeout') or more['time_limit'])} of time")
    return f", with {' and '.join(told)}" if told else ""
