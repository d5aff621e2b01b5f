"""Pausing a backend or a source, from its page and by the API; and who says so then."""

import pytest
from sqlalchemy import update

from scripthut.config import parse
from scripthut.store.machines import pauses, surveys
from scripthut.store.machines.pauses import Kind, Words
from scripthut.store.models import Run

JSON = {"Content-Type": "application/json"}
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def config(tmp_path):
    source = {"type": "path", "name": "study", "path": str(tmp_path), "backend": "cluster"}
    return parse(
        {
            "backends": [{"type": "local", "name": "cluster"}],
            "sources": [source],
            "settings": {"data_dir": str(tmp_path / "data")},
        }
    )


def pause(hut, kind=Kind.BACKEND, name="cluster"):
    with hut.database.writing() as session:
        pauses.pause(session, kind, name, Words("ada", "maintenance"), hut.now)


def test_the_question_says_what_is_there(client, hut):
    hut.run({"a": "running", "b": "queued", "c": "pending", "d": "completed"})
    page = client.get("/backends/cluster/ask/pause").text
    assert "Pause cluster?" in page and "2 tasks are with its scheduler" in page
    assert "1 task that has not begun will wait" in page
    assert 'name="why"' in page and 'name="who"' in page


def test_the_answer_pauses_it_with_its_words(client, hut):
    form = {"why": "new  cables", "who": "ada"}
    answer = client.post("/backends/cluster/pause", data=form, headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/backends/cluster")
    for page in ("/backends", "/backends/cluster"):
        text = client.get(page).text
        assert 'data-state="paused"' in text and "by ada: new cables" in text
        assert 'href="/backends/cluster/ask/resume"' in text
    assert 'data-state="paused"' in client.get("/").text


def test_a_second_pause_is_refused_with_the_first_ones_words(client, hut):
    pause(hut)
    answer = client.post("/api/v1/backends/cluster/pause", json={"why": "mine"})
    assert answer.status_code == 409
    assert "by ada: maintenance" in answer.json["error"]
    assert client.get("/backends/cluster/ask/pause").status_code == 409


def test_resuming_has_the_engine_look_at_once(client, hut):
    pause(hut)
    assert "It is paused since" in client.get("/backends/cluster/ask/resume").text
    client.post("/backends/cluster/resume", headers=OURS)
    with hut.database.reading() as session:
        assert pauses.every(session, Kind.BACKEND) == {}
        assert surveys.due(session, hut.now) == {"cluster"}
    assert client.post("/backends/cluster/resume", headers=OURS).status_code == 409


def test_a_task_says_what_it_waits_for_and_its_run_too(client, hut):
    hut.run({"fit": "pending", "next": "running"})
    sentence = "It can start once its backend is resumed. The backend is paused since"
    assert sentence not in client.get("/runs/abcdefgh/tasks/fit").text
    pause(hut)
    page = client.get("/runs/abcdefgh/tasks/fit").text
    assert sentence in page and "by ada: maintenance." in page
    assert "What has not begun waits until it is resumed" in client.get("/runs/abcdefgh").text
    assert sentence not in client.get("/runs/abcdefgh/tasks/next").text


def test_the_api_says_it_everywhere(client, hut):
    told = client.post("/api/v1/backends/cluster/pause", json={"why": "w", "who": "ada"}).json
    assert told["paused"]["who"] == "ada"
    assert client.get("/api/v1/backends/cluster").json["paused"] == told["paused"]
    assert client.get("/api/v1/health").json["backends"][0]["paused"] == told["paused"]
    assert client.post("/api/v1/backends/cluster/resume", json={}).json["paused"] is None
    assert client.get("/api/v1/backends/cluster").json["paused"] is None
    assert client.post("/api/v1/backends/none/pause", json={}).status_code == 404
    assert client.post("/api/v1/backends/cluster/pause", json={"why": 3}).status_code == 422


def test_another_site_cannot_pause_it(client, hut):
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert client.post("/backends/cluster/pause", headers=headers).status_code == 403


def test_of_a_paused_source_nothing_is_started_and_it_is_not_looked_at(client, hut):
    assert "Pause study?" in client.get("/sources/study/ask/pause").text
    pause(hut, Kind.SOURCE, "study")
    page = client.get("/sources").text
    assert 'data-state="paused"' in page and "no run of it is started" in page
    assert client.get("/api/v1/sources/study").json["paused"]["why"] == "maintenance"
    for asked in ("sync", "run?workflow=a.json"):
        answer = client.post(f"/api/v1/sources/study/{asked}", json={})
        assert answer.status_code == 409, asked
        assert "Resume it first" in answer.json["error"]
    assert client.post("/api/v1/sources/sync", json={}).status_code == 200
    client.post("/api/v1/sources/study/resume", json={})
    assert 'data-state="paused"' not in client.get("/sources").text


def test_what_somebody_said_is_shown_as_text(client, hut):
    client.post("/api/v1/backends/cluster/pause", json={"why": "<script>alert(1)</script>"})
    assert "<script>alert" not in client.get("/backends/cluster").text


@pytest.mark.parametrize("asked", [{}, {"mode": "failed"}, {"params": {"N": 2}}])
def test_of_a_paused_source_no_run_is_run_again(client, hut, asked):
    hut.run({"a": "completed", "b": "failed"})
    with hut.database.writing() as session:
        session.execute(update(Run).values(source="study"))
    pause(hut, Kind.SOURCE, "study")
    answer = client.post("/api/v1/runs/abcdefgh/rerun", json=asked)
    assert answer.status_code == 409
    assert "The source study is paused since" in answer.json["error"]
    assert "Resume it first" in answer.json["error"]
    form = {"mode": "all"}
    assert client.post("/runs/abcdefgh/rerun", data=form, headers=OURS).status_code == 409
    client.post("/api/v1/sources/study/resume", json={})
    assert client.post("/runs/abcdefgh/rerun", data=form, headers=OURS).status_code == 303


@pytest.mark.parametrize(("kind", "kinds"), [(Kind.BACKEND, "backends"), (Kind.SOURCE, "sources")])
def test_what_left_the_configuration_can_be_resumed(client, hut, kind, kinds):
    pause(hut, kind, "former")
    assert client.get(f"/{kinds}/former/ask/pause").status_code == 404
    assert "Resume former?" in client.get(f"/{kinds}/former/ask/resume").text
    answer = client.post(f"/{kinds}/former/resume", headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/{kinds}")
    assert client.post(f"/api/v1/{kinds}/former/resume", json={}).status_code == 404
    pause(hut, kind, "former")
    assert client.post(f"/api/v1/{kinds}/former/resume", json={}).json["paused"] is None
    with hut.database.reading() as session:
        assert not pauses.every(session, kind)
        assert surveys.due(session, hut.now) == set()
