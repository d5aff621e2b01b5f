"""Random histories of the real engine over a cluster that lies; `make soak` lives 100,000."""

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st

from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.models import Base
from tests.databases import address, is_postgres
from tests.simulation.cluster import Lie, SimCluster
from tests.simulation.history import PERSON, SHAPES, Histories, Plan, quiet

TOGETHER = 16  # runs that share a server and a cluster; each is a history
SOAKED = 100_000
PARTS = 50

plans = st.builds(
    Plan,
    seed=st.integers(0, 2**32 - 1),
    lies=st.frozensets(st.sampled_from(Lie)),
    shapes=st.lists(st.integers(0, len(SHAPES) - 1), min_size=TOGETHER, max_size=TOGETHER).map(
        tuple
    ),
    person=st.sampled_from(PERSON),
    cap=st.sampled_from([5, 50]),
)


@dataclass(frozen=True)
class Stage:
    """Where histories are lived, one after the other."""

    database: Database
    kept: Kept

    def live(self, plan: Plan) -> SimCluster:
        histories = Histories(plan, self.database, self.kept)
        wrong = histories.live()
        assert not wrong, (wrong, plan)
        return histories.cluster


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A database in memory: what is proved here is no matter of disks."""
    data = tmp_path_factory.mktemp("data")
    database = Database(address(data) if is_postgres() else "sqlite:///:memory:")
    Base.metadata.create_all(database.engine)
    usual = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)  # a tenth of the time, with nothing to be found
    with quiet():
        yield Stage(database, Kept(Path(tmp_path_factory.mktemp("kept"))))
    gc.set_threshold(*usual)
    database.dispose()


relaxed = settings(
    deadline=None,
    database=None,
    print_blob=False,
    phases=[Phase.explicit, Phase.generate],  # a seed says all; making it smaller takes minutes
    suppress_health_check=list(HealthCheck),
)


def lies(*names: str) -> frozenset[Lie]:
    return frozenset(Lie[name] for name in names)


# Histories that went wrong once, each by what it showed.
CANCELLED_AND_TAKEN_LATE = Plan(
    937891245,
    lies("BROKEN", "SLEEP", "SLOW", "NONE", "STALE", "REUSE", "OTHERS", "LATE", "CRASH"),
    (1, 2, 0, 0, 2, 1, 0, 3),
    "cancels a task",
)
REQUEUED_WITH_AN_OLD_NOTE = Plan(
    3056255486,
    lies("LAG", "NFS", "OTHERS", "REQUEUE", "TWICE"),
    (3, 2, 3, 3, 0, 0, 2, 3),
    "cancels the run",
)
SEEN_FIRST_BETWEEN_TWO_RUNS = Plan(
    971975204,
    lies("OUTAGE", "PREEMPT", "UNHEARD", "PURGE", "LATE"),
    (3, 3, 0, 0, 1, 3, 1, 1),
    "cancels the run",
)
TAKEN_FROM_A_LEADER_THAT_SLEPT = Plan(
    1486267406,
    lies("STALE", "KILLED", "OUTAGE", "OTHERS", "SLEEP", "PREEMPT", "SILENT", "NONE"),
    (3, 0, 2, 3, 3, 1, 0, 0),
    "tries again",
)
PREEMPTED_AFTER_IT_WAS_OUT_OF_SIGHT = Plan(
    2750305492,
    lies(
        *("CLOCK", "FULL", "LATE", "NONE", "OUTAGE", "PREEMPT", "PURGE", "REQUEUE", "REUSE"),
        *("SILENT", "STALE"),
    ),
    (0, 2, 0, 5, 3, 0, 1, 4, 5, 1, 5, 0, 3, 5, 5, 2),
    "does all",
)

BEGAN_AND_ENDED_WITHIN_A_LOOK = Plan(0, lies("BETWEEN", "NONE"), (0,) * TOGETHER)


@example(BEGAN_AND_ENDED_WITHIN_A_LOOK)
@example(PREEMPTED_AFTER_IT_WAS_OUT_OF_SIGHT)
@example(CANCELLED_AND_TAKEN_LATE)
@example(REQUEUED_WITH_AN_OLD_NOTE)
@example(SEEN_FIRST_BETWEEN_TWO_RUNS)
@example(TAKEN_FROM_A_LEADER_THAT_SLEPT)
@settings(relaxed, max_examples=20, derandomize=True)
@given(plan=plans)
def test_every_verdict_is_the_truth_and_nothing_runs_twice(stage: Stage, plan: Plan) -> None:
    stage.live(plan)


@pytest.mark.parametrize("lie", list(Lie))
def test_one_lie_alone_deceives_nobody(stage: Stage, lie: Lie) -> None:
    stage.live(Plan(20260302, frozenset({lie}), (1, 2, 3, 4, 5, 6), "does all"))


def test_without_a_lie_everything_ends_by_itself_and_what_can_goes_as_arrays(stage: Stage) -> None:
    cluster = stage.live(Plan(2, shapes=(0, 4, 6)))
    by_number = Counter(job.number for job in cluster.jobs if job.index is not None)
    assert sorted(by_number.values()) == [2, 3]  # the three that need the first one alone, and two


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_a_hundred_thousand_histories(stage: Stage, part: int) -> None:
    @seed(part)
    @settings(relaxed, max_examples=SOAKED // PARTS // TOGETHER)
    @given(plan=plans)
    def live(plan: Plan) -> None:
        stage.live(plan)

    live()
