"""Answering a login in a real browser, while the page refreshes itself."""

import json

import pytest

from scripthut.store.machines import logins
from tests.web.conftest import SOON
from tests.web.test_logins import asks

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("size", [(1400, 900), (390, 800)])
def test_what_is_typed_survives_a_refresh_and_is_sent(page, hut, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    box = asks(hut)
    with page.expect_response(lambda r: r.url.endswith("/backends")):
        page.goto("/backends")
    code = page.get_by_label("Code:")
    code.fill("123456")
    with page.expect_response(lambda r: r.url.endswith("/backends"), timeout=SOON + 4000):
        page.get_by_label("Where?").press_sequentially("here")
    page.wait_for_timeout(100)  # the answer is put into the page
    assert (code.input_value(), page.get_by_label("Where?").input_value()) == ("123456", "here")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0]
    page.get_by_role("button", name="Answer").click()
    page.get_by_text("on its way").wait_for(timeout=SOON)
    with hut.database.reading() as session:
        sealed = logins.find(session, "cluster", box.key)
    assert json.loads(box.open(sealed)) == ["123456", "here"]
