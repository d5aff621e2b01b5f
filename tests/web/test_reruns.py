"""Running again from the page and from programs; what a run is made of, on its page."""

from sqlalchemy import select, update

from scripthut.clock import utcnow
from scripthut.core.legacy import read_run
from scripthut.store.making import importing
from scripthut.store.making.importing import Place
from scripthut.store.models import Run, Task
from tests.older import item

FORM = "/runs/abcdefgh/rerun"
SAME = {"Sec-Fetch-Site": "same-origin"}
JSON = {"Accept": "application/json"}
API = "/api/v1/runs/abcdefgh/rerun"


def facts(hut, **columns):
    with hut.database.writing() as session:
        session.execute(update(Run).where(Run.id == "abcdefgh").values(**columns))


def test_the_buttons_are_there_when_the_run_is_over(client, hut):
    hut.run({"a": "running"})
    assert "Run again" not in client.get("/runs/abcdefgh").text
    hut.run({"a": "completed"}, run_id="complete")
    page = client.get("/runs/complete").text
    assert ">Run again</a>" in page and "what did not complete" not in page
    hut.run({"a": "completed", "b": "failed"}, run_id="halfdone")
    assert "Run again what did not complete</a>" in client.get("/runs/halfdone").text


def test_the_form_makes_a_run_and_both_pages_name_each_other(client, hut):
    hut.run({"a": "completed", "b": "failed"})
    made = client.post(FORM, data={"mode": "failed", "request_key": "k"}, headers=SAME)
    assert made.status_code == 303
    place = made.headers["Location"]
    page = client.get(place).text
    assert "<dt>Repeats</dt>" in page and 'href="/runs/abcdefgh"' in page
    origin = client.get("/runs/abcdefgh").text
    assert "<dt>Repeated by</dt>" in origin and f'href="{place}"' in origin
    again = client.post(FORM, data={"mode": "failed", "request_key": "k"}, headers=SAME)
    assert again.headers["Location"] == place


def test_programs_run_again_too(client, hut):
    hut.run({"a": "completed", "b": "failed"})
    made = client.post(API, json={"mode": "failed", "request_key": "k"})
    assert made.status_code == 201
    assert made.json["about"]["origin"] == "abcdefgh"
    assert [task["status"] for task in made.json["tasks"]] == ["completed", "pending"]
    again = client.post(API, json={"mode": "failed", "request_key": "k"})
    assert (again.status_code, again.json["id"]) == (200, made.json["id"])
    whole = client.post(API, json={})
    assert [task["status"] for task in whole.json["tasks"]] == ["pending", "pending"]


def test_what_cannot_be_run_again_is_said_in_a_sentence(client, hut):
    hut.run({"a": "running"})
    assert client.post(API, json={}).status_code == 409
    wrong = client.post(API, json={"mode": "some"})
    assert wrong.status_code == 422 and "neither 'all' nor 'failed'" in wrong.json["error"]
    assert client.post("/api/v1/runs/nowhere/rerun", json={}).status_code == 404
    assert client.post(API, json={"request_key": "x" * 300}).status_code == 422


def test_a_page_says_what_its_run_is_made_of(client, hut):
    hut.run({"a": "running"})
    assert 'id="run-about" hidden' in client.get("/runs/abcdefgh").text
    facts(
        hut,
        title="A <b>study",
        params={"seed": 7},
        notices=["cache: kept, and not used."],
        git_sha="f" * 40,
        git_branch="main",
    )
    page = client.get("/runs/abcdefgh").text
    assert "A &lt;b&gt;study" in page
    assert "<dt>seed</dt><dd><code>7</code></dd>" in page
    assert "1 notice about its documents" in page and "cache: kept, and not used." in page
    assert ">ffffffffffff</code> on main" in page
    assert client.get("/api/v1/runs/abcdefgh").json["about"]["params"] == {"seed": "7"}


DOCUMENT = {
    "params": {"N": 2, "kind": ["mean", "median"]},
    "env": [{"set": {"OWN": "x"}}],
    "tasks": [
        {"id": "fit", "command": "echo ${params.N}", "env": [{"set": {"K": "${params.kind}"}}]},
        {"id": "sum", "command": "true", "deps": ["f*"]},
    ],
}


def started(client, hut):
    body = {"backend": "cluster", "name": "s", "document": DOCUMENT, "params": {"N": 3}}
    made = client.post("/api/v1/runs", json=body)
    assert made.status_code == 201, made.json
    run_id = made.json["id"]
    assert client.post(f"/api/v1/runs/{run_id}/rerun", json={"params": {"N": 4}}).status_code == 409
    with hut.database.writing() as session:
        session.execute(update(Task).values(state="completed"))
        session.execute(update(Run).values(ended_at=hut.now))
    return run_id


def test_with_other_parameters_too_it_is_said_what_the_machine_does_not_have(client, hut):
    tasks = [{"id": "fit", "command": "true", "cpus": "${params.cpus}"}]
    document = {"params": {"cpus": 1}, "tasks": tasks}
    body = {"backend": "cluster", "name": "s", "document": document}
    run_id = client.post("/api/v1/runs", json=body).json["id"]
    with hut.database.writing() as session:
        session.execute(update(Task).values(state="completed"))
        session.execute(update(Run).values(ended_at=hut.now))
    new = client.post(f"/api/v1/runs/{run_id}/rerun", json={"params": {"cpus": 9999}}).json
    (notice,) = new["about"]["notices"]
    assert notice.startswith("fit asks for more processors than this machine has")


def test_a_run_is_run_again_with_other_parameters(client, hut):
    run_id = started(client, hut)
    made = client.post(f"/api/v1/runs/{run_id}/rerun", json={"params": {"kind": "median"}})
    assert made.status_code == 201
    new = made.json
    assert new["about"]["origin"] == run_id
    assert new["about"]["params"] == {"N": "3", "kind": "median"}
    fit = client.get(f"/runs/{new['id']}/tasks/fit/detail/script", headers=JSON).json["spec"]
    assert fit["command"] == "echo 3"
    env = client.get(f"/api/v1/runs/{new['id']}/tasks/fit/env").json["vars"]
    assert (env["K"]["value"], env["OWN"]["value"]) == ("median", "x")
    wrong = client.post(f"/api/v1/runs/{run_id}/rerun", json={"params": {"kid": 1}})
    assert wrong.status_code == 422 and "did you mean" in wrong.json["problems"][0]
    both = client.post(f"/api/v1/runs/{run_id}/rerun", json={"params": {"N": 1}, "mode": "failed"})
    assert both.status_code == 422 and "all tasks run again" in both.json["error"]


def test_the_question_offers_the_parameters_that_the_run_had(client, hut):
    run_id = started(client, hut)
    page = client.get(f"/runs/{run_id}/ask/rerun").text
    assert 'name="param.N" value="3"' in page
    assert '<select name="param.kind">' in page
    form = {"mode": "all", "param.N": "9", "param.kind": "mean"}
    made = client.post(f"/runs/{run_id}/rerun", data=form, headers=SAME)
    about = client.get(f"/api/v1{made.headers['Location']}").json["about"]
    assert about["params"] == {"N": "9", "kind": "mean"}


def test_a_parameter_of_several_lines_comes_back_as_it_was(client, hut):
    document = {"params": {"note": "x"}, "tasks": [{"id": "a", "command": "true"}]}
    body = {"backend": "cluster", "name": "s", "document": document}
    note = "\none\ntwo <b>\n"
    run_id = client.post("/api/v1/runs", json={**body, "params": {"note": note}}).json["id"]
    with hut.database.writing() as session:
        session.execute(update(Task).values(state="completed"))
        session.execute(update(Run).values(ended_at=hut.now))
    page = client.get(f"/runs/{run_id}/ask/rerun").text
    shown = page.partition('<textarea name="param.note"')[2].partition(">\n")[2]
    assert shown.partition("</textarea>")[0] == "\none\ntwo &lt;b&gt;\n"
    form = {"mode": "all", "param.note": note.replace("\n", "\r\n")}
    made = client.post(f"/runs/{run_id}/rerun", data=form, headers=SAME)
    about = client.get(f"/api/v1{made.headers['Location']}").json["about"]
    assert about["params"] == {"note": note}


def test_a_run_without_parameters_says_so(client, hut):
    hut.run({"a": "completed"})
    said = client.post(API, json={"params": {"N": 1}})
    assert said.status_code == 422 and "has no parameters" in said.json["error"]
    assert "param." not in client.get("/runs/abcdefgh/ask/rerun").text


def test_a_run_of_an_older_version_is_neither_repeated_nor_tried_again(client, hut):
    """What its rules and generators gave to its jobs was not kept: a rerun would be another run."""
    old = read_run(
        {
            "id": "01d01d01",
            "workflow_name": "study/fit",
            "backend_name": "hpc",
            "created_at": "2025-03-01T10:00:00",
            "items": [item("a", "failed"), item("b")],
        }
    )
    with hut.database.writing() as session:
        importing.add_run(session, old, Place(None, is_far=False), ["t0", "t1"], utcnow())
    api = "/api/v1/runs/01d01d01"
    orders = {
        f"{api}/rerun": ({}, {"mode": "failed"}, {"params": {"N": 3}}),
        f"{api}/retry": ({},),
        f"{api}/tasks/a/retry": ({},),
    }
    for address, bodies in orders.items():
        for body in bodies:
            refused = client.post(address, json=body)
            assert refused.status_code == 422, address
            assert "Start its workflow again" in refused.json["error"]
    for question in ("ask/rerun", "ask/rerun-failed", "ask/retry", "tasks/a/ask/retry"):
        refused = client.get(f"/runs/01d01d01/{question}", headers=JSON)
        assert refused.status_code == 422, question
        assert "Start its workflow again" in refused.json["error"]
    with hut.database.reading() as session:
        assert session.scalars(select(Run.id)).all() == ["01d01d01"]
        states = session.scalars(select(Task.state).order_by(Task.n)).all()
    assert [state.value for state in states] == ["failed", "completed"]


def test_a_run_that_knows_little_of_itself_and_was_not_imported_is_repeated(client, hut):
    hut.run({"a": "failed"})
    facts(hut, env=None, params=None, workspace=None)  # as rows from before these were kept
    assert client.post(API, json={}).status_code == 201
    assert client.post("/api/v1/runs/abcdefgh/retry", json={}).json["retried"] == 1
