"""The editor of the configuration, and a pause, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from scripthut.config import Live, Where, resolve
from scripthut.store.db import Database
from scripthut.store.machines import pauses
from scripthut.store.machines.pauses import Kind
from scripthut.store.models import Base
from scripthut.web import create_app

pytestmark = [pytest.mark.browser]

TEXT = """\
# ours
settings:
  data_dir: {data}
  cli_auth: {{cf_access_token: hunter22}}
backends:
  - {{name: cluster, type: local}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "scripthut.yaml"
    file.write_text(TEXT.format(data=tmp_path / "data"))
    return file


@pytest.fixture
def app(file: Path) -> Iterator[Flask]:
    where = Where(file, file.parent, file.parent)
    app = create_app(Live.begin(resolve(where, {}), where, {}))
    database: Database = app.extensions["database"]
    Base.metadata.create_all(database.engine)
    yield app
    database.dispose()


def test_a_file_is_edited_checked_and_saved(page: Page, file: Path, complaints) -> None:
    page.goto("/settings")
    page.get_by_role("link", name="Edit").click()
    sheet = page.get_by_label("The text of scripthut.yaml")
    expect(sheet).to_have_value(re.compile("kept-secret-1"))
    before = sheet.input_value()
    numbers = page.locator(".numbers span")
    assert numbers.count() == before.count("\n") + 1
    sheet.fill(
        before.replace("backends:", "env:\n  - set: {A: b}\nbackends:").replace("type", "tip")
    )
    assert numbers.count() == before.count("\n") + 3
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert").filter(has_text="Nothing was written")).to_be_visible()
    expect(page.locator(".numbers .bad").first).to_have_text("8")
    assert any("422" in text for text in complaints)
    complaints.clear()
    sheet.fill(sheet.input_value().replace("tip: local", "type: local"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("It can be used.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("scripthut.yaml is saved")).to_be_visible()
    expect(page.get_by_text("env[0].set.A", exact=True)).to_be_visible()
    saved = file.read_text()
    assert saved.startswith("# ours\n") and "\r" not in saved
    assert "cf_access_token: hunter22" in saved and "set: {A: b}" in saved


def test_a_backend_is_paused_in_a_dialog_and_the_page_says_so(page: Page, app: Flask) -> None:
    page.goto("/backends/cluster")
    page.get_by_role("link", name="Pause cluster").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why, for whoever wonders").fill("new cables")
    dialog.get_by_label("Who you are").fill("ada")
    dialog.get_by_role("button", name="Pause it").click()
    expect(page.locator(".paused")).to_contain_text("by ada: new cables")
    database: Database = app.extensions["database"]
    with database.reading() as session:
        assert pauses.every(session, Kind.BACKEND)["cluster"].why == "new cables"
    page.get_by_role("link", name="Resume cluster").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume it").click()
    expect(page.locator(".paused")).to_have_count(0)
