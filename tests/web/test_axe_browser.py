"""Every page, in both themes, without a violation that axe can find."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from tests import showroom
from tests.screenshots import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = (Path(__file__).parents[1] / "vendor" / "axe-core-4.14.1.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


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


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 390)])
def test_no_page_has_a_violation(browser: Browser, site: str, theme: str, width: int) -> None:
    context = browser.new_context(
        base_url=site, viewport={"width": width, "height": 900}, color_scheme=theme,
        reduced_motion="reduce", bypass_csp=True,
    )  # fmt: skip
    page = context.new_page()
    found = {}
    for name, path in PAGES.items():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.evaluate(AXE)
        said = page.evaluate(f"axe.run({{runOnly: {json.dumps(RULES)}}})")
        broken = [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in said["violations"]
            for node in rule["nodes"][:3]
        ]
        if broken:
            found[name] = broken
    context.close()
    assert found == {}, json.dumps(found, indent=1)
