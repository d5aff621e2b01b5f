"""Two runs side by side in a browser: the slider, and what needs no script."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from tests.web import test_compare
from tests.web.test_compare import NEW, OLD

pytestmark = pytest.mark.browser
runs = test_compare.runs  # its fixture
CLIP = "e => getComputedStyle(e).clipPath"


@pytest.fixture
def page(
    app: Flask, browser: Browser, runs: tuple[str, str], serve: Callable[[Flask], str]
) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(f"{serve(app)}/compare?runs={OLD},{NEW}")
    yield page
    page.close()


def test_a_slider_shows_more_of_one_picture_or_of_the_other(page: Page) -> None:
    shown = page.locator(".stack .other")
    assert shown.evaluate(CLIP) == "inset(0px 0px 0px 50%)"

    page.locator("[data-swipe]").press("End")
    assert shown.evaluate(CLIP) == "inset(0px 0px 0px 100%)"

    page.get_by_label("side by side").check()
    assert shown.evaluate(CLIP) == "none"
    page.get_by_label("difference").check()
    assert shown.evaluate("e => getComputedStyle(e).mixBlendMode") == "difference"
