"""Which row is ours: by token always, by claim first, by id then."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest

from scripthut.backends.match import choose
from scripthut.core import paths
from scripthut.core.jobs import Job, Phase, Resources, Sighting
from scripthut.schedulers.base import Row

TOKEN = "abcdefgh.0.1"
T0 = datetime(2026, 11, 23, tzinfo=UTC)
JOB = Job(
    TOKEN,
    "abcdefgh",
    "study",
    "sim",
    "sim",
    1,
    "true",
    "~",
    {},
    Resources(),
    paths.for_task(PurePosixPath("/l"), "abcdefgh", "sim", 1, TOKEN),
    job_id="7",
)


def row(job_id: str, phase: Phase = Phase.RUNNING, token: str = TOKEN, later: int = 0) -> Row:
    sighting = Sighting(job_id, phase, phase.value)
    return Row(sighting, frozenset({token}), T0 + timedelta(seconds=later))


@pytest.mark.parametrize(
    ("known", "claimed_by", "rows", "chosen"),
    [
        ("7", None, [row("7"), row("8")], "7"),
        ("7", None, [row("7", token="other")], None),  # the id was used again after a reset
        (None, None, [row("9"), row("8")], "8"),
        (None, None, [row("8", Phase.DONE), row("9", Phase.WAITING)], "9"),
        (None, None, [row("9", token="other")], None),
        (None, "9", [row("8"), row("9")], "9"),
        ("8", "7", [row("7"), row("8", Phase.DONE)], "7"),  # 8 came second and ran nothing
        ("8", "7", [row("8", Phase.DONE)], None),
        ("8", None, [row("7", Phase.WAITING)], "7"),  # the one that will claim it
    ],
)
def test_the_row_of_the_job_that_runs_is_chosen(
    known: str | None, claimed_by: str | None, rows: list[Row], chosen: str | None
) -> None:
    found = choose(replace(JOB, job_id=known), rows, claimed_by)
    assert (found.sighting.job_id if found else None) == chosen


def test_the_newest_incarnation_of_a_job_counts() -> None:
    old, new = row("7", Phase.FAILED), row("7", Phase.WAITING, later=60)
    assert choose(JOB, [new, old], None) is new
    assert choose(JOB, [old, new], "7") is new
