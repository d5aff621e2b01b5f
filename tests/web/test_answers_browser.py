"""What comes back to an open page: nothing, somebody else's answer, and our own."""

import re

import pytest
from playwright.sync_api import Page, expect

from scripthut.core.states import State
from tests.web.conftest import SOON, Hut

pytestmark = pytest.mark.browser

RUN = "/runs/abcdefgh"
LOGIN = "<h1>Log in to the campus</h1><form action=/login><input name=user></form>"


def foreign(status: int) -> "object":
    return lambda route: route.fulfill(status=status, body=LOGIN, content_type="text/html")


@pytest.mark.parametrize("status", [200, 401, 403])
def test_somebodys_login_page_is_not_put_into_the_page(
    page: Page, hut: Hut, complaints: list[str], status: int
) -> None:
    hut.run({"a": "running"})
    page.goto(RUN)
    page.route("**/changes**", foreign(status))
    lost = page.locator("#lost")
    expect(lost.get_by_role("link", name="Reload this page")).to_be_visible(timeout=SOON)
    expect(lost).not_to_contain_text("by itself", use_inner_text=True)
    expect(page.locator("body")).not_to_contain_text("campus")
    page.unroute("**/changes**")
    hut.change("abcdefgh", "a", state=State.COMPLETED)
    expect(page.locator("#tasks [data-state=completed]").first).to_be_visible(timeout=2 * SOON)
    expect(lost).to_be_hidden()
    complaints[:] = [text for text in complaints if str(status) not in text]


def test_a_server_that_is_gone_is_said_where_one_reads(
    page: Page, hut: Hut, complaints: list[str]
) -> None:
    hut.run({f"t{n}": "running" for n in range(120)})
    page.goto(RUN)
    page.mouse.wheel(0, 3000)
    page.route("**/*", lambda route: route.abort())
    expect(page.locator("#lost")).to_be_in_viewport(timeout=SOON)
    page.locator("#tasks a", has_text="t119").click()
    expect(page.locator("#notice")).to_contain_text("did not reach the server", timeout=SOON)
    expect(page.locator("#notice .notice")).to_be_in_viewport()
    page.unroute("**/*")
    page.locator("#tasks a", has_text="t119").click()
    expect(page.locator("#panel h2")).to_have_text("t119", timeout=SOON)
    expect(page.locator("#notice .notice")).to_have_count(0)
    complaints.clear()


def test_an_answer_to_a_question_that_did_not_arrive_is_said(
    page: Page, hut: Hut, complaints: list[str]
) -> None:
    hut.run({"a": "running"})
    page.goto(RUN)
    page.get_by_role("link", name="Cancel run").click()
    expect(page.locator("#question")).to_be_visible()
    page.route("**/cancel", lambda route: route.abort())
    page.locator("#question .danger").click()
    expect(page.locator("#notice")).to_contain_text("did not reach the server")
    expect(page.locator("#question")).to_be_hidden()
    complaints.clear()


def test_a_group_that_was_opened_without_a_server_can_be_opened_again(
    page: Page, hut: Hut, complaints: list[str]
) -> None:
    hut.run({f"sim.{i}": "completed" for i in range(2_000)})
    page.goto(RUN)
    page.route("**/groups/**", lambda route: route.abort())
    group = page.get_by_role("button", name="sim", exact=True)
    group.click()
    expect(page.locator("#notice")).to_contain_text("did not reach the server")
    expect(group).to_have_attribute("aria-expanded", "false")
    page.unroute("**/groups/**")
    group.click()
    expect(page.get_by_role("link", name="sim.7", exact=True)).to_be_visible()
    complaints.clear()


def test_the_focus_stays_where_the_keyboard_was(page: Page, hut: Hut) -> None:
    hut.run({"a": "completed", "b": "completed"})
    page.goto(RUN)
    page.locator("#tasks").get_by_role("link", name="Elapsed").press("Enter")
    expect(page).to_have_url(re.compile("by="))
    expect(page.locator("#tasks").get_by_role("link", name="Elapsed")).to_be_focused()
    page.locator("#tasks").get_by_role("link", name="b", exact=True).press("Enter")
    expect(page.locator("#panel h2")).to_have_text("b")
    page.locator("#panel").get_by_role("link", name="Script").press("Enter")
    expect(page.locator(".tabs [aria-current]")).to_have_text("Script")
    expect(page.locator("#panel").get_by_role("link", name="Script")).to_be_focused()
    page.locator("#panel").get_by_role("link", name="Close b").press("Enter")
    expect(page.locator("#panel h2")).to_have_count(0)
    expect(page.locator("#tasks").get_by_role("link", name="b", exact=True)).to_be_focused()


def test_enter_in_the_palette_waits_for_what_was_typed(page: Page, hut: Hut) -> None:
    hut.run({"first": "completed", "second": "completed"})
    page.goto(RUN)
    page.keyboard.press("/")
    expect(page.locator("#palette [role=option]").first).to_be_visible()
    page.locator("#palette input").press_sequentially("second")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/tasks/second"))


def test_times_get_their_day_at_midnight(page: Page, hut: Hut) -> None:
    hut.run({"a": "completed"})
    page.clock.install(time=hut.now)
    page.goto(RUN)
    created = page.locator("#run-head time").first
    before = created.inner_text()
    page.clock.fast_forward("24:00:00")
    expect(created).not_to_have_text(before)
    expect(created).to_contain_text(str(hut.now.year))


def test_a_readers_wrong_clock_does_not_change_what_has_elapsed(page: Page, hut: Hut) -> None:
    hut.run({"a": "running"})
    page.clock.install(time=hut.now.timestamp() - 600)
    page.goto(RUN)
    page.clock.run_for(3000)
    expect(page.locator("#run-head [data-since]").first).to_contain_text("5m")


def test_a_picture_that_is_missing_is_named(page: Page, hut: Hut, complaints: list[str]) -> None:
    hut.run({"a": "completed"})
    page.goto(RUN)
    html = '<p><img src="/runs/abcdefgh/tasks/a/outputs/file/nope.png" alt="Loss"> <a>there</a></p>'
    page.evaluate(
        "html => { const part = document.createElement('hut-html'); part.dataset.html = html;"
        " document.querySelector('main').append(part); }",
        html,
    )
    expect(page.locator("hut-html .missing")).to_have_text(
        "Loss: nope.png is not among the task's files"
    )
    expect(page.locator("hut-html a")).to_have_attribute(
        "title", "This address is not followed from here"
    )
    complaints.clear()


def test_without_a_clipboard_what_is_to_be_copied_is_selected(page: Page, hut: Hut) -> None:
    hut.run({"a": "completed"})
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(f"{RUN}/tasks/a?tab=script")
    page.locator("#panel [data-copy]").first.click()
    assert page.evaluate("getSelection().toString().length") > 0
