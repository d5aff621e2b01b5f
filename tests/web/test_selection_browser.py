"""Runs that are picked in their list, in a real browser: by mouse and keys, while it refreshes."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture
def runs(hut):
    for n in range(4):
        state = "running" if n == 1 else "completed"
        hut.run({"a": state}, run_id=f"run0000{n}", age=timedelta(minutes=10 + n))
    return hut


def box(page, n):
    return page.locator(f"#pick-run0000{n}")


def test_a_refresh_keeps_what_is_picked(page, runs):
    page.goto("/runs")
    box(page, 0).check()
    box(page, 2).check()
    runs.run({"a": "running"}, run_id="newest01", age=timedelta(0))
    expect(page.locator("#run-newest01")).to_be_visible()
    assert [box(page, n).is_checked() for n in range(4)] == [True, False, True, False]
    expect(page.locator("#pick-newest01")).not_to_be_checked()
    expect(page.locator(".picks output")).to_have_text("2 picked")
    page.get_by_role("button", name="Compare").click()
    expect(page).to_have_url("/compare?runs=run00000&runs=run00002")


def test_what_is_picked_goes_after_the_question(page, runs):
    page.goto("/runs?select=all")
    expect(page.locator(".picks output")).to_have_text("4 picked")
    page.get_by_role("link", name="all ended").click()
    expect(page.locator(".picks output")).to_have_text("3 picked")
    expect(box(page, 1)).not_to_be_checked()
    page.get_by_role("link", name="none").click()
    expect(page.get_by_role("button", name="Delete…")).to_be_disabled()
    page.get_by_role("link", name="all", exact=True).click()
    page.get_by_role("button", name="Delete…").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("run00001 has not ended")
    question.get_by_role("button", name="Delete 3 runs").click()
    expect(page.locator("#runs tbody tr")).to_have_count(1)
    expect(page.locator("#toasts")).to_contain_text("Deleted 3 runs")


def test_keys_pick_one_and_a_range(page, runs):
    page.goto("/runs")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(box(page, 0)).to_be_checked()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    assert [box(page, n).is_checked() for n in range(4)] == [True, True, True, False]
    page.keyboard.press("x")
    expect(box(page, 2)).not_to_be_checked()
    box(page, 0).click(modifiers=["Shift"])
    assert not any(box(page, n).is_checked() for n in range(4))
