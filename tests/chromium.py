"""Chromium, started once for all tests of a process that look at pages."""

import shutil
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PROGRAMS = ("chromium-headless-shell", "chromium")  # without windows: a fourth of the work


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = launch(playwright)
    yield browser
    browser.close()


@pytest.fixture
def whole_browser(playwright: Playwright) -> Iterator[Browser]:
    """With all that has windows, such as what shows documents of pages."""
    browser = launch(playwright, PROGRAMS[1:])
    yield browser
    browser.close()


def launch(playwright: Playwright, programs: Sequence[str] = PROGRAMS) -> Browser:
    """Start the first of these that there is."""
    program = next(filter(None, map(shutil.which, programs)), f"/usr/bin/{programs[-1]}")
    return playwright.chromium.launch(executable_path=program, args=ARGS)
