"""What a table of jobs says once it was cut on the login node, see schedulers.base.Cut."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from scripthut.core.jobs import Answer
from scripthut.core.sights import Before, Crowd, Holding


@dataclass(frozen=True)
class Table:
    """The rows that were told, and the counts of all. `more`: jobs in rows that were not."""

    rows: Sequence[list[str]] = ()
    more: int = 0
    users: int = 0
    groups: Sequence[tuple[str, str, str, int, int]] = ()  # user, partition, state, jobs, CPUs
    reasons: Sequence[tuple[str, int]] = ()
    before: Sequence[tuple[str, int, int]] = ()  # partition, jobs, users


def table(answer: Answer) -> Table:
    """What an answer that was cut tells; nothing of one that failed."""
    if answer.code != 0 or not answer.out:
        return Table()
    told = json.loads(answer.out)
    rows = [list(row) for row in zip(*told["columns"], strict=True)]
    return Table(rows, *(told[name] for name in ("more", "users", "groups", "reasons", "before")))


def counts(found: Table, runs: Collection[str], why: Callable[[str], str]) -> Crowd:
    """The counts, in words. `runs`: states of jobs that hold something."""
    holdings: dict[tuple[str, str], Holding] = {}
    for user, place, state, jobs, cpus in found.groups:
        known = holdings.get((user, place), Holding(user, place))
        holdings[user, place] = (
            Holding(user, place, known.running + jobs, known.cpus + cpus, known.waiting)
            if state in runs
            else Holding(user, place, known.running, known.cpus, known.waiting + jobs)
        )
    waiting: Counter[str] = Counter()
    for reason, jobs in found.reasons:
        waiting[why(reason)] += jobs
    return Crowd(
        more=found.more,
        users=found.users,
        holdings=tuple(holdings.values()),
        waiting=dict(waiting.most_common()),
        before=tuple(Before(*one) for one in found.before),
    )


def others(crowd: Crowd, user: str) -> bool:
    """Whether anybody else's job was seen."""
    return any(one.user != user for one in crowd.holdings)


def alone(hidden: str | None) -> str:
    """What is said when nobody else's job was seen. `hidden`: by what they are, if they are."""
    if hidden is None:
        return "Nobody else has a job in the queue."
    return f"This cluster shows nobody the jobs of others ({hidden}): you see your own."


def named(pairs: Mapping[str, Answer], key: str) -> Answer:
    """An answer, or that there was none."""
    return pairs.get(key, Answer(-1, "", "it was not asked"))
