"""A run's report is small enough to mail, and holds what the site's pages do."""

import base64
import os
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scripthut.core.measures.metrics import Metrics
from scripthut.store import metrics
from scripthut.store.files import pictures
from scripthut.store.files.kept import Kept
from scripthut.store.files.pictures import Made
from scripthut.store.models import Task
from scripthut.web.takeaway import reports
from tests.web.conftest import Hut, Keep

RUN = "abcdefgh"
SENTENCE = "This is a smaller picture of it"


@pytest.fixture
def draw(hut: Hut, keep: Keep, app: Flask) -> Keep:
    """Keep pictures of a size, each with a thumbnail of 5 KB."""
    kept: Kept = app.extensions["kept"]

    def draw(size: int, key: str) -> bytes:
        small = os.urandom(5000)
        sha = kept.put(data := os.urandom(size))
        keep("plot.png", data, key)
        with hut.database.writing() as session:
            pictures.want(session, [sha])
            pictures.record(session, [Made(sha, 1600, 900, kept.put(small))])
        return base64.b64encode(small)

    return draw


def test_what_was_measured_stands_in_the_report(client: FlaskClient, hut: Hut) -> None:
    hut.run({"a": "completed", "b": "completed"}, RUN)
    with hut.database.writing() as session:
        task = session.get_one(Task, hut.task_id(RUN, "a"))
        metrics.record(session, task, "m", Metrics({"loss": 0.25, "by": "<b>adam"}))
    page = client.get(f"/runs/{RUN}/report").text
    assert '<td class="num">0.25</td><td class="num">&lt;b&gt;adam</td>' in page


def test_a_run_that_measured_nothing_has_no_such_part(client: FlaskClient, hut: Hut) -> None:
    hut.run(["a"], RUN)
    assert 'id="metrics"' not in client.get(f"/runs/{RUN}/report").text


def test_a_huge_picture_is_there_in_small_and_says_so(
    client: FlaskClient, hut: Hut, draw: Keep
) -> None:
    hut.run(["a", "b"], RUN)
    small = draw(reports.IMAGE + 1, "a")
    draw(1000, "b")
    page = client.get(f"/runs/{RUN}/report").data
    assert b"data:image/webp;base64," + small in page  # type: ignore[operator]
    assert page.count(SENTENCE.encode()) == 1, "the other one stands as it is"


def test_very_many_plots_stay_small_enough_to_mail(
    client: FlaskClient, hut: Hut, draw: Keep
) -> None:
    keys = [f"t{n}" for n in range(100)]
    hut.run(keys, RUN)
    for key in keys:
        draw(200_000, key)
    page = client.get(f"/runs/{RUN}/report").data
    assert len(re.findall(rb"data:image/webp;base64,", page)) == 100
    assert len(page) < 2_000_000


def test_a_diagram_stands_as_its_source(client: FlaskClient, hut: Hut, keep: Keep) -> None:
    hut.run({"fit": "completed"}, RUN)
    keep("task-summary.md", b"```mermaid\nflowchart LR\n  a --> b\n```\n")
    page = client.get(f"/runs/{RUN}/report").text
    assert "flowchart LR\n  a --&gt; b" in page
    assert "<script" not in page
