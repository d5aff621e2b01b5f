"""Everything from the keyboard, and news of what happens elsewhere, in a real browser."""

import pytest
from playwright.sync_api import expect

from scripthut.core.states import State
from scripthut.store.models import EventRow

pytestmark = pytest.mark.browser
RUN = "/runs/abcdefgh"


@pytest.fixture
def study(hut, app):
    hut.run({"prep": "completed", "a": "failed", "b": "running", "c": "failed", "d": "pending"})
    log = b"fine\n" * 900 + b"ValueError: x\n" + b"bye\n" * 900
    app.extensions["kept"].append_log("abcdefgh.1.1", "output", 0, log)
    return hut


def test_a_failure_is_found_and_read_without_a_mouse(page, study):
    page.goto(RUN)
    page.keyboard.press("n")
    expect(page.locator("#panel h2")).to_have_text("a")
    page.keyboard.press("4")
    expect(page.locator("#log")).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("#log .is-marked")).to_have_text("ValueError: x\n")
    page.keyboard.press("n")
    expect(page.locator("#panel h2")).to_have_text("c")
    page.keyboard.press("p")
    expect(page.locator("#panel h2")).to_have_text("a")
    page.keyboard.press("Escape")
    expect(page.locator("#panel .panel")).to_have_count(0)
    expect(page).to_have_url(RUN)


def test_j_and_k_go_through_rows_and_enter_opens(page, study):
    page.goto(RUN)
    for key, task in (("j", "prep"), ("j", "a"), ("j", "b"), ("j", "c"), ("k", "b"), ("k", "a")):
        page.keyboard.press(key)
        expect(page.get_by_role("link", name=task, exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("a")


def test_letters_typed_into_a_field_are_letters(page, study):
    page.goto(RUN)
    page.keyboard.press("s")
    page.keyboard.type("fn?/")
    expect(page.get_by_role("searchbox", name="Find a task")).to_have_value("fn?/")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator("#panel .panel")).to_have_count(0)


def test_the_palette_leads_to_a_task_a_page_and_back(page, study):
    page.goto(RUN)
    page.keyboard.press("/")
    page.keyboard.type("pre")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("prep")
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("prep")
    page.keyboard.press("Control+k")
    page.keyboard.type("backends")
    expect(page.locator("#palette-list li").first).to_contain_text("Backends")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page).to_have_url("/backends")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_the_keys_are_told_and_go_away(page, study):
    page.goto("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page).to_have_url("/runs")


def test_what_ends_elsewhere_is_told_and_counted_in_the_title(page, study):
    page.goto("/backends")
    expect(page.locator("#news[hx-get*=since]")).to_have_count(1)
    study.change("abcdefgh", "b", state=State.FAILED, finished_at=study.now)
    task_id = study.task_id("abcdefgh", "b")
    study.add(
        EventRow(
            run_id="abcdefgh", task_id=task_id, at=study.now, what="exited_bad",
            old="running", new="failed",
        )
    )  # fmt: skip
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("htmx.trigger(document.getElementById('news'), 'every')")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("A task failed in study", timeout=15_000)
    assert page.title().startswith("(1) ")
    toast.get_by_role("link").click()
    expect(page.locator("#panel h2")).to_have_text("b")


def test_a_page_in_the_background_asks_less_and_at_once_when_it_is_back(page, study):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(RUN)
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away})")
    page.evaluate("window.away = true")
    page.wait_for_timeout(7_000)  # three or four times two seconds
    assert sum("/changes" in url for url in asked) <= 1
    page.evaluate("window.away = false")
    study.change("abcdefgh", "b", state=State.COMPLETED, finished_at=study.now)
    expect(page.locator("#task-states")).to_contain_text("2 completed", timeout=6_000)
