"""What a user wrote, in a real browser: harmless even if nothing had been taken out of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Request, expect

from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.markdown import policy
from scripthut.core.markdown.render import render
from scripthut.store import outputs
from scripthut.store.files.kept import Kept
from scripthut.store.models import Task
from scripthut.store.outputs import Found
from scripthut.store.versions import next_version
from tests.web.conftest import Hut

pytestmark = pytest.mark.browser

RUN = "abcdefgh"
CASES = json.loads(
    (Path(__file__).parents[1] / "payloads" / "markdown.json").read_text(encoding="utf-8")
)
HOSTILE = {c["name"]: c["payload"] for c in CASES if c["expectation"].startswith("inert")}
LISTENS = "window.ran = []; window.alert = (what) => window.ran.push(String(what));"
SOON = 20_000
POLICY = "content-security-policy"


@pytest.fixture
def site(app: Flask, serve: Callable[[Flask], str]) -> str:
    return serve(app)


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context(base_url=site, viewport={"width": 1200, "height": 900})
    context.set_default_timeout(SOON)
    page = context.new_page()
    page.add_init_script(LISTENS)
    yield page
    context.close()


def fill(hut: Hut, kept: Kept, documents: dict[str, str], area: Area = Area.OUTPUT) -> None:
    """Let the tasks have written documents, of which this is the HTML as it is."""
    hut.run({"fit": "completed"}, RUN)
    with hut.database.writing() as session:
        task = session.get(Task, hut.task_id(RUN, "fit"))
        assert task
        found = []
        for name, html in documents.items():
            raw = f"{name}.md".encode()
            sha = kept.put(f"{name} {html}".encode("utf-8", "replace"))
            key = policy.key(sha, outputs.folder_of(area, raw))
            kept.put_as(key, html.encode("utf-8", "replace"))
            found.append(Found(RemoteFile("t", area, raw, len(html), 1), sha, key))
        outputs.record(session, task, found)
        task.has_outputs = True
        task.version = next_version(session, RUN)


def browse(page: Page, site: str) -> tuple[list[str], list[str]]:
    """Open the outputs; which scripts ran, and what was sent that should not have been.

    What the page's policy stopped was not sent.
    """
    asked: list[Request] = []
    refused: list[Request] = []

    def note(request: Request) -> None:
        paths = ("/static/", f"/runs/{RUN}", "/news", "/configuration")  # what a page itself asks
        own = request.url.startswith(tuple(f"{site}{path}" for path in paths))
        if not own or request.method != "GET":
            asked.append(request)

    page.on("request", note)
    page.on("requestfailed", lambda r: refused.append(r) if r.failure == "csp" else None)
    page.goto(f"/runs/{RUN}/tasks/fit?tab=outputs")
    expect(page.locator("hut-html").first).to_be_attached()
    page.wait_for_load_state("networkidle")
    assert page.url == f"{site}/runs/{RUN}/tasks/fit?tab=outputs"
    sent = [f"{r.method} {r.url}" for r in asked if r not in refused]
    return page.evaluate("window.ran"), sent


def test_rendered_hostile_documents_do_nothing(page: Page, site: str, hut: Hut, app: Flask) -> None:
    documents = {name: render(text) for name, text in HOSTILE.items()}
    fill(hut, app.extensions["kept"], documents)

    ran, asked = browse(page, site)

    assert ran == []
    assert asked == []
    assert page.locator("hut-html").count() == len(HOSTILE)


def test_without_the_policy_the_sanitiser_lets_nothing_through(
    page: Page, site: str, hut: Hut, app: Flask
) -> None:
    inner, taken = app.wsgi_app, []

    def without_policy(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        def bare(status: str, headers: list[tuple[str, str]], *more: object) -> object:
            taken.extend(header for header in headers if header[0].lower() == POLICY)
            return start(status, [h for h in headers if h[0].lower() != POLICY], *more)

        return inner(environ, bare)

    app.wsgi_app = without_policy  # type: ignore[method-assign]
    documents = {name: render(text) for name, text in HOSTILE.items()}
    fill(hut, app.extensions["kept"], documents)

    ran, asked = browse(page, site)

    assert taken
    said = page.evaluate(f"fetch(location).then(r => r.headers.get('{POLICY}'))")
    assert said is None
    assert page.locator("hut-html").count() == len(HOSTILE)
    assert ran == []
    assert asked == []


def test_without_a_sanitiser_no_script_runs_and_no_other_site_is_asked(
    page: Page, site: str, hut: Hut, app: Flask
) -> None:
    fill(hut, app.extensions["kept"], HOSTILE)

    ran, asked = browse(page, site)

    assert ran == []
    assert [request for request in asked if site not in request] == []
    assert [request for request in asked if not request.startswith("GET ")] == []


def test_what_is_kept_is_shown_with_its_images(page: Page, site: str, hut: Hut, app: Flask) -> None:
    kept: Kept = app.extensions["kept"]
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><script>x</script></svg>'
    fill(hut, kept, {"report": render("# Report\n\n![loss](plot.svg)\n\n| a |\n|--:|\n| 1 |")})
    with hut.database.writing() as session:
        task = session.get(Task, hut.task_id(RUN, "fit"))
        assert task
        file = RemoteFile("t", Area.OUTPUT, b"plot.svg", len(svg), 1)
        outputs.record(session, task, [Found(file, kept.put(svg))], keep_vanished=True)
        task.version = next_version(session, RUN)

    ran, asked = browse(page, site)

    assert (ran, asked) == ([], [])
    width = "images => images.map(image => image.naturalWidth)"
    assert page.locator("#panel img").evaluate_all(width) == [40, 40]
    expect(page.locator("hut-html h1")).to_have_text("Report")
    expect(page.locator("hut-html td")).to_have_css("text-align", "right")
