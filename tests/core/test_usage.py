"""CPU time by hour and day, and the charts that are drawn of it."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.usage import OTHER, SOURCES, columns, spread, year

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
TODAY = NOW.date()


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 128))
def test_nothing_is_lost_when_time_is_spread_over_hours(start, seconds, cpus):
    begun = NOW - timedelta(seconds=start)
    parts = list(spread(begun, begun + timedelta(seconds=seconds), cpus))
    assert sum(spent for _, spent in parts) == seconds * cpus
    assert all(0 < spent <= 3600 * cpus and hour.minute == 0 for hour, spent in parts)


def test_a_year_ends_today_and_each_day_has_its_place():
    found = year({TODAY: 3600.0, TODAY - timedelta(days=1): 7200.0}, TODAY)
    assert (found.days[-1].at, found.days[-1].weekday) == (TODAY, TODAY.weekday())
    assert found.days[0].weekday == 0 and found.weeks == 53
    assert len({(day.week, day.weekday) for day in found.days}) == len(found.days)
    assert (found.total, found.active) == (3.0, 2)
    assert found.busiest is not None and found.busiest.at == TODAY - timedelta(days=1)
    assert round(sum(hours for _, hours in found.by_month), 9) == 3.0


def test_shades_are_quarters_of_the_days_that_count():
    spent = {TODAY - timedelta(days=n): 3600.0 * (n + 1) for n in range(8)}
    levels = [day.level for day in year(spent, TODAY).days[-8:]]
    assert levels == [4, 4, 3, 3, 2, 2, 1, 1]
    assert year({}, TODAY).busiest is None
    assert {day.level for day in year({}, TODAY).days} == {0}


def test_what_was_spent_before_the_year_is_left_out():
    assert year({date(2020, 1, 1): 9e9}, TODAY).total == 0


def test_hours_are_stacked_by_source_and_the_small_ones_are_one():
    hour = NOW.replace(minute=0)
    spent = {(hour, f"s{n}"): 3600.0 * (n + 1) for n in range(SOURCES + 2)}
    spent[hour - timedelta(hours=30), "old"] = 1e9
    found = columns(spent, NOW)
    assert [name for name, _ in found.sources] == ["s6", "s5", "s4", "s3", "s2", OTHER]
    assert dict(found.sources)[OTHER] == 3.0
    at, blocks = found.hours[-1]
    assert at == hour and blocks[0].start == 0.0 and blocks[-1].start + blocks[-1].height == 28.0
    assert (found.peak, found.total) == (28.0, 28.0)
    assert len(found.hours) == 24 and not found.hours[0][1]
