"""Searching, filtering and sorting a run's tasks, in a real browser."""

import pytest
from playwright.sync_api import expect

from scripthut.core.states import State
from tests.web.conftest import SOON

pytestmark = pytest.mark.browser


@pytest.fixture
def study(hut):
    hut.run({"prep": "completed", "sim.a": "failed", "sim.b": "running", "sim.c": "failed"})
    return hut


def keys(page):
    return page.locator("#task-view tr[id^=task-] a:not([data-ask])")


def test_typing_narrows_the_table_and_the_address_holds_it(page, study):
    page.goto("/runs/abcdefgh")
    find = page.get_by_role("searchbox", name="Find a task")
    find.press_sequentially("sim", delay=30)
    expect(keys(page)).to_have_text(["sim.a", "sim.b", "sim.c"])
    expect(page).to_have_url("/runs/abcdefgh?find=sim")
    expect(find).to_be_focused()
    page.locator("#task-states").get_by_text("failed").click()
    expect(keys(page)).to_have_text(["sim.a", "sim.c"])
    expect(page).to_have_url("/runs/abcdefgh?find=sim&state=failed")
    page.get_by_role("link", name="Task", exact=True).click()
    expect(page.locator("th").first).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="Task", exact=True).click()
    expect(keys(page)).to_have_text(["sim.c", "sim.a"])
    page.reload()
    expect(keys(page)).to_have_text(["sim.c", "sim.a"])
    expect(find).to_have_value("sim")


def test_back_and_forward_lead_through_searches(page, study):
    page.goto("/runs/abcdefgh")
    page.locator("#task-states").get_by_text("failed").click()
    expect(keys(page)).to_have_count(2)
    page.locator("#task-states").get_by_text("running").click()
    expect(keys(page)).to_have_count(3)
    page.go_back()
    expect(keys(page)).to_have_count(2)
    page.go_back()
    expect(page.get_by_role("button", name="sim", exact=True)).to_be_visible()
    page.go_forward()
    expect(keys(page)).to_have_count(2)


def test_a_search_keeps_the_open_task_and_a_task_keeps_the_search(page, study):
    page.goto("/runs/abcdefgh/tasks/sim.a?tab=script")
    page.locator("#task-states").get_by_text("failed").click()
    expect(page).to_have_url("/runs/abcdefgh/tasks/sim.a?tab=script&state=failed")
    expect(page.locator("#task-script")).to_be_visible()
    page.get_by_role("link", name="sim.c", exact=True).click()
    expect(page).to_have_url("/runs/abcdefgh/tasks/sim.c?state=failed")
    page.get_by_role("link", name="Output", exact=True).click()
    expect(page).to_have_url("/runs/abcdefgh/tasks/sim.c?tab=output&state=failed")
    page.get_by_role("link", name="Close sim.c").click()
    expect(page).to_have_url("/runs/abcdefgh?state=failed")
    expect(keys(page)).to_have_count(2)


def test_a_filtered_table_stays_live(page, study):
    page.goto("/runs/abcdefgh?state=failed")
    expect(keys(page)).to_have_text(["sim.a", "sim.c"])
    study.change("abcdefgh", "sim.b", state=State.FAILED)
    expect(keys(page)).to_have_text(["sim.a", "sim.b", "sim.c"], timeout=SOON)
    expect(page.locator("#task-states")).to_contain_text("3 failed")


def test_a_search_works_without_scripts(browser, site, study):
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/runs/abcdefgh?state=failed")
    page.get_by_role("searchbox").fill("c")
    page.get_by_role("searchbox").press("Enter")
    expect(page).to_have_url("/runs/abcdefgh?find=c&state=failed")
    expect(keys(page)).to_have_text(["sim.c"])
    context.close()


def test_a_row_keeps_its_height_while_its_task_goes_on(page, hut):
    hut.run({"a": "submitted", "b": "pending"})
    page.goto("/runs/abcdefgh")
    row = page.locator(f"#task-{hut.task_id('abcdefgh', 'a')}")
    heights = {row.bounding_box()["height"]}
    why = "Waits for free resources, and for so long that this does not fit beside its state"
    for facts, words in (
        ({"state": State.QUEUED, "reason": why}, "Waits for"),
        ({"state": State.RUNNING, "reason": None, "started_at": hut.now}, "running"),
        ({"progress": 0.4, "progress_text": "epoch 4 of 10"}, "40 %"),
        ({"state": State.FAILED, "reason": "Ended with exit code 1"}, "exit code 1"),
    ):
        hut.change("abcdefgh", "a", **facts)
        expect(row).to_contain_text(words)
        heights.add(row.bounding_box()["height"])
    assert len({round(height) for height in heights}) == 1, heights
