"""The palette answers what a few letters may mean; news say what has just happened."""

import re

import pytest

from scripthut.core.states import State
from scripthut.store.models import EventRow

HERE = {
    "HX-Request": "true",
    "HX-Current-URL": "http://localhost/runs/abcdefgh/tasks/fit?tab=script",
}


def found(html: str) -> list[tuple[str, str]]:
    """Kind and address of what was found, in order."""
    entries = re.findall(r'<li role="option".*?</li>', html, re.DOTALL)
    where = re.compile(r'(?:href|action)="([^"]+)".*?class="kind">(\w+)<', re.DOTALL)
    return [(kind, address) for entry in entries for address, kind in where.findall(entry)]


@pytest.fixture
def study(hut):
    hut.run({"a": "completed"}, "zzzzzzzz", "other")
    hut.run({"fit": "failed", "plot.1": "completed"})
    return hut


def test_letters_find_tasks_runs_and_pages(client, study):
    page = client.get("/palette?find=plot", headers=HERE).text
    assert found(page)[0] == ("task", "/runs/abcdefgh/tasks/plot.1")
    assert ("run", "/runs/zzzzzzzz") in found(client.get("/palette?find=OTH", headers=HERE).text)
    assert ("page", "/backends") in found(client.get("/palette?find=backe").text)
    assert "Nothing is called that" in client.get("/palette?find=qqqq").text


def test_without_letters_it_offers_what_this_page_can_do(client, study):
    kinds = dict(found(client.get("/palette", headers=HERE).text))
    assert {"view", "go", "get", "do", "page", "run"} == set(kinds)
    assert kinds["do"] == "/runs/abcdefgh/ask/rerun"
    assert "do" not in dict(found(client.get("/palette").text))


def test_files_of_the_run_are_found_by_their_paths(client, study, keep):
    row = keep("plots/loss curve.svg", b"<svg/>")
    address = f"/runs/abcdefgh/tasks/fit/outputs/view/{row}"
    assert ("file", address) in found(client.get("/palette?find=curve", headers=HERE).text)
    assert "file" not in dict(found(client.get("/palette?find=curve").text))


def test_a_name_that_is_markup_stays_text(client, hut):
    hut.run({"a": "running"}, name="<script>x</script>")
    assert "<script>x" not in client.get("/palette?find=script").text


def test_of_ten_thousand_tasks_a_few_are_found(client, hut):
    hut.run({f"sim.{i}": "pending" for i in range(10_000)})
    names = [name for kind, name in found(client.get("/palette?find=sim.99", headers=HERE).text)]
    assert any("sim.99" in name for name in names)
    assert len(names) < 100, "what is shown does not grow with the run"


def news(client, since):
    return client.get(f"/news?since={since}")


def ends(hut, key, state):
    hut.change("abcdefgh", key, state=State(state), finished_at=hut.now)
    task_id = hut.task_id("abcdefgh", key)
    event = EventRow(run_id="abcdefgh", task_id=task_id, at=hut.now, what="x", old="running")
    event.new = state
    hut.add(event)


def test_a_page_is_told_of_failures_and_of_the_end_of_a_run(client, hut):
    hut.run(dict.fromkeys("abcdef", "running"), name="study")
    first = client.get("/news").text
    assert "toast" not in first
    assert news(client, 0).status_code == 204
    ends(hut, "a", "completed")
    assert "toast" not in news(client, 0).text
    for key in "bcde":
        ends(hut, key, "failed")
    told = news(client, 1).text
    assert "4 tasks failed in study" in told and "b, c, d and 1 more" in told
    assert 'href="/runs/abcdefgh/tasks/b"' in told and "study: " not in told
    ends(hut, "f", "completed")
    last = news(client, 5).text
    assert "study: failed" in last and "tasks failed" not in last
    assert news(client, 6).status_code == 204


def test_where_tasks_are_found_is_said_where_they_are_not(client, hut):
    hut.run(["a"])
    hint = "found from the page of their run"
    assert hint in client.get("/palette?find=x", headers={"HX-Current-URL": "/runs"}).text
    here = {"HX-Current-URL": "http://localhost/runs/abcdefgh"}
    assert hint not in client.get("/palette?find=x", headers=here).text
