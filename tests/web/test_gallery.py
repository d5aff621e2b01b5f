"""One plot over all tasks of a run."""

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select

from scripthut.core.measures.metrics import Metrics
from scripthut.store import metrics
from scripthut.store.files import pictures
from scripthut.store.files.kept import Kept
from scripthut.store.files.pictures import Made
from scripthut.store.models import Output, Task
from tests.web.conftest import Hut, Keep

HTMX = {"HX-Request": "true", "HX-Target": "section#wall"}


@pytest.fixture
def run(hut: Hut, keep: Keep) -> str:
    run = hut.run(
        {"fit.a": "completed", "fit.b": "running", "fit.c": "completed", "end": "pending"}
    )
    for n, key in enumerate(("fit.a", "fit.b", "fit.c")):
        keep("loss.png", f"png {key}".encode(), key)
        with hut.database.writing() as session:
            task = session.get_one(Task, hut.task_id(run, key))
            metrics.record(session, task, "m", Metrics({"loss": 3 - n}))
    keep("curve.svg", b"<svg/>", "fit.a")
    keep("tall tales/größe #1?.png", b"odd", "fit.c")
    keep("notes.txt", b"text", "fit.c")
    return run


def walls(page: str) -> list[str]:
    return re.findall(r'alt="([^"]*)"', page)


def test_the_plots_of_one_name_stand_together(client: FlaskClient, run: str) -> None:
    page = client.get(f"/runs/{run}/gallery").text
    assert "loss.png</a>" in page
    assert "Plots of one task alone" in page
    assert len(walls(page)) == 1 + 3 + 2, "the logo, the group and the two others"
    assert "notes.txt" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["fit.a", "fit.b", "fit.c"]),
        ("sort=loss", ["fit.c", "fit.b", "fit.a"]),
        ("sort=loss&order=down", ["fit.a", "fit.b", "fit.c"]),
        ("q=loss<3", ["fit.b", "fit.c"]),
        ("page=9", []),
    ],
)
def test_a_wall_sorts_by_metrics(
    client: FlaskClient, run: str, query: str, found: list[str]
) -> None:
    page = client.get(f"/runs/{run}/gallery?plot=loss.png&{query}").text
    assert [alt.removeprefix("loss.png of ") for alt in walls(page)[1:]] == found


def test_next_and_previous_go_along_the_wall(client: FlaskClient, run: str) -> None:
    wall = client.get(f"/runs/{run}/gallery?plot=loss.png&sort=loss").text
    at = unescape(re.findall(r'href="([^"]*at=\d+)"', wall)[0])
    seen = []
    while at:
        page = client.get(at).text
        seen.append(re.findall(r'<h1 class="path">(\S+)', page)[0])
        following = re.findall(r'rel="next" href="([^"]*)"', page)
        at = unescape(following[0]) if following else ""
    assert seen == ["fit.c", "fit.b", "fit.a"]


def test_an_odd_name_has_its_wall_and_its_picture(client: FlaskClient, run: str) -> None:
    page = client.get(f"/runs/{run}/gallery?plot=").text
    thumbs = [unescape(url) for url in re.findall(r'<img src="([^"]*thumb[^"]*)"', page)]
    assert [client.get(url).data for url in thumbs] == [b"<svg/>", b"odd"]


def test_a_thumbnail_is_sent_and_kept_by_the_browser(
    client: FlaskClient, app: Flask, hut: Hut, run: str
) -> None:
    kept: Kept = app.extensions["kept"]
    told = client.get(f"/api/v1/runs/{run}/gallery?plot=loss.png").json["pictures"]
    shot = told[0]
    before = client.get(shot["thumb_url"])
    with hut.database.writing() as session:
        pictures.want(session, [shot["sha256"]])
        small = Made(shot["sha256"], 1600, 900, kept.put(b"small"))
        pictures.record(session, [small])

    after = client.get(shot["thumb_url"])

    assert (before.data, before.headers["Cache-Control"]) == (b"png fit.a", "private, no-cache")
    assert (after.data, after.mimetype) == (b"small", "image/webp")
    assert "immutable" in after.headers["Cache-Control"]
    assert "sandbox" in after.headers["Content-Security-Policy"]
    assert client.get(shot["thumb_url"], headers={"Sec-Fetch-Dest": "script"}).status_code == 404
    again = client.get(f"/api/v1/runs/{run}/gallery?plot=loss.png").json["pictures"][0]
    assert (again["width"], again["height"]) == (1600, 900)


def test_only_what_was_listed_has_a_thumbnail(client: FlaskClient, run: str) -> None:
    assert client.get(f"/runs/{run}/tasks/fit.a/outputs/thumb/999").status_code == 404
    assert client.get(f"/runs/{run}/gallery?plot=loss.png&at=999").status_code == 404
    assert client.get("/runs/nothing1/gallery").status_code == 404


def test_an_open_wall_is_told_what_is_new(client: FlaskClient, keep: Keep, run: str) -> None:
    page = client.get(f"/runs/{run}/gallery?plot=loss.png").text
    poll = unescape(re.findall(r'hx-get="([^"]*since=[^"]*)"', page)[0])
    assert client.get(poll, headers=HTMX).status_code == 204
    keep("loss.png", b"one more", "end")
    assert "loss.png of end" in client.get(poll, headers=HTMX).text


def test_a_run_that_drew_nothing_says_how(client: FlaskClient, hut: Hut) -> None:
    run = hut.run(["a"])
    assert "No task has drawn anything" in client.get(f"/runs/{run}/gallery").text


def test_a_wall_of_ten_thousand_stays_light(client: FlaskClient, hut: Hut) -> None:
    run = hut.run({f"t{n}": "completed" for n in range(10_000)})
    with hut.database.writing() as session:
        facts = {"area": "output", "raw": b"p.png", "path": "p.png", "size": 9, "mtime_ns": 1}
        rows = [
            {**facts, "task_id": task, "attempt": 1, "kind": "image", "sha256": f"{task:064x}"}
            for task in session.scalars(select(Task.id))
        ]
        session.execute(insert(Output), rows)
    page = client.get(f"/runs/{run}/gallery?plot=p.png").text
    assert len(walls(page)) == 101
    assert page.count('loading="lazy"') == 100
    assert len(page) < 100_000
    assert "1–100 of 10000" in page
