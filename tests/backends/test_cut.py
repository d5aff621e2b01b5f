"""A table of fifty thousand jobs travels as a few kilobytes, and says the same."""

import json
import random
import zlib
from dataclasses import asdict
from typing import Any

import pytest

from scripthut.backends.sent.cut import FIELD, GROUPS, cut
from scripthut.schedulers.base import Cut

AT = {"id": 0, "user": 1, "partition": 2, "state": 3, "cpus": 4, "reason": 5, "indices": 6}
HOW = Cut(
    fields=9,
    at={**AT, "rank": 7},
    field="|",
    runs=("R",),
    competes=("Priority", "Resources"),
    user="me",
)


def row(
    job_id: int,
    user: str,
    state: str = "Q",
    partition: str = "p",
    reason: str = "Priority",
    indices: str = "N/A",
    rank: int = 0,
    cpus: int = 2,
    name: str = "x",
) -> str:
    fields = (job_id, user, partition, state, cpus, reason, indices, rank, name)
    return "|".join(map(str, fields)) + "\n"


def told(text: str, how: Cut = HOW) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cut(text.encode(), asdict(how)))
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return answer["columns"][0] if answer["columns"] else []


def test_what_runs_and_what_waits_share_the_room() -> None:
    running = "".join(row(n, "a", "R") for n in range(600))
    waiting = "".join(row(n, "b", rank=n) for n in range(1000, 1600))
    found = ids(told(running + waiting))
    assert len(found) == 500
    assert found[0] == "0"
    assert found[249:251] == ["249", "1599"]  # of those that wait the highest rank
    few = ids(told(running + "".join(row(n, "b") for n in (1000, 1001, 1002))))
    assert len(few) == 500
    assert len([one for one in few if int(one) >= 1000]) == 3


def test_all_jobs_are_counted_whether_told_or_not() -> None:
    text = row(1, "a", "R", cpus=8) + row(2, "b", indices="0-9:2,20%3") + row(3, "b", reason="Held")
    found = told(text, Cut(**{**asdict(HOW), "most": 2}))
    assert sorted(found["groups"]) == [["a", "p", "R", 1, 8], ["b", "p", "Q", 7, 14]]
    assert sorted(found["reasons"]) == [["Held", 1], ["Priority", 6]]
    assert found["more"] == 1
    assert found["users"] == 2


def test_only_those_who_wait_for_a_place_with_a_higher_rank_are_before_me() -> None:
    text = "".join(
        [
            row(1, "me", rank=5),
            row(2, "me", rank=9, reason="Dependency"),
            row(3, "a", rank=7, indices="0-3"),
            row(4, "b", rank=5),  # as high, and later
            row(5, "b", rank=8, reason="Dependency"),
            row(6, "b", rank=8, partition="q,p"),
            row(7, "c", rank=8, partition="q"),
            row(8, "c", "R", rank=9),
        ]
    )
    assert told(text)["before"] == [["p", 5, 2]]


def test_many_users_stand_together_and_are_still_counted() -> None:
    text = "".join(row(n, f"u{n}", "R" if n % 2 else "Q", cpus=n % 50 + 1) for n in range(3000))
    found = told(text)
    named = [group for group in found["groups"] if group[0]]
    assert len(named) <= GROUPS
    assert sum(group[3] for group in found["groups"]) == 3000
    assert sum(group[4] for group in found["groups"]) == sum(n % 50 + 1 for n in range(3000))
    assert found["users"] == 3000


def test_fifty_thousand_jobs_cost_a_few_kilobytes() -> None:
    dice = random.Random(1)
    text = "".join(
        row(
            900_000 + n,
            f"user{dice.randrange(400)}",
            "R" if n < 4000 else "Q",
            dice.choice(["short", "long", "gpu"]),
            dice.choice(["Priority", "Resources", "Dependency"]),
            rank=dice.randrange(100_000),
            name=f"job{dice.randrange(3000)}",
        )
        for n in range(50_000)
    )
    assert len(zlib.compress(cut(text.encode(), asdict(HOW)), 6)) < 12_000


@pytest.mark.parametrize("seed", range(40))
def test_no_text_breaks_it(seed: int) -> None:
    """It runs in the one command on which all tasks depend."""
    dice = random.Random(seed)
    pieces = [
        "|",
        "\n",
        "---",
        "R",
        "Q",
        "1-",
        "9" * 5000,
        "²",
        "\udcff",
        "\0",
        "me",
        "%",
        ":0",
        ",",
    ]
    text = "".join(dice.choice(pieces) for _ in range(4000))
    text += row(1, "me", indices="0-999999999", cpus=10**17, name="n" * 10_000)
    short = Cut(fields=9, at=AT | {"name": 8}, below="---", runs=("R",), user="me", is_short=True)
    for how in (HOW, Cut(fields=9, at=AT | {"name": 8}, below="---", runs=("R",)), short):
        found = json.loads(cut(text.encode("utf-8", "surrogateescape"), asdict(how)))
        assert all(len(value) <= FIELD for column in found["columns"] for value in column)
