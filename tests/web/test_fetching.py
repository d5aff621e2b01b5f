"""Files that the server does not have: pieces of them, and fetching them whole."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scripthut.backends.sent.files import KINDS
from scripthut.clock import utcnow
from scripthut.core.jobs import Got
from scripthut.store.files import fetches, wishes
from scripthut.store.files.kept import Kept
from scripthut.store.models import Fetch, Output, PieceWish
from tests.web.conftest import Hut, Keep

RUN = "abcdefgh"
LARGE = "is larger than the limit of 5.0 MiB a file"
TABLE = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(1000))


@pytest.fixture
def far(keep: Keep, hut: Hut) -> int:
    """A table that is on the cluster alone: its row."""
    hut.run({"fit": "completed"})
    return keep("t.csv", TABLE, note=LARGE)


def view(row: int, more: str = "") -> str:
    return f"/runs/{RUN}/tasks/fit/outputs/view/{row}{more}"


def api(row: int, what: str) -> str:
    return f"/api/v1/runs/{RUN}/tasks/fit/outputs/{row}/{what}"


def brings(app: Flask, hut: Hut, data: bytes = TABLE, mtime_ns: int = 1) -> int:
    """Do what the engine does with wishes; how many there were."""
    kept: Kept = app.extensions["kept"]
    with hut.database.writing() as session:
        found = wishes.wished(session, "cluster", utcnow())
        for one in found:
            part = data[one.wish.start : one.wish.start + one.wish.length]
            got = Got(part, len(data), mtime_ns, True)
            wishes.came(session, one, got, kept.put(part), utcnow())
    return len(found)


def test_a_page_waits_for_its_piece_and_then_shows_it(
    client: FlaskClient, app: Flask, hut: Hut, far: int
) -> None:
    page = client.get(view(far)).get_data(as_text=True)
    assert "it is here in a moment" in page
    assert LARGE in page
    assert "<td>x</td>" not in page
    assert brings(app, hut) == 1
    page = client.get(view(far)).get_data(as_text=True)
    assert "<td>x</td>" in page
    assert "here in a moment" not in page
    assert brings(app, hut) == 0


def test_the_fragment_that_waits_is_answered_by_the_view_alone(
    client: FlaskClient, app: Flask, hut: Hut, far: int
) -> None:
    headers = {"HX-Request": "true", "HX-Target": f"article#view-{far}"}
    for _ in range(2):
        page = client.get(view(far), headers=headers).get_data(as_text=True)
        assert page.lstrip().startswith(f'<article class="view" id="view-{far}"')
        brings(app, hut)
    assert "<td>x</td>" in page


def test_a_wish_that_nobody_waits_for_is_not_asked_of_the_cluster(
    client: FlaskClient, hut: Hut, far: int
) -> None:
    client.get(view(far))
    with hut.database.reading() as session:
        assert len(wishes.wished(session, "cluster", utcnow())) == 1
        assert wishes.wished(session, "other", utcnow()) == []
        assert wishes.wished(session, "cluster", utcnow() + timedelta(seconds=20)) == []
        assert wishes.backends(session, utcnow()) == {"cluster"}


def test_a_piece_of_a_file_that_has_changed_is_asked_for_again_and_said_to_be(
    client: FlaskClient, app: Flask, hut: Hut, far: int
) -> None:
    client.get(view(far))
    brings(app, hut)
    with hut.database.writing() as session:  # a while later, a listing shows it changed
        session.get_one(Output, far).mtime_ns = 2
        for row in session.query(PieceWish):
            row.got_at -= timedelta(minutes=1)
    following = view(far, f"?at=804&n=201&of={len(TABLE)}-1")
    assert "here in a moment" in client.get(following).get_data(as_text=True)
    assert brings(app, hut, TABLE.replace(b"x", b"y"), mtime_ns=2) == 1
    page = client.get(following).get_data(as_text=True)
    assert "The file has changed on the cluster since you opened it" in page
    page = client.get(view(far)).get_data(as_text=True)
    assert "<td>y</td>" in page
    assert "has changed" not in page


def test_what_cannot_be_read_there_says_why(client: FlaskClient, hut: Hut, far: int) -> None:
    client.get(view(far))
    with hut.database.writing() as session:
        (one,) = wishes.wished(session, "cluster", utcnow())
        wishes.came(session, one, Got(why="cannot be read: Stale file handle"), None, utcnow())
    page = client.get(view(far)).get_data(as_text=True)
    assert "The file cannot be read: Stale file handle." in page
    answer = client.get(api(far, "piece"))
    assert answer.status_code == 404
    assert "Stale file handle" in answer.get_json()["error"]


def test_a_piece_is_there_for_programs(client: FlaskClient, app: Flask, hut: Hut, far: int) -> None:
    client.get(view(far))
    brings(app, hut)
    answer = client.get(api(far, "piece?start=4&length=8"))
    assert answer.status_code == 200
    assert answer.data == b"0,x\n1,x\n"
    assert answer.headers["Content-Range"] == f"bytes 4-11/{len(TABLE)}"
    assert client.get(api(far, "piece?start=-1")).status_code == 422


def test_fetching_is_asked_for_shown_and_stopped(client: FlaskClient, hut: Hut, far: int) -> None:
    htmx = {"HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
    assert "Fetch the whole file" in client.get(view(far)).get_data(as_text=True)
    box = client.post(view(far, "/fetch"), headers=htmx).get_data(as_text=True)
    assert "<progress" in box
    with hut.database.writing() as session:
        assert [one.file.id for one in fetches.going(session, "cluster", utcnow())] == [far]
        fetches.note(session, far, {"done": 1001, "size": 4004, "mtime_ns": 1})
    box = client.get(view(far, "/fetch"), headers=htmx).get_data(as_text=True)
    assert 'max="4004" value="1001"' in box
    told = client.get(api(far, "fetch")).get_json()
    assert told["fetch"] == {"state": "going", "done": 1001, "size": 4004, "problem": None}
    box = client.post(view(far, "/fetch/cancel"), headers=htmx).get_data(as_text=True)
    assert "Fetch the whole file" in box
    assert client.get(api(far, "fetch")).get_json()["fetch"] is None


def test_a_pause_says_why_and_a_fetched_file_is_an_ordinary_one(
    client: FlaskClient, app: Flask, hut: Hut, far: int
) -> None:
    assert client.post(api(far, "fetch"), json={}).status_code == 202
    with hut.database.writing() as session:
        fetches.note(session, far, {"problem": "The disk is full.", "try_at": utcnow()})
    assert "The disk is full. It is tried again" in client.get(view(far)).get_data(as_text=True)
    assert client.get(api(far, "fetch")).get_json()["fetch"]["state"] == "paused"
    kept: Kept = app.extensions["kept"]
    with hut.database.writing() as session:
        fetches.note(session, far, {"size": len(TABLE), "mtime_ns": 1})
        assert fetches.finish(session, far, kept.put(TABLE), None)
    told = client.get(api(far, "fetch")).get_json()
    assert client.get(told["url"]).data == TABLE
    page = client.get(view(far)).get_data(as_text=True)
    assert "on the cluster" not in page
    assert "Rows that contain" in page
    assert client.post(api(far, "fetch"), json={}).status_code == 409


@pytest.mark.parametrize("words", [words for _, words in KINDS])
def test_what_is_never_opened_cannot_be_fetched(
    client: FlaskClient, hut: Hut, keep: Keep, words: str
) -> None:
    hut.run({"fit": "completed"})
    row = keep("odd", note=words)
    page = client.get(view(row)).get_data(as_text=True)
    assert f"The server does not have this file: it {words}." in page
    assert "Fetch" not in page
    answer = client.post(api(row, "fetch"), json={})
    assert answer.status_code == 409
    assert words in answer.get_json()["error"]
    with hut.database.reading() as session:
        assert session.query(PieceWish).count() == session.query(Fetch).count() == 0


def test_images_and_documents_are_not_read_in_pieces_as_if_they_were_whole(
    client: FlaskClient, app: Flask, hut: Hut, keep: Keep
) -> None:
    hut.run({"fit": "completed"})
    png = keep("big.png", b"\x89PNG" + b"x" * 100, note=LARGE)
    text = keep("big.md", b"# Head\n", note=LARGE)
    for row in (png, text):
        client.get(view(row))
    brings(app, hut, b"# Head\n")
    page = client.get(view(png)).get_data(as_text=True)
    assert "once it is fetched" in page
    assert '<img src="/runs' not in page
    page = client.get(view(text)).get_data(as_text=True)
    assert "# Head" in page
    assert "<hut-html" not in page


def test_a_file_that_vanishes_takes_its_wishes_along(
    client: FlaskClient, hut: Hut, far: int
) -> None:
    client.get(view(far))
    client.post(api(far, "fetch"), json={})
    with hut.database.writing() as session:
        session.delete(session.get_one(Output, far))
    with hut.database.reading() as session:
        assert session.query(PieceWish).count() == session.query(Fetch).count() == 0


def test_a_large_kept_file_is_sent_from_any_place(
    client: FlaskClient, app: Flask, hut: Hut, far: int
) -> None:
    kept: Kept = app.extensions["kept"]
    sha = "ab" * 32
    path = kept.path(sha)
    path.parent.mkdir(parents=True)
    size = 6 * 1024**3  # a hole, which the disk does not hold
    with path.open("wb") as file:
        file.seek(size - 3)
        file.write(b"end")
    with hut.database.writing() as session:
        row = session.get_one(Output, far)
        row.sha256, row.size, row.note = sha, size, None
    url = f"/runs/{RUN}/tasks/fit/outputs/id/{far}"
    answer = client.get(url, headers={"Range": f"bytes={size - 5}-"})
    assert answer.status_code == 206
    assert answer.data == b"\0\0end"
    assert answer.headers["Content-Range"] == f"bytes {size - 5}-{size - 1}/{size}"
    assert answer.headers["ETag"] == f'"{sha}"'
    with client.get(url, buffered=False) as whole:
        assert whole.headers["Content-Length"] == str(size)
