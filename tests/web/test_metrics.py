"""The table of what a run's tasks have measured."""

import csv
import io
import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, insert, select

from scripthut.core.measures.metrics import Curve, Metrics
from scripthut.store import metrics
from scripthut.store.models import MetricsRow, Task
from scripthut.store.versions import next_version
from tests.web.conftest import Hut

HTMX = {"HX-Request": "true", "HX-Target": "section#board"}


def say(hut: Hut, key: str, curves: dict[str, Curve] | None = None, **values: Any) -> None:
    """A task's metrics as the engine would have read them."""
    with hut.database.writing() as session:
        task = session.get_one(Task, hut.task_id("abcdefgh", key))
        named = {name.replace("__", "."): value for name, value in values.items()}
        metrics.record(session, task, "mark", Metrics(named, curves or {}))
        task.version = next_version(session, "abcdefgh")


@pytest.fixture
def run(hut: Hut) -> str:
    run = hut.run(
        {"fit.a": "completed", "fit.b": "completed", "fit.c": "running", "end": "pending"}
    )
    say(hut, "fit.a", loss=0.5, by="=cmd|' /C calc'!A0", rate=1)
    say(hut, "fit.b", {"loss": Curve((0, 1, 2), (3, None, 0.25))}, loss=0.25, by="adam", rate=2)
    say(hut, "fit.c", loss="NaN", by="<b>sgd</b>", rate=3)
    return run


def tasks(page: str) -> list[str]:
    return re.findall(r'<th scope="row" class="key"><a [^>]*>([^<]*)', page)


def test_tasks_are_compared_in_one_table(client: FlaskClient, run: str) -> None:
    page = client.get(f"/runs/{run}/metrics").text

    assert tasks(page) == ["fit.a", "fit.b", "fit.c", "end"]
    assert "&lt;b&gt;sgd&lt;/b&gt;" in page
    assert "<b>sgd" not in page
    assert re.search(r'<svg class="axes"', page)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=loss", ["fit.b", "fit.a", "fit.c", "end"]),
        ("sort=loss&order=down", ["fit.a", "fit.b", "fit.c", "end"]),
        ("q=loss<0.4", ["fit.b"]),
        ("q=rate%3E1", ["fit.b", "fit.c"]),
        ("sort=nothing&q=fit", ["fit.a", "fit.b", "fit.c"]),
        ("page=7", []),
        ("page=-1&x=~course&y=loss&log=1", ["fit.a", "fit.b", "fit.c", "end"]),
    ],
)
def test_it_sorts_and_filters(client: FlaskClient, run: str, query: str, found: list[str]) -> None:
    assert tasks(client.get(f"/runs/{run}/metrics?{query}").text) == found


def test_a_name_that_no_task_has_is_told(client: FlaskClient, run: str) -> None:
    page = client.get(f"/runs/{run}/metrics?q=los<3").text
    assert "No task has a metric that is called los" in page


def test_a_course_is_drawn_with_its_gap(client: FlaskClient, run: str) -> None:
    page = client.get(f"/runs/{run}/metrics?y=loss&x=~course").text
    assert len(re.findall(r"<polyline", page)) == 2
    assert "<title>fit.b</title>" in page


def test_csv_holds_everything_and_no_formula(client: FlaskClient, run: str) -> None:
    answer = client.get(f"/runs/{run}/metrics?format=csv&sort=loss")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert answer.mimetype == "text/csv"
    assert (
        'attachment; filename="study-abcdefgh-metrics.csv"' in answer.headers["Content-Disposition"]
    )
    assert [row["task"] for row in rows] == ["fit.b", "fit.a", "fit.c", "end"]
    assert rows[1]["by"] == "'=cmd|' /C calc'!A0"
    assert rows[2]["loss"] == "NaN"


def test_programs_get_json(client: FlaskClient, run: str) -> None:
    told = client.get(f"/api/v1/runs/{run}/metrics").json
    curves = client.get(f"/api/v1/runs/{run}/metrics/curves?name=loss").json

    assert told["names"] == ["loss", "by", "rate"]
    assert told["tasks"][1]["metrics"] == {"loss": 0.25, "by": "adam", "rate": 2}
    assert curves["tasks"] == [{"task_id": "fit.b", "x": [0, 1, 2], "y": [3, None, 0.25]}]
    assert client.get("/api/v1/runs/nothing1/metrics").status_code == 404
    assert client.get(f"/api/v1/runs/{run}/metrics?format=xml").status_code == 422


def test_an_open_page_is_told_what_is_new_and_nothing_else(
    client: FlaskClient, hut: Hut, run: str
) -> None:
    page = client.get(f"/runs/{run}/metrics?sort=loss").text
    poll = unescape(re.findall(r'hx-get="([^"]*since=[^"]*)"', page)[0])
    assert client.get(poll, headers=HTMX).status_code == 204

    say(hut, "fit.c", loss=0.1)
    answer = client.get(poll, headers=HTMX).text

    assert tasks(answer)[0] == "fit.c"
    assert answer.lstrip().startswith('<section id="board"')


def test_a_run_that_is_over_asks_no_more(client: FlaskClient, hut: Hut, run: str) -> None:
    hut.end(run)
    assert "since=" not in client.get(f"/runs/{run}/metrics").text


def test_a_run_without_metrics_says_how_to_write_them(client: FlaskClient, hut: Hut) -> None:
    run = hut.run(["a"])
    assert "metrics.json" in client.get(f"/runs/{run}/metrics").text


def test_ten_thousand_tasks_need_one_question(client: FlaskClient, hut: Hut) -> None:
    run = hut.run([f"t{n}" for n in range(10_000)])
    with hut.database.writing() as session:
        rows = [
            {"task_id": row_id, "attempt": 1, "mark": "m", "found": {"n": n}, "curves": {}}
            for row_id, n in session.execute(select(Task.id, Task.n))
        ]
        session.execute(insert(MetricsRow), rows)
    asked: list[str] = []
    event.listen(
        hut.database.engine,
        "before_cursor_execute",
        lambda *words: asked.append(words[2]),
    )

    page = client.get(f"/runs/{run}/metrics?sort=n&order=down&q=n>5000").text

    assert tasks(page)[0] == "t9999"
    assert (
        len(
            [
                statement
                for statement in asked
                if "FROM tasks" in statement and "metrics" in statement
            ]
        )
        == 1
    )
    assert len(page) < 1_000_000
