"""The chart of a run's times: by task or group, a piece of time, some rows at a time."""

import re
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.states import State
from scripthut.core.timeline import Window, merged
from scripthut.web.runs.gantt import FEW, ROWS

RUN = "/runs/abcdefgh?view=gantt"


def chart(html: str) -> dict[str, list[tuple[str, float, float]]]:
    """Row -> its bars: kind, from, width."""
    found = {}
    body = html[html.index('<table class="gantt">') :].partition("</table>")[0]
    for line in body.split('<tr><th scope="row">')[1:]:
        (name,) = re.findall(r"^<a[^>]*>([^<]*)</a>", line)
        bars = re.findall(r'class="bar-(\w+)" x="([\d.]+)%" width="([\d.]+)%"', line)
        found[name] = [(kind, float(x), float(width)) for kind, x, width in bars]
    return found


@pytest.fixture
def study(hut):
    """Made 100 minutes ago: `a` waited 10 and ran 40 minutes; `b` waits since 50 minutes."""
    hut.run({"a": "completed", "b": "queued", "c": "pending"}, age=timedelta(minutes=100))
    zero = hut.now - timedelta(minutes=100)
    at = [zero + timedelta(minutes=m) for m in (0, 10, 50)]
    hut.change("abcdefgh", "a", submitted_at=at[0], started_at=at[1], finished_at=at[2])
    hut.change("abcdefgh", "b", submitted_at=at[2])
    return hut


def test_waiting_and_running_are_two_tones(client, study):
    found = chart(client.get(RUN).text)
    (waited, ran) = found["a"]
    assert (waited[0], waited[1], ran[0]) == ("waited", 0, "completed")
    assert 0 < waited[2] < 11  # a tenth of the time when this file was read, less by now
    assert ran[1] == pytest.approx(waited[2], rel=0.01)
    assert [bar[0] for bar in found["b"]] == ["waited"] and found["c"] == []


def test_a_piece_of_time_is_looked_at_and_the_address_says_which(client, study):
    page = client.get(f"{RUN}&window=600&window=1800").text
    assert chart(page)["a"] == [("completed", 0.0, 100.0)]
    (link,) = re.findall(r'href="([^"]+)" aria-label="Shorter"', page)
    assert "window=900&amp;window=1500" in link
    assert 'aria-label="Earlier"' in page and 'aria-label="Later"' in page


@pytest.mark.parametrize("asked", ["window=5", "window=9&window=3", "window=x&window=y", "at=-4"])
def test_nonsense_shows_it_all(client, study, asked):
    assert len(chart(client.get(f"{RUN}&{asked}").text)) == 3


def test_many_tasks_are_rows_of_groups_some_at_a_time(client, hut):
    hut.run({f"g{i}.{k}": "completed" for i in range(ROWS + 5) for k in range(3)})
    page = client.get(RUN).text
    assert ROWS * 3 > FEW and list(chart(page))[:2] == ["g0", "g1"] and len(chart(page)) == ROWS
    (more,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert len(chart(client.get(more.replace("&amp;", "&")).text)) == 5
    assert list(chart(client.get(f"{RUN}&find=g7.").text)) == ["g7.0", "g7.1", "g7.2"]
    assert len(chart(client.get(f"{RUN}&per=task").text)) == ROWS


def test_failures_are_marked_on_a_group_that_went_on(client, hut):
    hut.run({"s.a": "failed", "s.b": "completed", "x": "completed"})
    kinds = [bar[0] for bar in chart(client.get(f"{RUN}&per=group").text)["s"]]
    assert kinds == ["waited", "ran", "failed"]


def test_an_open_chart_is_told_of_changes(client, study):
    (asks,) = re.findall(r'<div id="live" hx-get="([^"]+)"', client.get(RUN).text)
    asks = asks.replace("&amp;", "&")
    assert client.get(asks).status_code == 204
    study.change("abcdefgh", "b", state=State.RUNNING, started_at=study.now)
    assert [bar[0] for bar in chart(client.get(asks).text)["b"]] == ["waited", "running"]


SPANS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)).map(lambda s: tuple(sorted(s))))


@given(SPANS, st.floats(0, 5e5), st.floats(1, 5e5))
def test_bars_stay_within_the_chart(spans, start, length):
    for bar in Window(start, start + length).bars("ran", spans):
        assert 0 <= bar.start <= 100 and 0 < bar.width <= 100 and bar.start + bar.width < 100.5


@given(SPANS)
def test_what_is_merged_covers_the_same_time_in_order(spans):
    found = merged(spans)
    assert all(a[1] < b[0] for a, b in pairwise(found))
    assert all(any(a <= s and e <= b for a, b in found) for s, e in spans)


@given(st.floats(0, 1e7), st.floats(1, 1e8))
def test_marks_of_time_are_few_and_in_their_places(start, length):
    ticks = Window(start, start + length).ticks()
    assert len(ticks) <= 10
    assert all(0 <= place < 97 for place, _ in ticks)


def test_a_short_run_is_marked_in_seconds(client, hut):
    hut.run({"a": "running"}, age=timedelta(seconds=40))
    page = client.get("/runs/abcdefgh?view=gantt").text
    marks = re.findall(r'data-clock="seconds">(\d\d:\d\d:\d\d)<', page)
    assert len(marks) > 2 and len(set(marks)) == len(marks)
