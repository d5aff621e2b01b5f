"""The card of a backend whose login asks a person, and the way of an answer."""

import json

from scripthut.core.jobs import Question
from scripthut.store.machines import logins
from scripthut.store.machines.sealing import Box

ASKED = Question("", "<b>Enter</b> a code", (("Code: ", False), ("Where? ", True)))


def asks(hut):
    """A backend that asks; its box."""
    hut.backend(failing_since=hut.now, message="press Log in")
    logins.need(hut.database, "cluster")
    box = Box()
    with hut.database.writing() as session:
        logins.put(session, "cluster", ASKED, box.key, 60)
    return box


def test_a_silent_backend_that_needs_a_person_has_a_button(client, hut):
    hut.backend(failing_since=hut.now, message="press Log in")
    assert "Log in to cluster" not in client.get("/backends").text
    logins.need(hut.database, "cluster")
    assert "Log in to cluster" in client.get("/backends").text
    reply = client.post("/backends/cluster/login", headers={"Sec-Fetch-Site": "same-origin"})
    assert reply.status_code == 303
    assert "Logging in." in client.get("/backends/cluster").text
    hut.backend(failing_since=None)
    assert "Logging in." not in client.get("/backends/cluster").text


def test_a_question_is_shown_as_text_and_answered_sealed(client, hut):
    box = asks(hut)
    page = client.get("/backends/cluster").text
    assert "&lt;b&gt;Enter&lt;/b&gt; a code" in page
    assert 'type="password"' in page and 'type="text"' in page
    form = {"question": box.key, "answer": ["123456", "here"]}
    headers = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}
    card = client.post("/backends/cluster/answer", data=form, headers=headers).text
    assert "on its way" in card and "123456" not in card
    with hut.database.reading() as session:
        sealed = logins.find(session, "cluster", box.key)
    assert json.loads(box.open(sealed)) == ["123456", "here"]


def test_another_site_can_neither_begin_nor_answer(client, hut):
    box = asks(hut)
    headers = {"Sec-Fetch-Site": "cross-site"}
    form = {"question": box.key, "answer": ["1", "2"]}
    assert client.post("/backends/cluster/login", headers=headers).status_code == 403
    reply = client.post("/backends/cluster/answer", data=form, headers=headers)
    assert reply.status_code == 403
    with hut.database.reading() as session:
        assert logins.find(session, "cluster", box.key) is None


def test_programs_begin_and_answer_too(client, hut):
    hut.backend(failing_since=hut.now, message="press Log in")
    assert client.post("/api/v1/backends/cluster/login", json={}).status_code == 404
    box = asks(hut)
    (told,) = client.get("/api/v1/backends").json["backends"]
    assert told["login"]["question"] == box.key
    assert told["login"]["prompts"] == ["Code: ", "Where? "]
    path = "/api/v1/backends/cluster/answer"
    assert client.post(path, json={"question": box.key, "answers": "1"}).status_code == 422
    assert client.post(path, json={"question": "f" * 64, "answers": ["1", "2"]}).status_code == 409
    assert client.post(path, json={"question": "zz", "answers": ["1", "2"]}).status_code == 409
    good = {"question": box.key, "answers": ["1", "2"]}
    assert client.post(path, json=good).status_code == 202
    assert client.post(path, json=good).status_code == 409
