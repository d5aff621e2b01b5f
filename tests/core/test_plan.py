"""Caps and fair share."""

from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.plan import Claimant, allot

CLAIMANTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8).map(
    lambda rows: [Claimant(f"r{i}", ready, live) for i, (ready, live) in enumerate(rows)]
)


@given(st.integers(-5, 60), CLAIMANTS)
def test_no_slot_is_given_twice_or_left_empty(free: int, claimants: list[Claimant]) -> None:
    given_out = allot(free, claimants)
    assert sum(given_out.values()) == min(max(0, free), sum(c.ready for c in claimants))
    assert all(given_out[c.run_id] <= c.ready for c in claimants)


@given(st.integers(0, 60), CLAIMANTS)
def test_nobody_gets_a_slot_while_a_poorer_run_wants_one(
    free: int, claimants: list[Claimant]
) -> None:
    got = allot(free, claimants)
    for rich in claimants:
        for poor in claimants:
            if got[rich.run_id] and got[poor.run_id] < poor.ready:
                held = rich.live + got[rich.run_id] - 1
                assert held <= poor.live + got[poor.run_id]


def test_a_single_slot_goes_to_the_older_of_equals() -> None:
    assert allot(1, [Claimant("old", 2, 0), Claimant("new", 2, 0)]) == {"old": 1, "new": 0}
