"""The list of runs, a run's page, and the pieces of it that change."""

import re
from datetime import datetime, timedelta

from sqlalchemy import update

from scripthut.core.states import State
from scripthut.store.models import Task, WatchRow
from scripthut.store.runs import group
from scripthut.store.versions import summary_changed
from scripthut.web.runs.page import PAGE
from scripthut.web.runs.table import CHUNK, NEWS, WHOLE

HTMX = {"HX-Request": "true", "HX-Source": "div#live", "HX-Target": "div#live"}
ACT = {"HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
RESTS = 'hx-trigger="ordered from:body"'  # it asks when a person ordered something


def live(page: str) -> str:
    """The address at which a page asks for news."""
    (url,) = re.findall(r'<div id="live" hx-get="([^"]+)"', page)
    return url.replace("&amp;", "&")


def test_a_newcomer_is_told_what_to_do_first(client, hut):
    page = client.get("/runs").text
    assert "Start your first run" in page
    assert "scripthut submit hello.json --backend cluster --server http://localhost/" in page


def test_runs_are_listed_newest_first_with_their_progress(client, hut):
    hut.run({"a": "completed"}, "aaaaaaaa", "first", timedelta(hours=2))
    hut.run({"a": "completed", "b": "running", "c": "failed"}, "bbbbbbbb", "second")
    page = client.get("/runs").text
    assert page.index("second") < page.index("first")
    assert 'aria-label="1 completed, 1 failed, 1 running"' in page
    assert 'class="is-failed" x="1" width="1"' in page
    assert page.count(">Cancel</a>") == 1


def test_running_tasks_count_by_what_they_say_they_have_done(client, hut):
    hut.run({"a": "completed", "b": "running", "c": "running", "d": "pending"})
    hut.change("abcdefgh", "b", progress=0.42, progress_text="fitting <fold> 3")
    page = client.get("/runs/abcdefgh").text
    assert ">35 %</dd>" in page
    assert '<rect class="is-running" x="1" width="0.42"' in page
    row = page[page.index(f'id="task-{hut.task_id("abcdefgh", "b")}"') :].partition("</tr>")[0]
    assert '<progress value="0.42"' in row
    assert "fitting &lt;fold&gt; 3" in row
    assert page.count("<progress") == 1
    run = client.get("/api/v1/runs/abcdefgh").json
    assert run["progress"] == 0.355
    assert run["tasks"][1]["progress_text"] == "fitting <fold> 3"


def test_a_task_that_ended_shows_no_progress(client, hut):
    hut.run({"a": "failed"})
    hut.change("abcdefgh", "a", progress=0.42)
    assert "<progress" not in client.get("/runs/abcdefgh").text


def test_news_of_a_summary_fetch_it_at_once_and_other_news_do_not(client, hut):
    hut.run({"a": "running"})
    asks = live(client.get("/runs/abcdefgh").text)
    hut.change("abcdefgh", "a", progress=0.5)
    news = client.get(asks, headers=HTMX).text
    assert "summary-poll" not in news
    hut.change("abcdefgh", "a", has_run_summary=True)
    with hut.database.writing() as session:
        summary_changed(session, "abcdefgh")
    assert "summary-poll" in client.get(live(news), headers=HTMX).text


def test_the_list_is_paged(client, hut):
    for i in range(PAGE + 3):
        hut.run(["a"], f"run{i:05d}", f"run {i}", timedelta(hours=100 - i))
    first = client.get("/runs").text
    assert len(re.findall(r'<tr id="run-', first)) == PAGE
    (older,) = re.findall(r'href="([^"]*before=[^"]*)"', first)
    second = client.get(older).text
    assert re.findall(r'<tr id="run-(\w+)"', second) == ["run00002", "run00001", "run00000"]
    assert 'id="live"' not in second


def test_the_list_answers_only_when_it_has_changed(client, hut):
    hut.run(["a"])
    asks = live(client.get("/runs").text)
    assert client.get(asks, headers=HTMX).status_code == 204
    hut.change("abcdefgh", "a", state=State.RUNNING)
    news = client.get(asks, headers=HTMX)
    assert news.status_code == 200 and 'data-state="running"' in news.text
    assert client.get(live(news.text), headers=HTMX).status_code == 204


def test_a_name_that_is_markup_is_shown_as_text(client, hut):
    hut.run({"a": "running"}, name="<script>alert(1)</script><hx-partial hx-target='body'>")
    hut.change("abcdefgh", "a", reason="<img src=x onerror=alert(1)>")
    for path in (
        "/",
        "/runs",
        "/runs/abcdefgh",
        "/runs/abcdefgh/tasks/a",
        "/runs/abcdefgh/changes",
    ):
        page = client.get(path).text
        assert "<script>alert" not in page and "<img src=x" not in page
        assert "<hx-partial hx-target='body'" not in page


def test_tasks_are_grouped_by_what_stands_before_the_last_dot(client, hut):
    hut.run(["prepare", "sim.a.1", "sim.a.2", "sim.b", "check", "sim.c", "report"])
    page = client.get("/runs/abcdefgh").text
    assert re.findall(r'class="fold"[^>]*>([^<]+)<', page) == ["sim.a", "sim"]
    shown = re.findall(r'href="/runs/abcdefgh/tasks/([^"/]+)"', page)
    assert shown == ["prepare", "sim.a.1", "sim.a.2", "sim.b", "sim.c", "check", "report"]


def test_tasks_without_a_dot_keep_their_place_between_groups():
    rows = [(i, i, key, State.PENDING) for i, key in enumerate(["a", "b", "x.1", "c", "x.2", "d"])]
    assert [(g.prefix, g.ids) for g in group(rows)] == [("", (0, 1)), ("x", (2, 4)), ("", (3, 5))]


def test_a_row_says_all_that_a_task_is(client, hut):
    hut.run({"a": "running", "b": "queued"})
    hut.change("abcdefgh", "a", name="Fit the model")
    hut.change("abcdefgh", "b", reason="Waits for resources (Resources)")
    page = client.get("/runs/abcdefgh").text
    for words in ("Fit the model", ">1000<", "2 cpus · 4.0 GiB · 1h 00m", "Waits for resources"):
        assert words in page
    assert 'class="state" data-state="running">running<' in page


def test_what_can_never_start_is_a_warning(client, hut) -> None:
    hut.run(["a", "b"])
    hut.change("abcdefgh", "a", state=State.QUEUED, reason="Waits for free resources")
    never = "Can never start: its time limit is longer than the partition allows"
    hut.change("abcdefgh", "b", state=State.QUEUED, reason=never)
    page = client.get("/runs/abcdefgh").text
    assert f'<span class="reason" data-warns>{never}</span>' in page
    assert '<span class="reason" title="Waits for free resources">' in page


def test_a_page_with_no_news_is_answered_by_204(client, hut):
    hut.run({"a": "running"})
    asks = live(client.get("/runs/abcdefgh").text)
    answer = client.get(asks, headers=HTMX)
    assert (answer.status_code, answer.data) == (204, b"")


def test_news_are_the_changed_rows_alone(client, hut):
    hut.run({"x.a": "running", "x.b": "pending", "y.c": "pending"})
    asks = live(client.get("/runs/abcdefgh").text)
    hut.change("abcdefgh", "x.b", state=State.RUNNING)
    news = client.get(asks, headers=HTMX).text
    rows = re.findall(r'<tr id="task-(\d+)"', news)
    assert rows == [str(hut.task_id("abcdefgh", "x.b"))]
    assert 'id="group-0"' in news and 'id="group-2"' not in news
    assert 'id="run-head"' in news
    assert client.get(live(news), headers=HTMX).status_code == 204


def test_a_silent_backend_is_said_since_when_and_why(client, hut):
    hut.run({"a": "running"})
    asks = live(client.get("/runs/abcdefgh").text)
    at = "2026-01-02T03:04:05Z"
    hut.backend(failing_since=datetime.fromisoformat(at), message="ssh: connection refused")
    news = client.get(asks, headers=HTMX).text
    assert f'has not answered since <time datetime="{at}"' in news
    assert "ssh: connection refused" in news and "Nothing is concluded meanwhile" in news
    hut.backend(failing_since=None, message=None)
    assert "has not answered" not in client.get(live(news), headers=HTMX).text


def test_it_is_said_when_no_engine_acts(client, hut):
    hut.run({"a": "running"})
    hut.engine(is_acting=False)
    assert "No engine is acting" in client.get("/runs/abcdefgh").text


def test_a_run_that_is_over_stops_asking(client, hut):
    hut.run({"a": "running"})
    page = client.get("/runs/abcdefgh").text
    assert 'hx-trigger="load, every 30s"' in page
    asks = live(page)
    hut.end("abcdefgh")
    news = client.get(asks, headers=HTMX).text
    assert RESTS in news
    assert 'hx-target="#summary-poll"' in news  # one last refresh of the summary
    assert "every" not in news
    page = client.get("/runs/abcdefgh").text
    assert RESTS in page and 'hx-trigger="load"' in page


def test_a_page_goes_on_asking_until_the_outputs_are_collected(client, hut):
    hut.run({"a": "completed"})
    hut.change("abcdefgh", "a", collected_at=None)
    asks = live(client.get("/runs/abcdefgh").text)
    assert client.get(asks, headers=HTMX).status_code == 204
    with hut.database.writing() as session:  # nothing that the page shows is changed by it
        session.execute(update(Task).values(collected_at=hut.now))
    assert RESTS in client.get(asks, headers=HTMX).text


def test_an_open_page_is_noted_for_the_engine(client, hut):
    hut.run({"a": "running"})
    client.get("/runs/abcdefgh")
    with hut.database.reading() as session:
        assert session.get(WatchRow, ("abcdefgh", 0, "run")) is not None


def test_many_tasks_come_folded_and_a_group_comes_when_it_is_opened(client, hut):
    hut.run({f"sim.{i}": "pending" for i in range(WHOLE + 1)})
    page = client.get("/runs/abcdefgh").text
    assert "<tr id=" not in page and 'aria-expanded="false"' in page
    rows = client.get("/runs/abcdefgh/groups/0").text
    assert len(re.findall(r"<tr id=", rows)) == CHUNK
    assert '<input type="hidden" name="open" value="0">' in rows
    pages = [rows]
    while more := re.search(r'hx-get="([^"]+groups/0[^"]+)"', pages[-1]):
        pages.append(client.get(more[1].replace("&amp;", "&")).text)
    assert sum(len(re.findall(r"<tr id=", p)) for p in pages) == WHOLE + 1


def test_changes_of_folded_groups_come_as_counts_alone(client, hut):
    hut.run({f"sim.{i}": "pending" for i in range(WHOLE + 1)})
    asks = live(client.get("/runs/abcdefgh").text)
    hut.change("abcdefgh", "sim.7", state=State.RUNNING)
    folded, opened = client.get(asks).text, client.get(f"{asks}&open=0").text
    assert "<tr id=" not in folded and "<b>1</b> running" in folded
    assert len(re.findall("<tr id=", opened)) == 1


def test_very_many_changes_arrive_piece_by_piece_and_completely(client, hut):
    count = NEWS * 2 + 5
    hut.run({f"sim.{i}": "pending" for i in range(count)})
    asks = live(client.get("/runs/abcdefgh").text) + "&open=0"
    hut.end("abcdefgh")
    seen: list[str] = []
    while True:
        news = client.get(asks).text
        seen += re.findall(r'<tr id="task-(\d+)"', news)
        if RESTS in news:
            break
        assert "load delay" in news
        asks = live(news) + "&open=0"
    assert len(seen) == len(set(seen)) == count


def test_many_groups_come_some_at_a_time(client, hut):
    hut.run({f"s{i}.{part}": "pending" for i in range(CHUNK + 50) for part in "ab"})
    page = client.get("/runs/abcdefgh").text
    assert page.count('class="fold"') == CHUNK
    (more,) = re.findall(r'hx-get="([^"]+/groups\?[^"]+)"', page)
    rest = client.get(more).text
    assert rest.count('class="fold"') == 50 and "More groups" not in rest


def test_a_large_run_is_a_small_page(client, hut):
    hut.run({f"sim.{i % 40}.{i}": "pending" for i in range(10_000)})
    assert len(client.get("/runs/abcdefgh").data) < 150_000


def test_the_largest_run_shown_whole_is_a_small_page_too(client, hut):
    hut.run({f"simulation.{i}": "running" for i in range(WHOLE)})
    assert len(client.get("/runs/abcdefgh").data) < 160_000


def test_cancelling_a_run_by_a_plain_form_leads_back_to_its_page(client, hut):
    hut.run({"a": "running", "b": "pending"})
    response = client.post("/runs/abcdefgh/cancel", headers={"Sec-Fetch-Site": "same-origin"})
    assert (response.status_code, response.location) == (303, "/runs/abcdefgh")
    page = client.get("/runs/abcdefgh").text
    assert page.count("cancelling…") == 2  # the run and its live task; the pending one is cancelled
    assert 'data-state="cancelled"' in page and "Cancel run" not in page


def test_cancelling_a_run_tells_the_open_page_to_ask(client, hut):
    hut.run({"a": "running", "b": "pending"})
    asks = live(client.get("/runs/abcdefgh").text)
    response = client.post("/runs/abcdefgh/cancel", headers=ACT)
    assert response.headers["HX-Trigger"] == "ordered" and "<html" not in response.text
    assert "Cancelling 2 tasks of study" in response.text
    assert "cancelling…" in client.get(asks, headers=HTMX).text


def test_fragments_render_alone(client, hut):
    hut.run({"x.a": "running"})
    for path in ("changes", "groups", "groups/0", "tasks/x.a/detail/details"):
        fragment = client.get(f"/runs/abcdefgh/{path}", headers=HTMX)
        assert fragment.status_code == 200
        assert "<html" not in fragment.text
