"""Sizes and durations, forwards and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core import units


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [("1", 1), ("4G", 4096), ("4 GB", 4096), ("4GiB", 4096), ("1.5g", 1536), (" 2T ", 2 * 1024**2)],
)
def test_a_size_may_be_spelt_in_many_ways(text: str, mebibytes: int) -> None:
    assert units.memory(text) == mebibytes * units.MIB


@pytest.mark.parametrize(
    "text", ["", "4 bananas", "-1G", "G", "1e3", "4GG", "1,5G", "inf", "٤G", "4G 4G", "1" * 400]
)
def test_what_is_not_a_size_is_refused_with_the_word_itself(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|is more memory"):
        units.memory(text)


@pytest.mark.parametrize(
    "text", ["", "soon", "1:2:3:4", "-5", "1-", "1h", "1:00:00 PM", "٩٠", "9" * 30, "1.5", "9" * 12]
)
def test_what_is_not_a_time_limit_is_refused_with_the_word_itself(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time limit|is longer than"):
        units.time_limit(text)


def test_zero_means_no_limit_as_it_does_to_slurm() -> None:
    assert units.time_limit("0") is None
    assert units.time_limit("0:00:00") is None


@given(st.integers(min_value=1, max_value=10**9))
def test_a_duration_for_people_is_read_back_exactly(seconds: int) -> None:
    assert units.time_limit(units.clock(seconds)) == seconds


@given(st.integers(min_value=0, max_value=2**62))
def test_a_size_for_people_is_within_a_twentieth_of_the_truth(count: int) -> None:
    number, unit = units.size(count).split()
    factor = 1024 ** " KMGTPE".index(unit[0]) if unit != "B" else 1
    assert abs(float(number) * factor - count) <= max(0.05 * count, 0)
