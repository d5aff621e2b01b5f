"""What people come for, from its beginning to its end, on a desk and on a phone."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from scripthut.core.measures.metrics import Metrics
from scripthut.core.states import State
from scripthut.store import metrics
from scripthut.store.models import Task
from tests.web.conftest import SOON

pytestmark = pytest.mark.browser
DESK, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def window(request, page):
    page.set_viewport_size(request.param)
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= request.param["width"]


@pytest.fixture
def study(hut, app):
    hut.run({"prep": "completed", "sim.a": "failed", "sim.b": "running", "end": "pending"})
    log = b"reading\n" * 500 + b"\x1b[31mMemoryError\x1b[0m\n" + b"bye\n" * 300
    app.extensions["kept"].append_log("abcdefgh.1.1", "error", 0, log)
    return hut


def test_a_first_visit_says_what_to_do(window, hut):
    window.goto("/")
    expect(window.get_by_role("heading", name="Start your first run")).to_be_visible()
    hut.run({"hello": "running"}, name="hello")
    expect(window.get_by_role("link", name="hello").first).to_be_visible(timeout=SOON)


def test_from_the_first_page_to_the_line_that_says_why_and_a_new_attempt(window, study):
    window.goto("/")
    window.get_by_role("link", name="Why sim.a").click()
    expect(window.get_by_role("heading", name="Why it failed")).to_be_visible()
    window.locator(".why").get_by_role("link", name="error log").click()
    window.get_by_role("link", name="First error").click()
    expect(window.locator("#log .is-marked")).to_have_text("MemoryError\n")
    expect(window.locator("#log .is-marked")).to_be_in_viewport()
    window.get_by_role("link", name="Details", exact=True).click()
    window.get_by_role("link", name="Try again").click()
    window.get_by_role("dialog").get_by_role("button", name="Try again").click()
    expect(window.locator(".panel-head .state")).to_have_text("pending")
    expect(window.locator("#panel")).to_contain_text("Attempt")


def test_a_run_is_watched_to_its_end(window, study):
    window.goto("/runs/abcdefgh")
    expect(window.locator("#run-head .state")).to_have_text("running")
    study.change("abcdefgh", "sim.b", state=State.COMPLETED, finished_at=study.now)
    expect(window.locator("#task-states")).to_contain_text("2 completed", timeout=SOON)
    study.end("abcdefgh")
    expect(window.locator("#run-head .state")).to_have_text("completed", timeout=SOON)
    expect(window.locator("#run-head")).not_to_contain_text("Left, about")


def test_what_failed_is_tried_again_and_the_page_that_had_come_to_rest_follows(window, hut):
    hut.run({"a": "failed", "b": "failed", "c": "dep_failed"})
    hut.change("abcdefgh", "c", deps=["a"])
    window.goto("/runs/abcdefgh")
    window.get_by_role("link", name="Retry failed").click()
    question = window.get_by_role("dialog", name="Try 2 tasks of study again?")
    expect(question).to_contain_text("at most 6.0 CPU hours")
    question.get_by_role("button", name="Try 2 tasks again").click()
    expect(question).to_be_hidden()
    expect(window.locator("#run-head .state")).to_have_text("pending", timeout=SOON)
    hut.change("abcdefgh", "a", state=State.RUNNING)
    expect(window.locator("#task-states")).to_contain_text("1 running", timeout=SOON)


def test_a_run_is_repeated_from_the_keyboard_once_it_is_said_what_that_costs(page, hut):
    hut.run({"a": "completed", "b": "completed"})
    page.goto("/runs/abcdefgh")
    page.keyboard.press("/")
    page.keyboard.type("run again")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("Run again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Run study again?")).to_contain_text("2 tasks")
    expect(page.get_by_role("button", name="Run 2 tasks")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#run-about")).to_contain_text("Repeats")


def test_two_runs_are_compared_from_the_page_of_one(window, hut, keep):
    for run_id, loss, age in (("oldoldol", 0.5, 3), ("newnewne", 0.25, 2)):
        hut.run({"fit": "completed"}, run_id, age=timedelta(hours=age))
        with hut.database.writing() as session:
            task = session.get_one(Task, hut.task_id(run_id, "fit"))
            metrics.record(session, task, "m", Metrics({"loss": loss}))
    window.goto("/runs/newnewne")
    window.get_by_role("link", name="Compare with").click()
    window.get_by_role("link", name="oldoldol").click()
    table = window.get_by_role("table").filter(has_text="loss")
    expect(table).to_contain_text("0.25")
    expect(table).to_contain_text("-50 %")


def test_a_lost_task_is_vouched_for_and_the_page_follows(window, hut):
    hut.run({"a": "lost", "b": "pending"})
    hut.change("abcdefgh", "a", missing_since=hut.now)
    window.goto("/runs/abcdefgh/tasks/a")
    window.get_by_label("You know what became of it?").fill("the file is there")
    window.get_by_role("button", name="It completed").click()
    expect(window.locator(".panel-head .state")).to_have_text("completed", timeout=SOON)
    expect(window.locator("#panel .history")).to_contain_text("the file is there")


def test_a_piece_of_time_is_looked_at_closer_in_the_chart(page, study):
    page.goto("/runs/abcdefgh?view=gantt")
    before = page.locator(".gantt thead time").all_inner_texts()
    page.get_by_role("link", name="Shorter").click()
    expect(page).to_have_url(re.compile("window="))
    assert page.locator(".gantt thead time").all_inner_texts() != before
    page.go_back()
    expect(page).not_to_have_url(re.compile("window="))


def test_what_a_task_wrote_is_read_and_taken_away(window, study, keep):
    keep("task-summary.md", b"# The result\n\n42\n", key="prep")
    keep("table.csv", b"a,b\n1,2\n", key="prep")
    window.goto("/runs/abcdefgh/tasks/prep?tab=outputs")
    expect(window.get_by_role("heading", name="The result")).to_be_visible()
    with window.expect_download() as taken:
        window.get_by_role("link", name="All as a zip").click()
    assert taken.value.suggested_filename.endswith(".zip")


@pytest.mark.parametrize("view", ["table", "graph", "gantt"])
def test_a_page_does_not_jump_when_it_learns_something(page, study, view):
    page.set_viewport_size({"width": 1200, "height": 240})  # the tasks are out of sight
    page.goto(f"/runs/abcdefgh?view={view}")
    page.wait_for_load_state("networkidle")
    places = "['#run-head', '#tasks', '#task-view'].map(s => document.querySelector(s).offsetTop)"
    before = page.evaluate(places)
    study.change("abcdefgh", "sim.b", state=State.FAILED, finished_at=study.now)
    expect(page.locator("#task-states")).to_contain_text("2 failed", timeout=SOON)
    assert page.evaluate(places) == before
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("media", [{"forced_colors": "active"}, {"media": "print"}])
def test_states_are_words_in_high_contrast_and_on_paper(page, study, media):
    page.emulate_media(**media)
    page.goto("/runs/abcdefgh")
    expect(page.locator("#task-view").get_by_text("failed").first).to_be_visible()
    expect(page.locator("#run-head .state")).to_be_visible()
    if "media" in media:
        expect(page.locator(".top")).to_be_hidden()
