"""Every page, in both themes and both widths, without a violation that axe can find."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from tests import showroom
from tests.screenshots import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = (Path(__file__).parents[1] / "vendor" / "axe-core-4.14.1.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FAST = {"resultTypes": ["violations"]}
EVERYTHING = {"runOnly": TAGS, **FAST}
COLOURS = {**FAST, "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""What a theme changes: the elements are the same."""
WIDTHS = (1400, 390)
FRAMES = "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
"""The page has heard of its new width."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site that looks like a year of use."""
    server = make_server(
        "127.0.0.1", 0, showroom.make(tmp_path_factory.mktemp("site")), threaded=True
    )
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def window(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context(base_url=site, reduced_motion="reduce", bypass_csp=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_a_violation(window: Page, name: str) -> None:
    window.set_viewport_size({"width": WIDTHS[0], "height": 900})
    window.emulate_media(color_scheme="light")
    answer = window.goto(PAGES[name])
    assert answer is not None
    assert answer.status == (404 if name == "not-found" else 200)
    window.wait_for_function("!document.querySelector('#summary:empty, .panel-body > [hx-get]')")
    window.evaluate(AXE)
    # An open task's row was scrolled to: what the head half covers then is no smaller for it.
    window.evaluate("scrollTo(0, 0)")
    found = {}
    for width in WIDTHS:
        window.set_viewport_size({"width": width, "height": 900})
        window.evaluate(FRAMES)
        for theme, asked in (("light", EVERYTHING), ("dark", COLOURS)):
            window.emulate_media(color_scheme=theme)
            found[f"{theme} {width}"] = violations(window, asked)
    broken = {how: said for how, said in found.items() if said}
    assert broken == {}, json.dumps(broken, indent=1)


def violations(page: Page, asked: dict[str, object]) -> list[str]:
    said = page.evaluate(f"axe.run({json.dumps(asked)})")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in said["violations"]
        for node in rule["nodes"][:3]
    ]
