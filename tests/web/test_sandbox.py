"""What a task's page may load: its own attempt's files, for an hour, by a word that is signed."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scripthut.clock import utcnow
from scripthut.store.files import frames
from scripthut.store.models import Output, Task
from scripthut.web.outputs import sandbox
from tests.web.conftest import Hut, Keep

RUN = "abcdefgh"
NOW = datetime.now(UTC)


@pytest.fixture
def write(keep: Keep, hut: Hut) -> Keep:
    hut.run({"fit": "completed", "plot": "completed"}, RUN)
    return keep


def address(app: Flask, hut: Hut, row: int, now: datetime = NOW) -> str:
    """Where a frame finds the file, as a page that was made then says."""
    with hut.database.reading() as session, app.test_request_context("/"):
        file = session.get(Output, row)
        assert file is not None
        task = session.get(Task, file.task_id)
        assert task is not None
        found = sandbox.address(task, file, now)
        assert found is not None
        return urlsplit(found).path


def test_a_page_and_what_lies_beside_it_are_served(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep
) -> None:
    url = address(app, hut, write("report/index.html", b"<script src=a.js></script>"))
    write("report/a.js", b"1")
    write("style.css", b"a{}")

    page = client.get(url)

    assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
    folder = url.rpartition("/")[0]
    assert client.get(f"{folder}/a.js").content_type == "text/javascript; charset=utf-8"
    assert (
        client.get(f"{folder.removesuffix('/report')}/style.css").content_type
        == "text/css; charset=utf-8"
    )
    assert client.get(f"{folder}/").data == page.data
    assert client.get(f"{folder}/b.js").status_code == 404


def test_it_is_shut_in(client: FlaskClient, app: Flask, hut: Hut, write: Keep) -> None:
    url = address(app, hut, write("x.html"))
    headers = client.get(url).headers

    policy = headers["Content-Security-Policy"]
    own = f"http://localhost{url.rpartition('/')[0]}/"
    assert policy.startswith("sandbox allow-scripts; ")
    assert "allow-same-origin" not in policy
    assert f"default-src {own} 'unsafe-inline' 'unsafe-eval' data: blob:;" in policy
    assert "form-action 'none'" in policy
    assert "frame-ancestors http://localhost" in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in headers


def test_it_is_never_a_page_by_itself(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep
) -> None:
    url = address(app, hut, write("x.html"))

    assert client.get(url, headers={"Sec-Fetch-Dest": "iframe"}).status_code == 200
    assert client.get(url, headers={"Sec-Fetch-Dest": "document"}).status_code == 404


def test_an_address_is_good_for_an_hour(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep
) -> None:
    row = write("x.html")

    fresh = address(app, hut, row, utcnow() - timedelta(minutes=55))
    stale = address(app, hut, row, utcnow() - timedelta(minutes=61))

    assert client.get(fresh).status_code == 200
    assert client.get(stale).status_code == 404
    assert "no longer good" in client.get(stale, headers={"Accept": "application/json"}).text


def test_other_tasks_files_are_not_there(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep
) -> None:
    url = address(app, hut, write("x.html"))
    write("secret.txt", key="plot")

    assert client.get(url.replace("x.html", "secret.txt")).status_code == 404


def test_other_attempts_files_are_not_there(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep
) -> None:
    url = address(app, hut, write("x.html", b"first"))
    hut.change(RUN, "fit", attempt=2)
    write("x.html", b"second")

    assert client.get(url).data == b"first"


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "9" + t, lambda t: "x"])
def test_a_word_that_was_changed_is_no_good(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep, change
) -> None:
    token = address(app, hut, write("x.html")).split("/")[2]

    for word in (change(token), token.partition("~")[0], "1.1.99999999999~"):
        assert client.get(f"/sandbox/{word}/x.html").status_code == 404


def test_another_server_has_another_key(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep
) -> None:
    url = address(app, hut, write("x.html"))
    app.extensions["site_key"] = b"another"

    assert client.get(url).status_code == 404


def test_the_policy_of_our_pages_admits_this_route_alone(client: FlaskClient, hut: Hut) -> None:
    def frames(**headers: str) -> str:
        policy = client.get("/", headers=headers).headers["Content-Security-Policy"]
        return next(rule for rule in policy.split("; ") if rule.startswith("frame-src"))

    assert frames() == "frame-src http://localhost/sandbox/"
    assert frames(Host="evil;script-src *") == "frame-src 'none'"


def test_a_name_that_no_address_can_say_has_no_frame(
    client: FlaskClient, hut: Hut, write: Keep
) -> None:
    row = write(b"caf\xe9.html")

    page = client.get(f"/runs/{RUN}/tasks/fit/outputs/view/{row}").text

    assert "<iframe" not in page
    assert "can only be downloaded" in page


def test_an_open_page_keeps_its_address_good(
    client: FlaskClient, app: Flask, hut: Hut, write: Keep
) -> None:
    row = write("x.html", b"here")
    page = client.get(f"/runs/{RUN}/tasks/fit/outputs/view/{row}").get_data(as_text=True)
    (where,) = re.findall(r'hx-post="([^"]*/\.renew)"', page)
    assert client.post(where, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204
    assert client.post(where, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    stale = address(app, hut, row, NOW - timedelta(hours=3))
    token = stale.split("/")[2]
    assert client.get(stale).status_code == 404
    refused = client.post(f"/sandbox/{token}/.renew", headers={"Sec-Fetch-Site": "same-origin"})
    assert refused.status_code == 404
    with hut.database.writing() as session:  # as it was kept good, in time
        frames.renew(session, token, utcnow() + timedelta(minutes=10))
    assert client.get(stale).data == b"here"
    forged = stale.replace(token, token[:-1] + ("a" if token[-1] != "a" else "b"))
    assert client.get(forged).status_code == 404
