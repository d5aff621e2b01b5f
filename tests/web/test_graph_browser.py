"""The graph in a real browser: live, unfolded, zoomed, reached by the keyboard."""

import pytest
from playwright.sync_api import expect

from scripthut.core.states import State
from tests.web.conftest import SOON

pytestmark = pytest.mark.browser
RUN = "/runs/abcdefgh"


@pytest.fixture
def study(hut):
    hut.run({"prep": "completed", "sim.a": "running", "sim.b": "completed", "end": "pending"})
    hut.change("abcdefgh", "sim.a", deps=["prep"])
    hut.change("abcdefgh", "end", deps=["sim.a", "sim.b"])
    return hut


def test_a_graph_is_opened_followed_and_leads_to_a_task(page, study):
    page.goto(RUN)
    page.keyboard.press("h")
    expect(page).to_have_url(f"{RUN}?view=graph")
    node = page.locator("#node-1")
    expect(node).to_contain_text("1 running")
    study.change("abcdefgh", "sim.a", state=State.FAILED)
    expect(node).to_contain_text("1 failed", timeout=SOON)
    expect(node).to_have_attribute("data-state", "failed")
    assert node.evaluate("n => n.namespaceURI") == "http://www.w3.org/2000/svg"
    node.locator("a").click()
    expect(page.locator("#node-2")).to_contain_text("sim.b")
    page.locator("#node-1 a").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("sim.a")
    expect(page).to_have_url(f"{RUN}/tasks/sim.a?view=graph&unfold=1")
    page.go_back()
    expect(page.locator("#node-2")).to_contain_text("sim.b")


def test_a_graph_zooms_by_buttons_and_keys(page, study):
    page.goto(f"{RUN}?view=graph")
    width = "document.querySelector('[data-graph] svg').clientWidth"
    before = page.evaluate(width)
    page.get_by_role("button", name="Larger").click()
    assert page.evaluate(width) > before * 1.2
    page.locator("[data-graph]").focus()
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert page.evaluate(width) < before
    page.keyboard.press("0")
    assert page.evaluate(width) == before
