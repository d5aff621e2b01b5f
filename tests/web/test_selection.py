"""Runs that are picked in their list: what goes together, what stays, and that it is asked."""

from datetime import timedelta

import pytest

from scripthut.store.models import Run

DIALOG = {"HX-Request": "true", "HX-Target": "dialog#question"}
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def four(hut):
    """Two runs that have ended, one of them pinned, one that goes on, and one of another name."""
    hut.run({"a": "completed"}, run_id="ended001")
    hut.run({"a": "completed"}, run_id="pinned01")
    hut.run({"a": "running"}, run_id="goeson01")
    hut.run({"a": "failed"}, run_id="other001", name="other", age=timedelta(days=1))
    with hut.database.writing() as session:
        session.get(Run, "pinned01").pinned_at = hut.now


def listed(client):
    return {run["id"] for run in client.get("/api/v1/runs").json["runs"]}


def test_the_question_names_what_goes_and_what_stays(client, four, keep):
    keep("plot.png", b"x" * 2048, "a", run_id="ended001")
    where = "/runs/ask/delete?runs=ended001&runs=other001&runs=pinned01&runs=goeson01"
    for headers in ({}, DIALOG):
        said = client.get(where, headers=headers).text
        assert "Delete 2 runs?" in said and "2.0 KiB in 1 file" in said
        assert "<li>study ended001</li>" in said and "<li>other other001</li>" in said
        assert "<li>pinned01 is pinned</li>" in said and "<li>goeson01 has not ended</li>" in said
        assert 'value="ended001,other001"' in said
    assert len(listed(client)) == 4


def test_what_was_named_goes_as_far_as_it_may(client, four):
    sent = {"run_ids": "ended001,other001,pinned01,goeson01,nowhere1"}
    told = client.post("/runs/delete", data=sent, headers=SAME | DIALOG)
    assert told.headers["HX-Trigger"] == "ordered"
    assert (
        "Deleted 2 runs. pinned01 is pinned; goeson01 has not ended; nowhere1 is not" in told.text
    )
    assert listed(client) == {"pinned01", "goeson01"}


def test_without_scripts_the_list_is_shown(client, four):
    told = client.post("/runs/delete", data={"run_ids": ["ended001", "other001"]}, headers=SAME)
    assert (told.status_code, told.location) == (303, "/runs")
    assert listed(client) == {"pinned01", "goeson01"}


def test_all_that_ended_and_are_like_these(client, four):
    said = client.get("/runs/ask/delete?ended=&find=study").text
    assert "Delete 1 run?" in said and 'value="ended001"' in said and "other001" not in said
    assert "Delete 2 runs?" in client.get("/runs/ask/delete?ended=").text


def test_nothing_is_asked_about_nothing(client, four):
    none = client.get("/runs/ask/delete")
    assert none.status_code == 422 and "mark some" in none.text
    kept = client.get("/runs/ask/delete?runs=pinned01&runs=goeson01")
    assert kept.status_code == 409 and "pinned01 is pinned, goeson01 has not ended" in kept.text
    many = "&".join(f"runs=r{n:07}" for n in range(201))
    assert client.get(f"/runs/ask/delete?{many}").status_code == 422


def test_programs_delete_many_in_one_request(client, four):
    said = client.post("/api/v1/runs/delete", json={"run_ids": ["ended001", "goeson01"]}).json
    assert said["deleted"] == ["ended001"]
    assert said["kept"] == [{"run_id": "goeson01", "why": "has not ended"}]
    for wrong in ({}, {"run_ids": "ended001"}, {"run_ids": [1]}):
        assert client.post("/api/v1/runs/delete", json=wrong).status_code == 422


def test_no_page_of_another_site_deletes(client, four):
    sent = {"run_ids": "ended001"}
    told = client.post("/runs/delete", data=sent, headers={"Sec-Fetch-Site": "cross-site"})
    assert told.status_code == 403 and len(listed(client)) == 4
    assert client.get("/runs/delete").status_code != 200


def test_the_list_picks_without_scripts(client, four):
    def picked(select):
        page = client.get(f"/runs?select={select}").text
        return {tag[:8] for tag in page.split(' value="') if " checked>" in tag[:200]}

    assert picked("all") == {"ended001", "pinned01", "goeson01", "other001"}
    assert picked("ended") == {"ended001", "pinned01", "other001"}
    assert picked("none") == picked("") == set()
