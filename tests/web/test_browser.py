"""The pages in a real browser: what is live, what is kept, what fits."""

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from scripthut.core.jobs import Area
from scripthut.core.markdown import policy
from scripthut.core.states import State
from scripthut.store.files.kept import Kept
from scripthut.store.models import Output
from scripthut.store.versions import summary_changed
from tests.serving import until
from tests.web.conftest import SOON

pytestmark = pytest.mark.browser

DETAILS = "<p>{}</p><details><summary>More</summary><p>inside</p></details>"


@pytest.fixture
def writes(app: Flask, hut) -> Callable[..., None]:
    """Keep a document of a task, as the engine would after collecting it."""
    kept: Kept = app.extensions["kept"]

    def write(key: str, html: str, area: Area = Area.OUTPUT, raw: bytes = b"task-summary.md"):
        sha = kept.put(html.encode())
        name = policy.key(sha, "")
        kept.put_as(name, html.encode())
        task_id = hut.task_id("abcdefgh", key)
        with hut.database.writing() as session:
            rows = session.query(Output).filter_by(task_id=task_id, area=area, raw=raw)
            known = next((row.id for row in rows), None)  # which stays, as it does in the engine
            rows.delete()
        hut.add(
            Output(
                id=known, task_id=task_id, area=area, raw=raw, path=raw.decode(), size=len(html),
                mtime_ns=1, kind="markdown", sha256=sha, html=name,
            )
        )  # fmt: skip
        hut.change("abcdefgh", key, **{
            "has_outputs" if area is Area.OUTPUT else "has_run_summary": True
        })  # fmt: skip

    return write


def row(page: Page, key: str):
    return page.locator("#tasks tr", has=page.get_by_role("link", name=key, exact=True))


def test_a_row_changes_by_itself_and_the_run_stops_asking_when_it_is_over(page, hut):
    hut.run({"sim.1": "running", "sim.2": "pending"})
    page.goto("/runs/abcdefgh")
    expect(row(page, "sim.2").locator(".state")).to_have_text("pending")
    hut.change("abcdefgh", "sim.2", state=State.RUNNING, reason="on node n1")
    expect(row(page, "sim.2").locator(".state")).to_have_text("running", timeout=SOON)
    expect(page.locator("#group-0")).to_contain_text("2 running")
    hut.end("abcdefgh")
    expect(page.locator("#run-head .state")).to_have_text("completed", timeout=SOON)
    expect(page.locator('#live[hx-trigger*="every"]')).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4_500)  # longer than two rounds of asking: nothing may be asked
    assert asked == []


def test_a_click_opens_a_task_and_the_address_leads_back_to_it(page, hut):
    hut.run({"a": "failed", "b": "running"})
    page.goto("/runs/abcdefgh")
    page.get_by_role("link", name="a", exact=True).click()
    expect(page.locator("#panel h2")).to_have_text("a")
    expect(page).to_have_url("/runs/abcdefgh/tasks/a")
    page.get_by_role("link", name="Script", exact=True).click()
    expect(page.locator("#task-script")).to_contain_text("echo hello")
    page.reload()
    expect(page.locator("#task-script")).to_contain_text("echo hello")
    page.get_by_role("link", name="Close a").click()
    expect(page.locator("#panel .panel")).to_have_count(0)
    expect(page).to_have_url("/runs/abcdefgh")
    page.go_back()
    expect(page.locator("#task-script")).to_be_visible()


def test_an_open_panel_follows_its_task(page, hut):
    hut.run({"a": "running"})
    page.goto("/runs/abcdefgh/tasks/a")
    hut.event("abcdefgh", "a", "exited_bad", "failed")
    hut.change("abcdefgh", "a", state=State.FAILED, exit_code=7, reason="Ended with exit code 7")
    expect(page.locator(".panel-head .state")).to_have_text("failed", timeout=SOON)
    expect(page.locator(".panel-head")).to_contain_text("Ended with exit code 7")
    expect(page.locator(".history")).to_contain_text("failed")


def test_the_outputs_tab_appears_and_loads_when_it_is_opened(page, hut, writes):
    hut.run({"a": "running"})
    page.goto("/runs/abcdefgh/tasks/a")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tab = page.get_by_role("link", name="Outputs", exact=True)
    expect(tab).to_have_count(0)
    writes("a", "<h1>Result</h1><script>document.title = 'ran'</script>")
    expect(tab).to_be_visible(timeout=SOON)
    assert not any("detail/outputs" in url for url in asked)
    tab.click()
    expect(page.locator("hut-html h1")).to_have_text("Result")
    assert page.title() != "ran"


def test_a_refresh_of_the_summary_keeps_open_details_and_the_place(page, hut, writes):
    hut.run({"a": "running", "b": "running"})
    writes("a", DETAILS.format("first") + "<p>line</p>" * 100, Area.FRAGMENT, b"a.md")
    page.goto("/runs/abcdefgh")
    page.locator("#summary summary").click()
    page.mouse.wheel(0, 300)
    until(lambda: page.evaluate("scrollY") > 200)  # waiting in the page would need its eval
    before = page.evaluate("scrollY")
    writes("a", DETAILS.format("second") + "<p>line</p>" * 100, Area.FRAGMENT, b"a.md")
    page.evaluate("htmx.trigger(document.getElementById('summary-poll'), 'every')")
    expect(page.locator("#summary")).to_contain_text("second")
    assert page.locator("#summary details").evaluate("d => d.open") is True
    assert abs(page.evaluate("scrollY") - before) < 5


def test_news_of_a_summary_are_on_the_open_page_with_the_next_question(page, hut, writes):
    hut.run({"a": "running", "b": "running"})
    writes("a", DETAILS.format("first") + "<p>line</p>" * 100, Area.FRAGMENT, b"a.md")
    page.goto("/runs/abcdefgh")
    page.locator("#summary summary").click()
    page.mouse.wheel(0, 300)
    until(lambda: page.evaluate("scrollY") > 200)  # waiting in the page would need its eval
    before = page.evaluate("scrollY")
    writes("a", DETAILS.format("second") + "<p>line</p>" * 100, Area.FRAGMENT, b"a.md")
    with hut.database.writing() as session:
        summary_changed(session, "abcdefgh")
    expect(page.locator("#summary")).to_contain_text("second", timeout=SOON)
    assert page.locator("#summary details").evaluate("d => d.open") is True
    assert abs(page.evaluate("scrollY") - before) < 5


def test_what_a_user_wrote_cannot_run_or_act(page, hut, writes, complaints):
    hut.run({"a": "running", "b": "pending"})
    evil = (
        "<img src=/nowhere onerror=\"document.title='ran'\">"
        "<button hx-post='/runs/abcdefgh/cancel' hx-trigger='load'>x</button>"
        "<div id='notice' hx-swap-oob='true'>forged</div>"
        "<hx-partial hx-target='h1'><b>forged</b></hx-partial>"
        "<iframe srcdoc='<script>parent.document.title=1</script>'></iframe>"
    )
    writes("a", evil, Area.FRAGMENT, b"a.md")
    page.goto("/runs/abcdefgh")
    expect(page.locator("#summary hut-html button")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.title().endswith(" — study · scripthut")
    expect(page.locator("#run-head h1")).to_have_text("study")
    expect(page.locator("body > .told > #notice")).to_have_text("")
    refused = [text for text in complaints if "Content Security Policy" in text]
    assert refused  # the second wall was needed, because these tests have no first one
    complaints[:] = [text for text in complaints if text not in refused and "404" not in text]
    expect(row(page, "b").locator(".state")).to_have_text("pending")


def test_a_log_grows_and_follows_its_end(page, hut, app):
    hut.run({"a": "running"})
    kept = app.extensions["kept"]
    first = b"".join(b"line %d\n" % i for i in range(200))
    kept.append_log("abcdefgh.0.1", "output", 0, first)
    page.goto("/runs/abcdefgh/tasks/a?tab=output")
    log = page.locator("#log")
    expect(log).to_contain_text("line 199")
    at_end = "log => log.scrollHeight - log.scrollTop - log.clientHeight < 5"
    assert log.evaluate(at_end)
    kept.append_log("abcdefgh.0.1", "output", len(first), b"\x1b[1mnews\x1b[0m\n" * 50)
    expect(log).to_contain_text("news\nnews", timeout=SOON)
    expect(log.locator(".bold").first).to_have_text("news")
    assert log.evaluate(at_end)
    assert log.evaluate("log => log.textContent").startswith("line 0\n")
    log.evaluate("log => { log.scrollTop = 0 }")
    kept.append_log("abcdefgh.0.1", "output", len(first) + 650, b"later\n")
    expect(log).to_contain_text("later", timeout=SOON)
    assert log.evaluate("log => log.scrollTop") == 0


def test_cancelling_a_task_asks_first_and_shows_that_it_is_under_way(page, hut):
    hut.run({"a": "running", "b": "running"})
    page.goto("/runs/abcdefgh")
    question = page.get_by_role("dialog", name="Cancel a?")
    page.get_by_role("link", name="Cancel a").press("Enter")
    expect(question.get_by_role("button", name="Let it go on")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(page.get_by_role("link", name="Cancel a")).to_be_focused()
    expect(page.locator(".cancelling")).to_have_count(0)
    page.get_by_role("link", name="Cancel a").click()
    question.get_by_role("button", name="Cancel the task").click()
    expect(page.locator("#toasts")).to_contain_text("Cancelling a")
    expect(row(page, "a")).to_contain_text("cancelling…")
    expect(row(page, "b")).not_to_contain_text("cancelling…")
    expect(page).to_have_url("/runs/abcdefgh")


def test_cancelling_a_run_works_without_scripts_too(browser, site, hut):
    hut.run({"a": "running"})
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/runs/abcdefgh")
    page.get_by_role("link", name="Cancel run").click()
    expect(page.get_by_role("main")).to_contain_text("1 task runs and has used")
    page.get_by_role("button", name="Cancel 1 task").click()
    expect(page).to_have_url("/runs/abcdefgh")
    expect(page.locator("#run-head")).to_contain_text("cancelling…")
    context.close()


def test_groups_fold_and_stay_folded(page, hut):
    hut.run({"sim.1": "running", "sim.2": "running"})
    page.goto("/runs/abcdefgh")
    fold = page.get_by_role("button", name="sim", exact=True)
    expect(row(page, "sim.1")).to_be_visible()
    fold.click()
    expect(row(page, "sim.1")).to_be_hidden()
    page.reload()
    expect(row(page, "sim.1")).to_be_hidden()
    hut.change("abcdefgh", "sim.2", state=State.COMPLETED)
    expect(page.locator("#group-0")).to_contain_text("1 completed", timeout=SOON)
    expect(row(page, "sim.1")).to_be_hidden()
    fold.click()
    expect(row(page, "sim.2").locator(".state")).to_have_text("completed")


def test_a_large_run_opens_group_by_group_and_stays_live(page, hut):
    hut.run({f"sim.{i}": "pending" for i in range(2_000)})
    page.goto("/runs/abcdefgh")
    assert page.locator("#tasks tr[id]").count() == 0
    page.get_by_role("button", name="sim", exact=True).click()
    expect(row(page, "sim.7")).to_be_visible()
    page.keyboard.press("End")
    expect(row(page, "sim.150")).to_be_attached()
    hut.change("abcdefgh", "sim.7", state=State.RUNNING)
    expect(row(page, "sim.7").locator(".state")).to_have_text("running", timeout=SOON)


@pytest.mark.parametrize(
    "path", ["/", "/runs", "/runs/abcdefgh", "/runs/abcdefgh/tasks/a", "/backends"]
)
def test_nothing_is_wider_than_a_phone(page, hut, path):
    name = "a-very-long-name-without-any-place-to-break-it-" * 3
    hut.run({"a": "failed", name: "running"}, name=name)
    hut.change("abcdefgh", "a", reason=f"/scratch/{name}: No space left on device", job_id="7" * 60)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("width", [360, 390])
@pytest.mark.parametrize("path", ["/", "/queue", "/disk", "/settings"])
def test_a_phone_shows_where_in_the_navigation_one_is(page, path, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    entry = page.locator(".top nav [aria-current]").bounding_box()
    nav, tools = page.locator(".top nav").bounding_box(), page.locator(".tools").bounding_box()
    assert nav["x"] - 1 <= entry["x"]
    assert entry["x"] + entry["width"] <= nav["x"] + nav["width"] + 1
    assert nav["x"] + nav["width"] <= tools["x"] and tools["x"] + tools["width"] <= width
    expect(page.get_by_role("button", name="Go to")).to_be_visible()


def test_a_refresh_leaves_a_reader_where_he_scrolled_to(page, hut):
    """The open task's row was scrolled to again with each."""
    tasks = {f"t{n:02}": "completed" for n in range(40)} | {"last": "running"}
    hut.run(tasks)
    page.set_viewport_size({"width": 1400, "height": 600})
    page.goto("/runs/abcdefgh/tasks/last")
    page.wait_for_function("scrollY > 0")
    page.evaluate("scrollTo(0, 0)")
    hut.change("abcdefgh", "last", state="completed")
    expect(row(page, "last").locator(".state")).to_have_text("completed", timeout=SOON)
    assert page.evaluate("scrollY") == 0
    assert page.locator("#sort-state").bounding_box()["height"] >= 24


def test_the_weekdays_stay_beside_the_map_of_the_year(page, hut):
    hut.run({"a": "completed"})
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/")
    card = page.locator("section:has(> .year-map)").bounding_box()
    for name in ("Mon", "Wed", "Fri"):
        box = page.locator(".year text", has_text=name).bounding_box()
        assert card["x"] <= box["x"] and box["width"] > 10
        map_ = page.locator(".year-map .scrolls").bounding_box()
        assert box["x"] + box["width"] <= map_["x"]


def test_colours_follow_the_system(page, hut):
    hut.run({"a": "running"})
    page.goto("/")
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(shade) > 200
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(shade) < 50


def test_times_are_local_and_their_titles_utc(browser, site, hut):
    hut.run({"a": "completed"})
    context = browser.new_context(base_url=site, timezone_id="Asia/Tokyo", locale="en-GB")
    page = context.new_page()
    page.goto("/runs")
    created = page.locator("td time")
    utc = created.get_attribute("title")
    assert utc == created.get_attribute("datetime")
    assert utc is not None and utc.endswith("Z")
    tokyo = f"{(int(utc[11:13]) + 9) % 24:02d}:{utc[14:16]}"
    assert tokyo in created.inner_text()
    context.close()


def test_a_server_that_is_gone_is_said_and_forgiven(page, hut, complaints):
    hut.run({"a": "running"})
    page.goto("/runs/abcdefgh")
    page.route("**/changes**", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    lost = page.locator("#lost")
    expect(lost).to_be_visible(timeout=SOON)
    expect(page.locator("#live")).to_have_count(1)
    assert "Bad Gateway" not in page.inner_text("body")
    page.unroute("**/changes**")
    expect(lost).to_be_hidden(timeout=SOON)
    complaints[:] = [text for text in complaints if "502" not in text]


def test_the_keyboard_reaches_a_task_and_its_parts(page, hut):
    hut.run({"a": "running"})
    page.goto("/runs/abcdefgh")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_role("link", name="a", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("a")
    page.get_by_role("link", name="Output", exact=True).press("Enter")
    expect(page.locator("#log")).to_be_visible()


def test_the_tab_says_how_a_run_stands(page, hut):
    hut.run({"a": "running", "b": "pending", "c": "failed"})
    page.goto("/runs/abcdefgh")
    expect(page).to_have_title("▶1 ◷1 ✕1 — study · scripthut")
    hut.change("abcdefgh", "a", state=State.COMPLETED)
    expect(page).to_have_title("◷1 ✓1 ✕1 — study · scripthut", timeout=SOON)
