"""Saying what became of a lost task, from its page and from programs."""

import pytest

TASK = "/runs/abcdefgh/tasks/a"
SAME = {"Sec-Fetch-Site": "same-origin"}


def test_the_page_of_a_lost_task_asks_what_became_of_it(client, hut):
    hut.run({"a": "lost", "b": "failed"})
    page = client.get(TASK).text
    assert "It completed</button>" in page and "It failed</button>" in page
    assert "It completed" not in client.get("/runs/abcdefgh/tasks/b").text


@pytest.mark.parametrize("said", ["completed", "failed"])
def test_a_plain_form_leads_back_and_the_history_tells_who_said_so(client, hut, said):
    hut.run({"a": "lost"})
    form = {"said": said, "note": "<b>seen</b>"}
    answer = client.post(f"{TASK}/vouch", data=form, headers=SAME)
    assert (answer.status_code, answer.location) == (303, TASK)
    page = client.get(TASK).text
    assert f"A person says that it {said}: &lt;b&gt;seen&lt;/b&gt;" in page
    assert client.get("/api/v1/runs/abcdefgh").json["status"] == said


def test_an_open_page_is_told(client, hut):
    hut.run({"a": "lost"})
    headers = SAME | {"HX-Request": "true"}
    told = client.post(f"{TASK}/vouch", data={"said": "completed"}, headers=headers)
    assert told.headers["HX-Trigger"] == "ordered" and "a counts as completed" in told.text


def test_programs_vouch_too(client, hut):
    hut.run({"a": "lost"})
    assert client.post(f"/api/v1{TASK}/vouch", json={"completed": "yes"}).status_code == 422
    said = client.post(f"/api/v1{TASK}/vouch", json={"completed": True, "note": "checked"})
    assert said.json == {"run_id": "abcdefgh", "task_id": "a", "status": "completed"}
    assert client.post(f"/api/v1{TASK}/vouch", json={"completed": True}).status_code == 409


def test_what_the_form_does_not_say_is_refused(client, hut):
    hut.run({"a": "lost"})
    assert client.post(f"{TASK}/vouch", data={"said": "maybe"}, headers=SAME).status_code == 422
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    form = {"said": "failed"}
    assert client.post(f"{TASK}/vouch", data=form, headers=elsewhere).status_code == 403
