"""Pins, and what a run's pages say of what it holds."""

from flask.testing import FlaskClient

from scripthut.clock import utcnow
from scripthut.store.keeping import retention
from tests.web.conftest import Hut, Keep

RUN = "abcdefgh"
OURS = {"Sec-Fetch-Site": "same-origin"}


def test_a_run_is_pinned_and_let_go(client: FlaskClient, hut: Hut, keep: Keep) -> None:
    hut.run({"fit": "completed"})
    keep("a.bin", b"x" * 2048)
    page = client.get(f"/runs/{RUN}").get_data(as_text=True)
    assert "2.0 KiB" in page
    assert "Pin</button>" in page
    page = client.post(f"/runs/{RUN}/pin", headers={**OURS, "HX-Request": "true"}).text
    assert page.lstrip().startswith('<div id="run-held">')
    assert "Pinned</button>" in page
    told = client.get(f"/api/v1/runs/{RUN}/holding").get_json()
    assert (told["bytes"], told["removed_at"]) == (2048, None)
    assert told["pinned_at"]
    assert client.post(f"/runs/{RUN}/pin", data={"off": "1"}, headers=OURS).status_code == 303
    assert client.get(f"/api/v1/runs/{RUN}/holding").get_json()["pinned_at"] is None
    assert client.post(f"/api/v1/runs/{RUN}/pin", json={}).get_json()["pinned_at"]
    assert client.post(f"/api/v1/runs/{RUN}/unpin", json={}).get_json()["pinned_at"] is None
    assert client.get(f"/runs/{RUN}/pin").status_code == 405


def test_a_run_that_has_ended_is_deleted_from_its_page(client: FlaskClient, hut: Hut) -> None:
    hut.run({"fit": "running"}, "goeson00")
    assert "ask/delete" not in client.get("/runs/goeson00").text
    assert client.get("/runs/goeson00/ask/delete").status_code == 409
    assert client.post("/runs/goeson00/delete", headers=OURS).status_code == 409
    hut.run({"fit": "completed"})
    assert f'href="/runs/{RUN}/ask/delete"' in client.get(f"/runs/{RUN}").text
    said = client.get(f"/runs/{RUN}/ask/delete").text
    assert "What it wrote on cluster stays there" in said
    assert client.post(f"/runs/{RUN}/delete", headers=OURS).location == "/runs"
    assert client.get(f"/runs/{RUN}").status_code == 404


def test_what_was_removed_is_named(client: FlaskClient, hut: Hut, keep: Keep) -> None:
    hut.run({"fit": "completed"})
    row = keep("a.bin", b"x" * 2048)
    with hut.database.writing() as session:
        retention.expire(session, RUN, "its run ended more than 30 days ago", utcnow())
    page = client.get(f"/runs/{RUN}").get_data(as_text=True)
    assert "Files were removed" in page
    assert "its run ended more than 30 days ago" in page
    panel = client.get(f"/runs/{RUN}/tasks/fit/detail/outputs").get_data(as_text=True)
    (file,) = client.get(f"/api/v1/runs/{RUN}/tasks/fit/outputs").get_json()["files"]
    assert len(file["was_sha256"]) == 64
    for said in (panel, client.get(f"/runs/{RUN}/tasks/fit/outputs/view/{row}").text):
        assert file["was_sha256"] in said
        assert "2.0 KiB" in said
        assert "was removed from the server: its run ended more than 30 days ago" in said
    log = client.get(f"/runs/{RUN}/tasks/fit/detail/output").get_data(as_text=True)
    assert "was removed from the server" in log
