"""The JSON contract."""

import json
import time
from datetime import timedelta
from threading import Timer

import pytest

from scripthut.store import runs
from scripthut.store.models import WatchRow
from tests.web.conftest import SPEC

DOCUMENT = {
    "tasks": [
        {"id": "a", "command": "true"},
        {"id": "b", "command": "true", "deps": ["a"], "memory": "2G"},
    ]
}
JSON = {"Content-Type": "application/json"}
API = "/api/v1"


def test_health_names_the_engine_and_every_backend(client, hut):
    said = client.get(f"{API}/health").json
    assert said["status"] == "ok" and said["version"]
    assert said["engine"]["holder"] == "somebody" and said["engine"]["lease_seconds"] > 0
    (backend,) = said["backends"]
    assert backend["name"] == "cluster" and backend["type"] == "local"
    assert backend["answered_at"].endswith("Z") and backend["failing_since"] is None
    assert backend["connected"] is True


def test_health_is_degraded_while_nobody_acts_or_a_backend_is_silent(client, hut):
    hut.engine(is_acting=False)
    said = client.get(f"{API}/health").json
    assert (said["status"], said["engine"]) == ("degraded", None)
    hut.engine(is_acting=True)
    hut.backend(failing_since=hut.now, message="no route to host")
    said = client.get(f"{API}/health").json
    assert said["status"] == "degraded"
    assert said["backends"][0]["message"] == "no route to host"
    assert said["backends"][0]["connected"] is False


def test_a_document_becomes_a_run(client, hut):
    body = {"backend": "cluster", "name": "study", "document": DOCUMENT}
    response = client.post(f"{API}/runs", json=body)
    assert response.status_code == 201
    run = client.get(response.headers["Location"]).json
    assert run == response.json
    assert (run["name"], run["backend"], run["status"]) == ("study", "cluster", "pending")
    assert run["counts"] == {"pending": 2}
    assert [task["id"] for task in run["tasks"]] == ["a", "b"]
    assert client.get(run["url"]).status_code == 200


def test_one_task_becomes_a_run_as_older_clients_ask(client, hut):
    asked = {"task": {"id": "a", "command": "true"}, "backend": "cluster", "request_key": "k"}
    made = client.post(f"{API}/tasks/run", json=asked)
    assert (made.status_code, made.json["name"], made.json["task_count"]) == (201, "a", 1)
    assert client.post(f"{API}/tasks/run", json=asked).status_code == 200
    named = client.post(f"{API}/tasks/run", json={"task": asked["task"], "run_name": "sims"})
    assert named.json["workflow_name"] == "sims"
    for wrong in ({}, {"task": "true"}, {"task": {"id": "a"}}):
        assert client.post(f"{API}/tasks/run", json=wrong).json["problems"]


def test_the_only_backend_need_not_be_named(client, hut):
    made = client.post(f"{API}/runs", json={"document": {**DOCUMENT, "title": "From the title"}})
    assert (made.json["backend"], made.json["name"]) == ("cluster", "From the title")


def test_a_wrong_document_is_refused_whole_with_every_problem(client, hut):
    tasks = [{"id": "a", "command": "true", "memory": "4 bananas"}, {"id": "a b", "command": "x"}]
    body = {"backend": "moon", "name": "x\ny", "document": {"tasks": tasks}}
    response = client.post(f"{API}/runs", json=body)
    assert response.status_code == 422
    assert response.json["error"]
    problems = "\n".join(response.json["problems"])
    for words in (
        "backend: 'moon' is not one of cluster",
        "tasks[0].memory",
        "tasks[1].id",
        "name:",
    ):
        assert words in problems
    assert client.get(f"{API}/runs").json == {"runs": [], "next": None}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff\xfe", b'"text"', b"[" * 100_000, b"[" * 50_000 + b"]" * 50_000],
)
def test_a_body_that_is_no_request_is_refused_with_a_sentence(client, hut, body):
    response = client.post(f"{API}/runs", data=body, headers=JSON)
    assert response.status_code == 422
    assert response.json["error"]


@pytest.mark.parametrize("document", [None, 3, "tasks", {}, {"tasks": []}, {"tasks": [3]}])
def test_what_is_no_document_is_refused_with_problems(client, hut, document):
    response = client.post(f"{API}/runs", json={"document": document})
    assert response.status_code == 422 and response.json["problems"]


def test_runs_are_listed_newest_first_and_continue(client, hut):
    for i in range(5):
        hut.run(["a"], f"run{i:05d}", age=timedelta(hours=i))
    first = client.get(f"{API}/runs?limit=2").json
    assert [run["id"] for run in first["runs"]] == ["run00000", "run00001"]
    assert "tasks" not in first["runs"][0]
    second = client.get(f"{API}/runs?limit=2&before={first['next']}").json
    assert [run["id"] for run in second["runs"]] == ["run00002", "run00003"]
    last = client.get(f"{API}/runs?limit=2&before={second['next']}").json
    assert [run["id"] for run in last["runs"]] == ["run00004"] and last["next"] is None


def test_a_run_tells_all_of_its_tasks(client, hut):
    hut.run({"a": "failed", "b": "pending"})
    hut.change("abcdefgh", "a", reason="Ended with exit code 3", has_outputs=True)
    failed, pending = client.get(f"{API}/runs/abcdefgh").json["tasks"]
    assert (failed["id"], failed["name"], failed["status"]) == ("a", "a", "failed")
    assert (failed["attempt"], failed["job_id"], failed["exit_code"]) == (1, "1000", 3)
    assert failed["reason"] == "Ended with exit code 3"
    assert failed["has_outputs"] is True and failed["has_run_summary"] is False
    for when in ("submitted_at", "started_at", "finished_at"):
        assert failed[when].endswith("Z") and pending[when] is None


def test_a_run_says_of_how_many_tasks_something_is_still_to_be_fetched(client, hut):
    hut.run({"a": "completed", "b": "completed"})
    hut.change("abcdefgh", "a", collected_at=None)
    for address in ("/api/v1/runs/abcdefgh", "/api/v1/runs/abcdefgh/summary"):
        assert client.get(address).json["uncollected"] == 1
    hut.change("abcdefgh", "a", collected_at=hut.now)
    assert client.get("/api/v1/runs/abcdefgh").json["uncollected"] == 0


def test_a_run_of_ten_thousand_tasks_is_given_whole(client, hut):
    hut.run({f"sim.{i}": "running" for i in range(10_000)})
    run = client.get(f"{API}/runs/abcdefgh").json
    assert len(run["tasks"]) == 10_000


def test_a_log_is_given_whole_or_by_its_last_lines(client, hut, app):
    hut.run({"a": "running"})
    app.extensions["kept"].append_log("abcdefgh.0.1", "error", 0, b"one\ntwo\nthr\x1b[0mee\n")
    url = f"{API}/runs/abcdefgh/tasks/a/logs?type=error"
    assert client.get(url).json["content"] == "one\ntwo\nthree\n"
    assert client.get(f"{url}&tail=2").json["content"] == "two\nthree\n"
    assert client.get(f"{url}&tail=0").json["content"] == ""
    assert client.get(f"{url}&tail=99").json["content"] == "one\ntwo\nthree\n"


def test_a_log_that_is_not_kept_yet_is_fetched_while_the_question_waits(client, hut, app):
    hut.run({"a": "running"})
    kept = app.extensions["kept"]
    engine = Timer(0.3, kept.append_log, ("abcdefgh.0.1", "output", 0, b"there\n"))
    engine.start()
    said = client.get(f"{API}/runs/abcdefgh/tasks/a/logs").json
    engine.join()
    about = {"run_id": "abcdefgh", "task_id": "a", "type": "output", "content": "there\n"}
    assert said == {**about, "start": 0, "after": 6, "is_live": True, "file": None}
    with hut.database.reading() as session:
        assert session.get(WatchRow, ("abcdefgh", hut.task_id("abcdefgh", "a"), "output"))


def test_a_log_is_followed_from_where_it_was_read(client, hut, app):
    hut.run({"a": "running"})
    kept = app.extensions["kept"]
    kept.append_log("abcdefgh.0.1", "output", 0, b"one\n")
    logs = f"{API}/runs/abcdefgh/tasks/a/logs"
    first = client.get(logs).json
    kept.append_log("abcdefgh.0.1", "output", 4, "naï".encode()[:-1])  # a character still to come
    second = client.get(f"{logs}?from={first['after']}").json
    assert (second["content"], second["after"], second["is_live"]) == ("na", 6, True)
    hut.end("abcdefgh")
    assert client.get(f"{logs}?from=6").json["is_live"] is False


def test_a_runs_outputs_are_listed_by_task(client, hut):
    hut.run({"a": "completed", "b": "completed"})
    hut.change("abcdefgh", "b", has_outputs=True, outputs_more=2)
    found = client.get(f"{API}/runs/abcdefgh/outputs").json
    assert [(t["task_id"], t["more"]) for t in found["tasks"]] == [("b", 2)]


def test_a_task_says_why_it_failed(client, hut):
    hut.run({"a": "failed", "b": "running"})
    task = client.get(f"{API}/runs/abcdefgh/tasks/a").json
    assert (task["status"], task["why"]["exit"]) == ("failed", "3")
    assert client.get(f"{API}/runs/abcdefgh/tasks/b").json["why"] is None
    assert client.get(f"{API}/runs/abcdefgh/tasks/c").status_code == 404


def test_a_task_is_told_with_all_that_its_page_shows_and_no_secret(client, hut):
    run = hut.run({"x.1": "completed", "x.2": "running", "all": "pending"})
    env = {"HF_TOKEN": "hunter22", "MODE": "fast"}
    spec = {**SPEC, "command": "fit hunter22", "deps": ["x.*"], "gres": "gpu:1", "env": env}
    hut.change(run, "all", spec=spec, deps=["x.1", "x.2"])
    hut.event(run, "all", "created")

    answer = client.get(f"{API}/runs/{run}/tasks/all")

    assert "hunter22" not in answer.text
    assert answer.json["spec"]["command"] == "fit ***"
    assert answer.json["spec"]["env"] == {"HF_TOKEN": "***", "MODE": "fast"}
    assert (answer.json["spec"]["gres"], answer.json["deps"]) == ("gpu:1", ["x.1", "x.2"])
    assert [event["what"] for event in answer.json["events"]] == ["created"]
    assert answer.json["events"][0]["at"].endswith("Z")
    tab = client.get(f"/runs/{run}/tasks/all/detail/json", headers={"Accept": "application/json"})
    assert {name: answer.json[name] for name in ("spec", "events")}.items() <= tab.json.items()


def test_a_run_says_where_its_logs_are(client, hut):
    run = hut.run(["a"])
    assert client.get(f"{API}/runs/{run}").json["about"]["log_dir"] is None
    with hut.database.writing() as session:
        runs.find_run(session, run).log_dir = "~/logs/study"
    assert client.get(f"{API}/runs/{run}").json["about"]["log_dir"] == "~/logs/study"


def test_the_log_of_a_task_that_never_ran_is_empty_at_once(client, hut):
    hut.run({"a": "pending", "b": "completed"})
    begin = time.perf_counter()
    for task in "ab":
        assert client.get(f"{API}/runs/abcdefgh/tasks/{task}/logs").json["content"] == ""
    assert time.perf_counter() - begin < 5  # it is not waited for


@pytest.mark.parametrize("query", ["type=script", "tail=-1", "tail=many", "type=../../etc/passwd"])
def test_a_wrong_question_for_a_log_is_refused(client, hut, query):
    hut.run({"a": "running"})
    response = client.get(f"{API}/runs/abcdefgh/tasks/a/logs?{query}")
    assert response.status_code == 422 and response.json["error"].endswith(".")


def test_cancelling_a_run_orders_all_that_has_not_ended(client, hut):
    hut.run({"a": "completed", "b": "running", "c": "pending"})
    said = client.post(f"{API}/runs/abcdefgh/cancel", headers=JSON).json
    about = {"run_id": "abcdefgh", "cancelling": 2, "status": "running"}
    assert said == {**about, "cancelled": True}
    run = client.get(f"{API}/runs/abcdefgh").json
    assert run["cancel_asked_at"]
    assert [task["status"] for task in run["tasks"]] == ["completed", "running", "cancelled"]
    assert run["tasks"][1]["cancel_asked_at"]


def test_cancelling_a_task_orders_that_one_alone(client, hut):
    hut.run({"a": "running", "b": "running"})
    said = client.post(f"{API}/runs/abcdefgh/tasks/a/cancel", headers=JSON).json
    assert said["cancelling"] is True and said["status"] == "running"
    assert said["cancelled"] is True
    a, b = client.get(f"{API}/runs/abcdefgh").json["tasks"]
    assert a["cancel_asked_at"] and not b["cancel_asked_at"]


@pytest.mark.parametrize("path", ["runs/zzzzzzzz", "runs/abcdefgh/tasks/z/logs", "nothing"])
def test_what_does_not_exist_is_404_as_json(client, hut, path):
    hut.run(["a"])
    response = client.get(f"{API}/{path}")
    assert response.status_code == 404 and json.loads(response.data)["error"]


def test_only_what_changed_since_a_version_is_given(client, hut):
    hut.run({"a": "running", "b": "pending", "c": "pending"})
    first = client.get(f"{API}/runs/abcdefgh").json
    hut.change("abcdefgh", "b", reason="Waits for its turn")
    later = client.get(f"{API}/runs/abcdefgh?since={first['version']}").json
    assert [task["id"] for task in later["tasks"]] == ["b"]
    assert later["version"] > first["version"]
    again = client.get(f"{API}/runs/abcdefgh?since={later['version']}").json
    assert again["tasks"] == [] and again["counts"] == {"running": 1, "pending": 2}


def test_runs_are_told_by_the_names_of_older_versions_too(client, hut):
    hut.run({"a": "failed", "b": "running", "c": "pending"})
    told = client.get(f"{API}/runs?workflow=nothing").json
    assert told["runs"] == []
    name = client.get(f"{API}/runs/abcdefgh").json["name"]
    (run,) = client.get(f"{API}/runs?workflow={name}").json["runs"]
    assert (run["workflow_name"], run["backend_name"]) == (name, run["backend"])
    assert (run["task_count"], run["completed_count"], run["submitted_count"]) == (3, 1, 2)
    assert run["status_counts"] == run["counts"]


def test_a_run_that_has_ended_can_be_deleted_and_no_other(client, hut):
    hut.run({"a": "running"})
    reply = client.delete(f"{API}/runs/abcdefgh", json={})
    assert reply.status_code == 409 and "cancel it first" in reply.json["error"]
    hut.run({"a": "completed"}, run_id="bbbbbbbb")
    assert client.delete(f"{API}/runs/bbbbbbbb", json={}).json["deleted"] is True
    assert client.get(f"{API}/runs/bbbbbbbb").status_code == 404
    assert client.delete(f"{API}/runs/bbbbbbbb", json={}).status_code == 404


def test_cancelling_what_has_ended_says_that_nothing_was_cancelled(client, hut):
    hut.run({"a": "completed"})
    for place in ("", "/tasks/a"):
        said = client.post(f"{API}/runs/abcdefgh{place}/cancel", json={}).json
        assert (said["cancelled"], said["cancelling"]) == (False, 0)
    hut.run(["a"], "hgfedcba")
    assert client.post(f"{API}/runs/hgfedcba/cancel", json={}).json["cancelled"] is True


def test_what_is_wrong_is_called_what_it_is(client, hut):
    good = {"name": "a", "backend": "cluster", "document": [{"id": "a", "command": "true"}]}
    said = client.post(f"{API}/runs", json=good | {"backend": "moon"}).json["error"]
    assert said == "What was asked cannot be used."
    said = client.post(f"{API}/runs", json=good | {"document": [{"id": "a"}]}).json["error"]
    assert said == "The document cannot be used."
    assert client.post(f"{API}/runs", json=good | {"document_text": "[{}]"}).json["problems"] == [
        "tasks[0].id: is required",
        "tasks[0].command: is required",
    ]
