"""Runs side by side."""

import csv
import io
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scripthut.core.jobs import Area
from scripthut.core.measures import figures
from scripthut.core.measures.metrics import Metrics
from scripthut.store import metrics
from scripthut.store.files.kept import Kept
from scripthut.store.models import Task
from tests.web.conftest import Hut, Keep

OLD, NEW, FIRST = "oldoldol", "newnewne", "firstfir"
TABLE = "# Fit\n\n| fold | loss |\n|--|--|\n| a | {} |\n| b | 0.4 |\n"


SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 6"><rect {} {}/></svg>'


def square(colour: str) -> bytes:
    return SQUARE.format('width="9" height="6"', f'fill="{colour}"').encode()


@pytest.fixture
def runs(hut: Hut, keep: Keep, app: Flask) -> tuple[str, str]:
    kept: Kept = app.extensions["kept"]
    for run, loss, colour, age in ((OLD, 0.5, "red", 3), (NEW, 0.25, "blue", 2)):
        states = {"fit": "completed", "same": "completed", "end": "completed"}
        if run == NEW:
            states = {"fit": "completed", "same": "completed", "extra": "failed"}
        hut.run(states, run, age=timedelta(hours=age))
        text = TABLE.format(loss).encode()
        keep("task-summary.md", text, "fit", run_id=run)
        sha = kept.put(text)
        kept.put_as(figures.key(sha, "x.md"), figures.read("x.md", text))
        keep("t.csv", f"k,v\nx,{loss}\ny,1\n".encode(), "fit", run_id=run)
        keep("plot.svg", square(colour), "fit", run_id=run)
        keep("model.bin", b"\0" * int(loss * 100), "fit", run_id=run)
        keep("same.txt", b"the same", "fit", run_id=run)
        keep("same.md", b"**same**", "same", run_id=run)
        keep("fit.md", f"<b>Best</b> {loss}".encode(), "fit", area=Area.FRAGMENT, run_id=run)
        with hut.database.writing() as session:
            task = session.get_one(Task, hut.task_id(run, "fit"))
            metrics.record(session, task, "m", Metrics({"loss": loss, "by": "adam", "f": "=1"}))
    return OLD, NEW


@pytest.fixture
def page(client: FlaskClient, runs: tuple[str, str]) -> str:
    return client.get(f"/compare?runs={OLD},{NEW}").text


def test_a_run_offers_those_of_its_name_the_one_before_first(
    client: FlaskClient, hut: Hut, runs: tuple[str, str]
) -> None:
    hut.run(["a"], FIRST, age=timedelta(hours=9))
    hut.run(["a"], "elsewher", name="another study")

    page = client.get(f"/compare?runs={NEW}").text

    found = re.findall(r'href="/compare\?runs=([\w,%]+)"><?[^<]*<code', page)
    links = re.findall(r'class="name" href="/compare\?runs=([^"]+)"', page)
    assert [link.replace("%2C", ",") for link in links] == [f"{OLD},{NEW}", f"{FIRST},{NEW}"], found
    assert "the one before" in page
    assert "elsewher" not in page
    assert f"/compare?runs={NEW}" in client.get(f"/runs/{NEW}").text


def test_metrics_that_differ_are_marked_and_by_how_much(page: str) -> None:
    assert "-0.25 (-50 %)" in page
    assert ">adam<" not in page, "what is the same is not shown"


def test_a_number_in_a_table_that_differs_is_marked(page: str) -> None:
    assert page.count("<del>0.5</del> <ins>0.25</ins>") == 2, "in the summary and in the CSV"
    assert "1 difference in its table" in page


def test_summaries_stand_side_by_side_each_with_its_own_ids(page: str) -> None:
    documents = re.findall(r'data-html="([^"]*Fit[^"]*)"', page)
    ids = [re.findall(r"user-content-\d+-fit", html)[0] for html in documents]
    assert len(set(ids)) == 2


def test_every_way_of_differing_is_told(page: str) -> None:
    assert re.search(r'model\.bin</span><span class="quiet">differs', page)
    assert page.count("not in this run") == 2
    assert "1 file is the same." in page
    assert 'id="task-same"' not in page
    assert page.index('id="task-fit"') < page.index('id="task-end"'), "with the run's summary first"


def test_all_can_be_shown(client: FlaskClient, runs: tuple[str, str]) -> None:
    page = client.get(f"/compare?runs={OLD},{NEW}&all=1").text
    assert 'id="task-same"' in page
    assert ">adam<" in page


def test_programs_get_json_and_csv(client: FlaskClient, runs: tuple[str, str]) -> None:
    told = client.get(f"/api/v1/compare?runs={OLD},{NEW}").json
    ways = {(one["task_id"], one["path"]): one["way"] for one in told["files"]}
    rows = list(csv.reader(io.StringIO(client.get(f"/compare?runs={OLD},{NEW}&format=csv").text)))

    assert told["metrics"][0] == {
        "task_id": "fit",
        "name": "loss",
        "values": [0.5, 0.25],
        "differs": True,
    }
    assert ways["fit", "plot.svg"] == "changed"
    assert ways["same", "same.md"] == "same"
    assert rows[:2] == [["task", "metric", OLD, NEW], ["fit", "loss", "0.5", "0.25"]]
    assert ["fit", "f", "'=1", "'=1"] in rows


def test_more_than_two_runs_share_the_metrics_and_a_plot(
    client: FlaskClient, hut: Hut, runs: tuple[str, str]
) -> None:
    hut.run(["fit"], FIRST)
    page = client.get(f"/compare?runs={FIRST}&runs={OLD}&runs={NEW}&y=loss").text
    assert '<svg class="axes"' in page
    assert "against this one" in page
    other = client.get(f"/compare?runs={FIRST},{OLD},{NEW}&pair={OLD},{NEW}").text
    assert "<del>0.5</del> <ins>0.25</ins>" in other


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("runs=nothing1", 404),
        (f"runs={OLD},nothing1", 404),
        ("runs=" + ",".join(f"r{n}" for n in range(99)), 422),
        (f"runs={OLD},{OLD}", 200),
    ],
)
def test_a_wrong_address_is_told_what_is_wrong(
    client: FlaskClient, runs: tuple[str, str], query: str, status: int
) -> None:
    assert client.get(f"/compare?{query}").status_code == status
