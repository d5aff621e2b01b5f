"""From the page of sources to a run, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.repository import Repository
from tests.stories.conftest import free_port
from tests.stories.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 15_000  # milliseconds
DOCUMENT = {
    "title": "Say it",
    "params": {"word": "hi", "loud": ["no", "very"]},
    "tasks": [{"id": "say", "command": 'echo "- $SCRIPTHUT_PARAM_word" >"$SCRIPTHUT_RUN_SUMMARY"'}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    repository = Repository(tmp_path / "theirs")
    repository.commit({".hut/workflows/say.json": DOCUMENT, ".hut/workflows/bad.json": "{"})
    local = {"type": "local", "name": "local", "clone_dir": str(tmp_path / "clones")}
    server = Server(tmp_path / "server", free_port(), [local], {"workers": 1})
    server.directory.mkdir()
    server.sources = [{"type": "git", "name": "study", "url": repository.url}]
    server.start()
    yield server
    server.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_default_timeout(SOON)
    yield page
    page.close()
    assert [line for line in said if "status of 422" not in line] == []


def test_a_workflow_is_looked_at_and_started_from_the_page(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/sources")
    start = page.get_by_role("link", name="Start .hut/workflows/say.json")
    expect(start).to_be_visible(timeout=SOON)  # the card fills by itself
    expect(page.get_by_text("is not JSON")).to_be_visible()
    page.get_by_role("button", name="Sync").click()
    expect(page.get_by_role("button", name="Sync")).to_be_enabled(timeout=SOON)
    start.click()
    page.get_by_label("word").fill("<b>hello</b>")
    page.get_by_label("loud").select_option("very")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("nothing was submitted")).to_be_visible(timeout=SOON)
    page.locator("summary", has_text="say").click()
    expect(page.locator("details pre")).to_contain_text("SCRIPTHUT_PARAM_word")
    assert server.get("/runs")["runs"] == []
    page.get_by_role("link", name="Change").click()
    expect(page.get_by_label("word")).to_have_value("<b>hello</b>")
    expect(page.get_by_label("loud")).to_have_value("very")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.locator("#summary")).to_contain_text("hello", timeout=30_000)


def test_what_cannot_be_started_says_why_and_offers_the_form(page: Page, server: Server) -> None:
    server.post("/sources/study/sync")
    page.goto(f"{server.url}/sources/study/start?workflow=say")
    page.get_by_label("Branch, tag or commit").fill("nope")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("alert").get_by_text("no branch or tag 'nope'")).to_be_visible(
        timeout=SOON
    )
    page.get_by_role("link", name="Change what was chosen").click()
    expect(page.get_by_label("Branch, tag or commit")).to_have_value("nope")
