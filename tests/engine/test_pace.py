"""How often a backend is asked."""

import pytest

from scripthut.engine.cycle import Report
from scripthut.engine.pace import Pace

CALM, SILENT = Report(True, seconds=0.1), Report(answered=False)


def settled(seconds: float = 0.1) -> Pace:
    """A pace whose news are known and whose last cycle ended at 0, taking `seconds`."""
    pace = Pace(quick=2, slow=60)
    assert pace.is_due(0, 1)
    pace.took(0, Report(True, is_stirring=True, seconds=seconds))
    return pace


def test_nothing_to_do_is_nothing_asked() -> None:
    assert not settled().is_due(1e6, None)


def test_while_something_happens_the_pace_is_quick() -> None:
    assert not settled().is_due(1.9, 1)
    assert settled().is_due(2.0, 1)


def test_news_are_not_kept_waiting_but_the_machine_is_left_alone() -> None:
    assert settled(0.1).is_due(0.6, 2)
    assert not settled(0.3).is_due(0.6, 2)
    assert settled(0.3).is_due(1.6, 2)


def test_an_order_waits_for_nothing() -> None:
    assert settled(10).is_due(0.1, 1, is_ordered=True)


@pytest.mark.parametrize(("calm_for", "pause"), [(10, 2), (100, 10), (3000, 60)])
def test_the_longer_nothing_happens_the_rarer_it_asks(calm_for: float, pause: float) -> None:
    pace = settled()
    pace.took(calm_for, CALM)
    assert pace.due - calm_for == pause


def test_a_slow_answer_is_asked_for_at_most_a_fifth_of_the_time() -> None:
    assert settled(30).due == 150


def test_silence_is_met_with_longer_and_longer_pauses_that_news_do_not_shorten() -> None:
    pace = settled()
    pauses = []
    for _ in range(7):
        pace.took(0, SILENT)
        pauses.append(pace.due)
    assert pauses == [4, 8, 16, 32, 60, 60, 60]
    assert not pace.is_due(59, 99, is_ordered=True)
    pace.took(60, Report(True, is_stirring=True))
    assert pace.due == 62


def test_what_is_looked_at_is_asked_at_the_quick_pace_however_calm() -> None:
    pace = settled()
    pace.took(100, CALM)
    assert not pace.is_due(102, 1)
    assert not pace.is_due(101.9, 1, is_looked_at=True)
    assert pace.is_due(102, 1, is_looked_at=True)


def test_looking_does_not_press_a_slow_machine() -> None:
    assert not settled(3).is_due(14.9, 1, is_looked_at=True)


def test_a_cycle_that_broke_is_not_repeated_in_a_storm() -> None:
    pace = settled()
    pace.broke(0)
    assert not pace.is_due(29, 99, is_ordered=True)
    assert pace.is_due(30, 99)
    pace.took(30, CALM)
    assert pace.is_due(33, 100)


def test_what_a_cycle_writes_itself_is_no_news_to_it() -> None:
    pace = settled()
    version, cycles = 1, 0
    for second in range(1, 3600):
        if pace.is_due(second, version):
            cycles += 1
            version += 1  # a task says how far it is
            pace.took(second, Report(True, seconds=0.1, written=1))
    assert cycles < 150
    assert pace.due - pace.ended == 60
    assert pace.is_due(3600, version + 1)  # another hand


def test_what_is_looked_at_in_calm_is_asked_as_often_as_a_page_asks() -> None:
    pace = Pace(quick=0.5, slow=30)
    assert pace.is_due(0, 1)
    pace.took(0.0, CALM)
    assert pace.is_due(0.5, 1, is_looked_at=True)
    pace.took(60.0, CALM)
    assert not pace.is_due(61.9, 1, is_looked_at=True)
    assert pace.is_due(62, 1, is_looked_at=True)
