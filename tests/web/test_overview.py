"""The first page: what needs a person, what runs, what ended, and what was spent."""

import re
from datetime import timedelta

from sqlalchemy import update

from scripthut.core.states import State
from scripthut.store import usage
from scripthut.store.models import Run, Task

HTMX = {"HX-Request": "true"}


def section(page: str, name: str) -> str:
    return page[page.index(f'id="{name}-title"') :].partition("</section>")[0]


def live(page: str) -> str:
    (url,) = re.findall(r'<div id="live" hx-get="([^"]+)"', page)
    return url.replace("&amp;", "&")


def test_a_newcomer_is_told_what_to_do_first(client, hut):
    page = client.get("/").text
    assert "Start your first run" in page
    assert "scripthut submit hello.json --backend cluster --server http://localhost/" in page
    assert "CPU hours" not in page


def test_failures_come_first_each_with_the_way_to_its_cause(client, hut):
    hut.run({"a": "completed", "b": "failed"}, "aaaaaaaa", "broken")
    hut.run({"a": "running", "b": "failed"}, "bbbbbbbb", "breaking")
    hut.run({"a": "completed"}, "cccccccc", "well")
    page = client.get("/").text
    needs = section(page, "needs")
    assert 'href="/runs/aaaaaaaa/tasks/b"' in needs and 'href="/runs/bbbbbbbb/tasks/b"' in needs
    assert "well" not in needs and page.index("Needs you") < page.index("Running now")
    assert "breaking" in section(page, "now") and "broken" in section(page, "ended")
    assert "well" in section(page, "ended")


def test_a_run_that_is_stalled_needs_a_person(client, hut):
    hut.run({"a": "lost", "b": "pending"})
    assert "lost" in section(client.get("/").text, "needs")


def test_an_old_failure_no_longer_asks(client, hut):
    hut.run({"a": "failed"})
    with hut.database.writing() as session:
        session.execute(update(Run).values(ended_at=hut.now - timedelta(days=9)))
    assert "Needs you" not in client.get("/").text


def test_each_backend_has_a_line(client, hut):
    hut.run({"a": "running"})
    hut.backend(failing_since=hut.now, message="ssh: connection refused")
    page = client.get("/").text
    assert "ssh: connection refused" in page and 'data-state="silent"' in page
    hut.engine(is_acting=False)
    assert "No engine is acting" in client.get("/").text


def test_only_news_are_answered(client, hut):
    hut.run({"a": "running"})
    asks = live(client.get("/").text)
    assert client.get(asks, headers=HTMX).status_code == 204
    hut.change("abcdefgh", "a", state=State.FAILED)
    news = client.get(asks, headers=HTMX)
    assert "Needs you" in news.text and "<html" not in news.text and "level-" not in news.text
    assert client.get(live(news.text), headers=HTMX).status_code == 204


def test_what_was_spent_is_drawn_and_told(client, hut):
    hut.run({"a": "completed"}, name="climate/daily")
    with hut.database.writing() as session:
        task = session.query(Task).one()
        task.started_at, task.finished_at = hut.now - timedelta(hours=3), hut.now
        usage.spend(session, task)  # of two CPUs
    page = client.get("/").text
    year, day = section(page, "year"), section(page, "day")
    assert "6.0 CPU hours on " in year and year.count("<rect") > 365
    assert "climate" in day and "6.0 CPU hours" in day and 'class="source-0"' in day
    assert '<table class="plain">' in year and '<table class="plain">' in day
    assert "6.0 CPU hours</dd>" in client.get("/runs/abcdefgh").text


def test_the_list_that_was_here_is_found_where_it_went(client, hut):
    answer = client.get("/?before=abcdefgh")
    assert (answer.status_code, answer.location) == (301, "/runs?before=abcdefgh")


def test_a_run_says_how_long_it_will_take(client, hut):
    hut.run({f"t.{i}": "completed" if i < 5 else "pending" for i in range(10)})
    page = client.get("/runs/abcdefgh").text
    assert re.search(r">\d+m \d\ds, until <time", page)
    hut.run({"a": "running", "b": "pending"}, "bbbbbbbb")
    page = client.get("/runs/bbbbbbbb").text
    assert '<dt>Left, about</dt><dd class="quiet">not known yet</dd>' in page


def test_runs_are_found_by_words_and_backend(client, hut):
    for i, name in enumerate(("climate/daily", "climate/100%", "genomes")):
        hut.run(["a"], f"run{i:05d}", name)

    def found(asked: str) -> list[str]:
        return sorted(re.findall(r'<tr id="run-(\w+)"', client.get(f"/runs?{asked}").text))

    assert found("find=CLIMATE") == ["run00000", "run00001"]
    assert found("find=100%25") == ["run00001"]
    assert found("find=daily+run0") == ["run00000"]
    assert found("backend=cluster&find=gen") == ["run00002"]
    assert found("find=nothing") == []
    assert "No run is like this" in client.get("/runs?find=nothing").text
    asks = live(client.get("/runs?find=gen").text)
    assert "find=gen" in asks and client.get(asks, headers=HTMX).status_code == 204
