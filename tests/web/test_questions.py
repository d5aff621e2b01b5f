"""Questions before what costs computing: what they say, and that asking changes nothing."""

import pytest
from sqlalchemy import update

from scripthut.core.states import State
from scripthut.store.models import Task

DIALOG = {"HX-Request": "true", "HX-Target": "dialog#question"}
SAME = {"Sec-Fetch-Site": "same-origin"}


def ask(client, what, key=None, headers=None):
    task = f"/tasks/{key}" if key else ""
    return client.get(f"/runs/abcdefgh{task}/ask/{what}", headers=headers or {})


def states(client):
    return [t["status"] for t in client.get("/api/v1/runs/abcdefgh").json["tasks"]]


def test_it_is_a_page_by_itself_and_a_fragment_in_a_dialog(client, hut):
    hut.run({"a": "failed"})
    page, fragment = ask(client, "retry").text, ask(client, "retry", headers=DIALOG).text
    assert "<html" in page and "<html" not in fragment
    for said in (page, fragment):
        assert 'action="/runs/abcdefgh/retry"' in said and "Try 1 task of study again?" in said
    assert 'href="/runs/abcdefgh">Not now</a>' in page and "hx-post" not in page
    assert "hx-post" in fragment


@pytest.mark.parametrize(
    ("what", "key", "words"),
    [
        ("retry", None, ["Try 1 task", "2 tasks that wait for them", "at most 6.0 CPU hours"]),
        ("retry", "a", ["As attempt 2", "2 tasks that wait for them", "at most 6.0 CPU hours"]),
        ("rerun", None, ["A new run of 4 tasks", "at most 8.0 CPU hours", "This run has used"]),
        ("rerun-failed", None, ["A new run of 3 tasks", "takes over the 1 that completed"]),
    ],
)
def test_it_says_how_many_tasks_and_hours(client, hut, what, key, words):
    hut.run({"a": "failed", "b": "dep_failed", "c": "dep_failed", "done": "completed"})
    hut.change("abcdefgh", "b", deps=["a"])
    hut.change("abcdefgh", "c", deps=["b"])
    said = ask(client, what, key).text
    for word in words:
        assert word in said
    assert states(client) == ["failed", "dep_failed", "dep_failed", "completed"]


def test_a_cancellation_names_what_is_lost(client, hut):
    hut.run({"a": "running", "b": "running", "c": "pending"})
    for said in (ask(client, "cancel").text, ask(client, "cancel", headers=DIALOG).text):
        assert "2 tasks run and have used 0.3" in said and "1 task that waits" in said
        assert "Cancel 3 tasks</button>" in said
    hut.change("abcdefgh", "c", deps=["a"])
    said = ask(client, "cancel", "a").text
    assert "1 task runs and has used" in said and "What waits for it will not run." in said
    hut.change("abcdefgh", "b", state=State.LOST)
    assert "1 lost task will be given up" in ask(client, "cancel").text


def test_tasks_without_a_limit_are_counted_by_themselves(client, hut):
    hut.run({"a": "failed", "b": "failed"})
    with hut.database.writing() as session:
        spec = {"command": "true", "cpus": 1, "time_limit": None, "gres": None, "deps": []}
        session.execute(update(Task).where(Task.key == "a").values(spec=spec))
        spec = {**spec, "time_limit": 7200, "gres": "gpu:v100:2"}
        session.execute(update(Task).where(Task.key == "b").values(spec=spec))
    said = ask(client, "retry").text
    assert "at most 2.0 CPU hours and 4.0 GPU hours" in said
    assert "1 task has no time limit" in said


@pytest.mark.parametrize(
    ("what", "key"), [("retry", None), ("retry", "a"), ("cancel", None), ("cancel", "a")]
)
def test_what_cannot_be_done_is_not_asked(client, hut, what, key):
    hut.run({"a": "completed"})
    assert ask(client, what, key).status_code == 409
    notice = ask(client, what, key, DIALOG)
    assert notice.status_code == 409 and notice.headers["HX-Retarget"] == "#notice"


def test_a_retry_from_the_dialog_tells_the_open_page(client, hut):
    hut.run({"a": "failed", "b": "failed"})
    told = client.post("/runs/abcdefgh/retry", headers=SAME | DIALOG)
    assert told.headers["HX-Trigger"] == "ordered" and "2 tasks will run again" in told.text
    assert states(client) == ["pending", "pending"]


def test_names_are_text(client, hut):
    hut.run({"a": "failed"}, name="<b>x</b>")
    assert "<b>x" not in ask(client, "retry").text


def test_an_attempt_that_asks_for_more_costs_more(client, hut):
    hut.run({"a": "failed", "b": "failed"})
    hut.change("abcdefgh", "a", asked={"memory": 16 * 1024**3, "time_limit": 4 * 3600})
    said = ask(client, "retry").text
    assert "at most 10 CPU hours" in said  # 2 CPUs for 4 h, 2 CPUs for 1 h
    assert "1 task of them asks for more than the document says, up to 16.0 GiB" in said
    assert "and 4:00:00 of time" in said and "by themselves" not in said
    rerun = ask(client, "rerun").text
    assert "at most 4.0 CPU hours" in rerun and "more than the document" not in rerun


def test_attempts_that_a_policy_may_add_are_counted(client, hut):
    hut.run({"a": "failed"})
    with hut.database.writing() as session:
        task = session.query(Task).one()
        task.spec = {**task.spec, "retry": {"count": 2, "on": ["timeout"], "wait": 1}}
    assert "with all of those at most 14 CPU hours" in ask(client, "rerun").text  # 1 + 2 + 4 h
    assert "with all of those at most 6.0 CPU hours" in ask(client, "retry", "a").text  # 1 + 2 h
