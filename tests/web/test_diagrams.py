"""Mermaid diagrams are drawn in a frame that reaches nothing; what cannot be stays as text."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect

from scripthut.core.jobs import Area
from tests.web.conftest import Hut, Keep

RUN = "abcdefgh"
GOOD = "```mermaid\nflowchart LR\n  alpha --> omega\n```\n"
BAD = "```mermaid\nflowchart LR\n  a --> --> b [\n```\n"
HOSTILE = """```mermaid
flowchart LR
  a["<img src=https://evil.example/x onerror='parent.hacked=1;top.hacked=1'>"] --> b
  b["<script>parent.hacked=1</script><iframe src=https://evil.example/y>"] --> c
  click a href "javascript:parent.hacked=1"
```
"""
SOON = 15_000


def test_the_frame_may_run_its_two_scripts_and_fetch_nothing(client: FlaskClient) -> None:
    answer = client.get("/sandbox/diagram/frame")
    rules = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["Content-Security-Policy"].split(";")
    )
    scripts = re.findall(r'<script src="([^"]+)"', answer.text)

    assert rules["sandbox"] == "allow-scripts"
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [
        f"http://localhost{urlsplit(script).path}" for script in scripts
    ]
    assert "connect-src" not in rules
    for script in scripts:
        found = client.get(script)
        assert found.status_code == 200
        assert found.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert found.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert client.get("/sandbox/diagram/app.js").status_code == 404
    assert client.get("/sandbox/diagram/mermaid.js").headers["Cache-Control"] == "no-cache"


@pytest.fixture
def page(app: Flask, browser: Browser, serve: Callable[[Flask], str]) -> Iterator[Page]:
    page = browser.new_page(base_url=serve(app), viewport={"width": 1200, "height": 1400})
    page.set_default_timeout(SOON)
    yield page
    page.close()


@pytest.mark.browser
def test_a_diagram_is_drawn_in_every_place_of_a_document(page: Page, hut: Hut, keep: Keep) -> None:
    hut.run({"fit": "completed"}, RUN)
    keep("task-summary.md", GOOD.encode())
    keep("fit.md", GOOD.encode(), area=Area.FRAGMENT)
    row = keep("doc.md", GOOD.encode())
    for place in ("", "/tasks/fit?tab=outputs", f"/tasks/fit/outputs/view/{row}"):
        page.goto(f"/runs/{RUN}{place}")
        frame = page.frame_locator(".drawing iframe").first
        expect(frame.locator("svg")).to_contain_text("omega", timeout=SOON)
        expect(page.locator(".drawing[data-drawn]").first).to_contain_text("Source")
        assert page.locator(".drawing iframe").first.bounding_box()["height"] > 30  # type: ignore[index]


@pytest.mark.browser
def test_what_cannot_be_drawn_stays_as_text(page: Page, hut: Hut, keep: Keep) -> None:
    hut.run({"fit": "completed"}, RUN)
    row = keep("doc.md", BAD.encode())
    page.goto(f"/runs/{RUN}/tasks/fit/outputs/view/{row}")
    figure = page.locator(".drawing")
    expect(figure).to_contain_text("could not be drawn: Parse error on line 2", timeout=SOON)
    expect(figure.locator("code")).to_be_visible()
    assert figure.locator("iframe").count() == 0


@pytest.mark.browser
def test_a_hostile_diagram_reaches_nothing(page: Page, hut: Hut, keep: Keep) -> None:
    hut.run({"fit": "completed"}, RUN)
    row = keep("doc.md", (HOSTILE + GOOD).encode())
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.goto(f"/runs/{RUN}/tasks/fit/outputs/view/{row}")
    expect(page.locator(".drawing")).to_have_count(2)
    for n in (0, 1):
        page.frame_locator(".drawing iframe").nth(n).locator("svg").wait_for()
    for frame in page.frames[1:]:
        assert frame.evaluate("self.origin") == "null"

    assert page.evaluate("window.hacked") is None
    assert not any("evil" in url for url in asked)
    own = ("/runs/", "/static/", "/sandbox/diagram/", "/news", "/configuration")
    assert all(urlsplit(url).path.startswith(own) for url in asked)
