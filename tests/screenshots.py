"""`make screenshots`: every page of a filled site, in both themes and both widths, as pictures.

.venv/bin/python -m tests.screenshots [DIRECTORY] [NAME ...]
"""

import base64
import sys
import tempfile
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from tests import showroom
from tests.chromium import launch
from tests.serving import ROOT

WIDTHS = {"wide": (1400, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
PAGES = {
    "overview": "/",
    "runs": "/runs",
    "run": f"/runs/{showroom.DONE}",
    "run-failed": f"/runs/{showroom.FAILED}",
    "run-large": f"/runs/{showroom.LARGE}",
    "run-filtered": f"/runs/{showroom.LARGE}?state=failed&state=running&by=-elapsed&find=sim",
    "graph": f"/runs/{showroom.FAILED}?view=graph",
    "graph-large": f"/runs/{showroom.LARGE}?view=graph",
    "gantt": f"/runs/{showroom.FAILED}?view=gantt",
    "gantt-large": f"/runs/{showroom.LARGE}?view=gantt",
    "task-why": f"/runs/{showroom.FAILED}/tasks/assemble.sample_17",
    "task-script": f"/runs/{showroom.FAILED}/tasks/assemble.sample_17?tab=script",
    "task-log": f"/runs/{showroom.FAILED}/tasks/assemble.sample_17?tab=output",
    "task-outputs": f"/runs/{showroom.DONE}/tasks/report?tab=outputs",
    "task-lost": f"/runs/{showroom.FAILED}/tasks/assemble.sample_28",
    "task-details": f"/runs/{showroom.DONE}/tasks/sim.0004",
    "attempt": f"/runs/{showroom.FAILED}/tasks/assemble.sample_24/attempts/1",
    "task-env": f"/runs/{showroom.FAILED}/tasks/assemble.sample_17?tab=env",
    "task-both": f"/runs/{showroom.FAILED}/tasks/assemble.sample_17?tab=both",
    "task-json": f"/runs/{showroom.FAILED}/tasks/assemble.sample_17?tab=json",
    "gallery": f"/runs/{showroom.DONE}/gallery",
    "metrics": f"/runs/{showroom.DONE}/metrics",
    "compare": f"/compare?runs={showroom.BEFORE},{showroom.DONE}",
    "compare-choose": f"/compare?runs={showroom.DONE}",
    "messages": f"/runs/{showroom.DONE}/messages",
    "queue": "/queue",
    "queue-all": "/queue?who=all",
    "queue-ended": "/queue?phase=ended",
    "queue-filtered": "/queue?find=sim&phase=queued&by=-submitted",
    "sources": "/sources",
    "source-start": "/sources/climate/start?workflow=.hut/workflows/sweep.json",
    "backends": "/backends",
    "backend": "/backends/hpc",
    "runs-picked": "/runs?select=ended",
    "question-delete": "/runs/ask/delete?ended=&find=qc",
    "backend-log": "/backends/hpc/log",
    "disk": "/disk",
    "disk-one": "/disk?backend=hpc&by=-modified&choose=orphaned",
    "disk-question": f"/disk/hpc/ask?scan=scan0001&things={showroom.DISK}",
    "settings": "/settings",
    "settings-file": "/settings/file",
    "pause": "/backends/hpc/ask/pause",
    "question-rerun": f"/runs/{showroom.DONE}/ask/rerun",
    "login": "/backends/guarded",
    "question": f"/runs/{showroom.FAILED}/ask/cancel",
    "not-found": "/runs/nowhere1",
}


def main(directory: Path, names: list[str]) -> None:
    """Take the pictures of these pages, all of them when none is named."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        server = make_server("127.0.0.1", 0, showroom.make(Path(data)), threaded=True)
        Thread(target=server.serve_forever, daemon=True).start()
        browser = launch(playwright)
        for width in WIDTHS:
            for theme in THEMES:
                take(
                    browser,
                    f"http://127.0.0.1:{server.server_port}",
                    (width, theme),
                    directory,
                    names,
                )
        browser.close()
        server.shutdown()


def take(
    browser: Browser, site: str, how: tuple[str, str], directory: Path, names: list[str]
) -> None:
    """Take every page in one width and one theme."""
    width, theme = how
    size = WIDTHS[width]
    context = browser.new_context(
        base_url=site, viewport={"width": size[0], "height": size[1]}, color_scheme=theme,
        locale="en-GB", timezone_id="Europe/Zurich",
    )  # fmt: skip
    page = context.new_page()
    for name in names or PAGES:
        page.goto(PAGES[name])
        page.wait_for_load_state("networkidle") if "summary" in name else page.wait_for_timeout(400)
        (directory / f"{name}-{width}-{theme}.webp").write_bytes(picture(page))
    context.close()


def picture(page: Page) -> bytes:
    """What the window shows, as a small picture."""
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": 45})
    return base64.b64decode(taken["data"])


if __name__ == "__main__":
    words = sys.argv[1:] or [str(ROOT / "docs" / "screenshots")]
    main(Path(words[0]), words[1:])
