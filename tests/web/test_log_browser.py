"""Reading logs in a real browser: the place asked for, a pause, colours."""

import pytest
from playwright.sync_api import expect

from tests.web.conftest import SOON

pytestmark = pytest.mark.browser
TASK = "/runs/abcdefgh/tasks/a"


@pytest.fixture
def log(app, hut):
    hut.run({"a": "running"})
    kept = app.extensions["kept"]

    def append(data: bytes, stream: str = "output") -> None:
        size = kept.read_log("abcdefgh.0.1", stream).size
        kept.append_log("abcdefgh.0.1", stream, size, data)

    return append


def test_a_failure_is_read_from_its_first_error_on(page, log):
    log(b"fine\n" * 3000 + b"\x1b[31mValueError: x\x1b[0m\n" + b"more\n" * 2000)
    page.goto(f"{TASK}?tab=output")
    page.get_by_role("link", name="First error").click()
    expect(page).to_have_url(f"{TASK}?tab=output&line=3001#L3001")
    marked = page.locator("#log .is-marked")
    expect(marked).to_have_text("ValueError: x\n")
    expect(marked).to_be_in_viewport()
    page.reload()
    expect(marked).to_be_in_viewport()
    page.get_by_role("link", name="Show the end").click()
    expect(page.locator("#log [data-n='5001']")).to_be_in_viewport()


def test_a_log_is_searched_where_it_stands(page, log):
    log(b"".join(b"epoch %d\n" % i for i in range(3000)))
    page.goto(f"{TASK}?tab=output")
    page.get_by_role("searchbox", name="Find in the log").fill("epoch 77")
    page.get_by_role("searchbox", name="Find in the log").press("Enter")
    expect(page.locator("#log .line")).to_have_count(11)
    expect(page.locator("#task-view")).to_be_visible()
    page.locator("#log a.n").first.click()
    expect(page.locator("#log .is-marked")).to_have_text("epoch 77\n")


def test_a_paused_log_stands_still_and_goes_on(page, log):
    log(b"one\n")
    page.goto(f"{TASK}?tab=output")
    page.get_by_role("button", name="Pause").click()
    log(b"two\n")
    page.wait_for_timeout(2_600)  # longer than a page waits between two questions
    expect(page.locator("#log")).not_to_contain_text("two")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#log")).to_contain_text("two", timeout=SOON)


def test_both_logs_grow_as_one(page, log):
    log(b"10:00:01 a\n10:00:05 c\n")
    log(b"10:00:03 b\n", "error")
    page.goto(f"{TASK}?tab=both")
    expect(page.locator("#log")).to_have_text("10:00:01 a\n10:00:03 b\n10:00:05 c\n")
    log(b"10:00:04 late\n", "error")
    expect(page.locator("#log")).to_contain_text("b\n10:00:04 late\n10:00:05", timeout=SOON)
