"""The page of the disks on a real server, and the same from a terminal."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.backends.test_disk import aged, write
from tests.stories.conftest import free_port
from tests.stories.server import HUT, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 20_000  # milliseconds
LOGS = Path(".cache") / "scripthut" / "logs" / "study"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    for run in ("orphan23", "orphan45"):
        write(home / LOGS / f"scripthut_{run}_fit.out", b"x" * 4000)
        write(home / LOGS / "outputs" / run / "fit" / "plot.png", b"p" * 50_000)
    write(home / ".cache" / "scripthut" / "thesis.tex", b"t")
    aged(home / LOGS, 9 * 86400.0)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[Server]:
    local = {"type": "local", "name": "here"}
    server = Server(tmp_path / "server", free_port(), [local], {"workers": 1})
    server.directory.mkdir()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_default_timeout(SOON)
    yield page
    page.close()
    assert said == []


def test_a_person_scans_marks_and_deletes(page: Page, server: Server, home: Path) -> None:
    page.goto(server.url)
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.get_by_text("has not been scanned yet")).to_be_visible()
    page.get_by_role("button", name="Scan here").click()
    box = page.get_by_label("Mark orphan23")
    expect(box).to_be_visible(timeout=SOON)  # the tables come by themselves
    expect(page.get_by_text("thesis.tex")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(2)
    box.check()
    page.get_by_role("button", name="Delete what is marked…").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Delete 1 thing on here?")
    expect(question).to_contain_text("orphan23 in study")
    question.get_by_role("button", name="Delete 1 thing").click()
    expect(page.get_by_text("What came of deletions")).to_be_visible(timeout=SOON)
    expect(page.get_by_label("Mark orphan23")).to_have_count(0)
    expect(page.get_by_label("Mark orphan45")).to_be_visible()
    assert not list((home / LOGS).glob("*orphan23*"))
    assert not (home / LOGS / "outputs" / "orphan23").exists()
    assert (home / LOGS / "outputs" / "orphan45" / "fit" / "plot.png").exists()


def hut(server: Server, *words: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "SCRIPTHUT_SERVER": server.url, "COLUMNS": "160"}
    return subprocess.run(
        [*HUT, "disk", *words], capture_output=True, text=True, env=env, timeout=90, check=False
    )


def test_the_same_from_a_terminal(server: Server, home: Path) -> None:
    assert "not scanned yet" in hut(server).stdout
    done = hut(server, "scan", "--interval", "0.2")
    assert done.returncode == 0, done.stderr
    shown = "".join(done.stdout.split())  # long paths go on in the next line
    assert "orphan23" in shown and "thesis.tex" in shown
    done = hut(server, "clean", "--backend", "here", "--dry-run")
    assert done.stderr.count("delete ") == 2 and (home / LOGS / "outputs" / "orphan23").exists()
    refused = hut(server, "clean", "--backend", "here")  # nobody is there to say yes
    assert refused.returncode != 0 and (home / LOGS / "outputs" / "orphan23").exists()
    path = f"{home / LOGS}:orphan23"
    done = hut(server, "clean", "--backend", "here", "--path", path, "--yes", "--json")
    (one,) = json.loads(done.stdout)
    assert one["deleted"] and one["path"] == path and done.returncode == 0
    assert not (home / LOGS / "outputs" / "orphan23").exists()
    assert (home / LOGS / "outputs" / "orphan45").exists()
