"""The tasks of a run as a table: searched, filtered, sorted, and what an open one must learn."""

import re
from datetime import timedelta

import pytest

from scripthut.core.states import State
from scripthut.web.runs.table import CHUNK

RUN = "/runs/abcdefgh"
VIEW = {"HX-Request": "true", "HX-Target": "div#task-view"}


def rows(html: str) -> list[str]:
    return re.findall(
        r'<tr id="task-\d+"><td class="wide"><a href="/runs/abcdefgh/tasks/([^"?]+)', html
    )


def live(html: str) -> str:
    """The address at which the page asks for news, with what it would include of its table."""
    (url,) = re.findall(r'<div id="live" hx-get="([^"]+)"', html)
    names = re.findall(r'<input type="hidden" name="(rows|listed)" value="([^"]+)"', html)
    return url.replace("&amp;", "&") + "".join(f"&{name}={value}" for name, value in names)


@pytest.fixture
def study(hut):
    hut.run({"prep": "completed", "sim.a": "failed", "sim.b": "running", "sim.c": "failed"})
    hut.change("abcdefgh", "sim.a", reason="Ended with exit code 3", node="n042", name="Fit A")
    hut.change("abcdefgh", "sim.c", started_at=hut.now - timedelta(hours=9))
    return hut


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("find=sim", ["sim.a", "sim.b", "sim.c"]),
        ("find=SIM.B", ["sim.b"]),
        ("find=fit", ["sim.a"]),
        ("find=n042", ["sim.a"]),
        ("find=exit+sim", ["sim.a"]),
        ("find=100_%25", []),
        ("state=failed", ["sim.a", "sim.c"]),
        ("state=failed&state=running", ["sim.a", "sim.b", "sim.c"]),
        ("state=failed&find=c", ["sim.a", "sim.c"]),
        ("by=-task", ["sim.c", "sim.b", "sim.a", "prep"]),
        ("by=state", ["sim.a", "sim.c", "sim.b", "prep"]),
        ("by=-elapsed&state=failed", ["sim.c", "sim.a"]),
    ],
)
def test_a_table_shows_what_its_address_asks_for(client, study, asked, found):
    assert rows(client.get(f"{RUN}?{asked}").text) == found


@pytest.mark.parametrize("asked", ["state=nonsense", "by=--task", "by=drop", "view=x", "find=+"])
def test_an_address_that_asks_for_nonsense_shows_the_groups(client, study, asked):
    page = client.get(f"{RUN}?{asked}")
    assert page.status_code == 200 and 'class="fold"' in page.text


def test_what_is_found_is_counted_and_nothing_is_said_too(client, study):
    assert "2 of 4 tasks" in client.get(f"{RUN}?state=failed").text
    assert "No task is like this." in client.get(f"{RUN}?find=nowhere").text


def test_links_keep_the_search_in_the_address(client, study):
    page = client.get(f"{RUN}?state=failed&by=-elapsed").text
    assert 'href="/runs/abcdefgh/tasks/sim.c?state=failed&amp;by=-elapsed"' in page
    panel = client.get(f"{RUN}/tasks/sim.c?tab=error&state=failed").text
    assert 'href="/runs/abcdefgh/tasks/sim.c?tab=script&amp;state=failed"' in panel
    assert re.search(r'class="close" href="/runs/abcdefgh\?state=failed"', panel)


def test_another_view_comes_alone_and_says_its_address(client, study):
    answer = client.get(f"{RUN}?find=sim&state=failed&by=", headers=VIEW)
    assert rows(answer.text) == ["sim.a", "sim.c"] and "<html" not in answer.text
    assert answer.headers["HX-Push-Url"] == f"{RUN}?find=sim&state=failed"
    assert '<hx-partial hx-target="#live"' in answer.text


def test_typing_replaces_the_address_and_an_open_task_stays_in_it(client, study):
    typing = {**VIEW, "HX-Source": "input#task-find"}
    task = study.task_id("abcdefgh", "sim.a")
    answer = client.get(f"{RUN}?find=sim&task={task}&tab=error", headers=typing)
    assert answer.headers["HX-Replace-Url"] == f"{RUN}/tasks/sim.a?tab=error&find=sim"
    assert f'hx-target="#task-tabs-{task}"' in answer.text


def test_news_of_a_search_are_the_changed_rows_alone(client, study):
    asks = live(client.get(f"{RUN}?find=sim").text)
    study.change("abcdefgh", "sim.b", state=State.QUEUED)
    study.change("abcdefgh", "prep", name="Prepare")
    news = client.get(asks).text
    assert rows(news) == ["sim.b"] and 'hx-target="#listed"' not in news


def test_a_task_that_is_no_longer_like_that_leaves_the_list(client, study):
    asks = live(client.get(f"{RUN}?state=failed&state=running").text)
    study.change("abcdefgh", "sim.b", state=State.COMPLETED)
    news = client.get(asks).text
    assert 'hx-target="#listed"' in news and rows(news) == ["sim.a", "sim.c"]
    assert "2 of 4 tasks" in news


def test_an_empty_list_learns_of_its_first_task(client, study):
    asks = live(client.get(f"{RUN}?state=queued").text)
    study.change("abcdefgh", "sim.b", state=State.QUEUED)
    assert rows(client.get(asks).text) == ["sim.b"]


def test_a_long_list_comes_some_rows_at_a_time_and_all_of_them_stay_live(client, hut):
    hut.run({f"t.{i:03d}": "pending" for i in range(CHUNK + 30)})
    page = client.get(f"{RUN}?find=t.").text
    (more,) = re.findall(r'hx-get="([^"]+/listed\?[^"]+)"', page)
    rest = client.get(more.replace("&amp;", "&")).text
    assert len(rows(page)) == CHUNK and len(rows(rest)) == 30 and "/listed?" not in rest
    hut.change("abcdefgh", f"t.{CHUNK + 20}", reason="Waits")
    assert rows(client.get(live(page + rest)).text) == [f"t.{CHUNK + 20}"]


def test_failures_are_one_step_away(client, study):
    def leads(page: str) -> dict[str, str]:
        return dict(re.findall(r'data-key="([fnp])" href="/runs/abcdefgh/tasks/([^"?]+)', page))

    assert leads(client.get(RUN).text) == {"f": "sim.a"}
    assert leads(client.get(f"{RUN}/tasks/sim.a").text) == {"f": "sim.a", "n": "sim.c"}
    assert leads(client.get(f"{RUN}/tasks/sim.b").text) == {
        "f": "sim.a",
        "p": "sim.a",
        "n": "sim.c",
    }
    assert 'tasks/sim.c?tab=error"' in client.get(f"{RUN}/tasks/sim.a?tab=error").text


def test_a_run_without_a_failure_leads_to_none(client, hut):
    hut.run({"a": "completed"})
    assert "First failure" not in client.get(RUN).text


def test_of_ten_thousand_tasks_a_page_of_what_is_found_is_shown(client, hut):
    hut.run({f"sim.{i % 40}.{i}": "failed" if i % 97 == 0 else "pending" for i in range(10_000)})
    asked = f"{RUN}?find=7&state=failed&by=-elapsed"
    page = client.get(asked, headers=VIEW)
    assert 'class="state' in page.text
    assert len(page.data) < 256 * 1024, "what is shown does not grow with the run"
