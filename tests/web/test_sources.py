"""The pages and the API of sources, over rows as the engine would have left them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from flask.testing import FlaskClient

from scripthut.clock import utcnow
from scripthut.config import parse
from scripthut.core.errors import NotFound
from scripthut.core.workflow import document
from scripthut.core.workflow.workflows import Workflow, find
from scripthut.store import source_orders, sources
from scripthut.store.db import Database, Session
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import Base, SourceOrder
from scripthut.store.sources import Look
from scripthut.web import create_app
from tests.databases import address, places

PARAMS = {"size": {"type": "number", "default": 64, "choices": [], "description": "Sites"}}
FIT = Workflow("w/fit.json", "Fit <b>it</b>", 3, PARAMS)
BAD = Workflow("w/bad.json", problem="line 1: tasks[0].id: is required")
SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(address(tmp_path))
    Base.metadata.create_all(made.engine)
    return made


@pytest.fixture
def client(database: Database, tmp_path: Path) -> FlaskClient:
    config = parse(
        {
            "backends": [{"type": "local", "name": "here"}, {"type": "local", "name": "there"}],
            "sources": [
                {
                    "type": "git",
                    "name": "my study",
                    "url": "https://ada:secret@github.com/x/y.git",
                    "branch": "dev",
                },
                {"type": "path", "name": "scratch", "path": "~/x", "backend": "there"},
            ],
            "settings": places(tmp_path),
        }
    )
    with database.writing() as session:
        look = Look([BAD, FIT], "dev", SHA, "Fit it", utcnow())
        sources.looked(session, "my study", "git", look, utcnow())
    return create_app(config).test_client()


def serve(database: Database, do: Callable[..., None], **facts: object) -> str:
    """Serve the one order there is as the engine would."""
    with database.writing() as session:
        (order,) = source_orders.to_do(session, ["my study", "scratch"])
        do(session, order.id, now=utcnow(), **facts)
        return order.id


def test_the_page_shows_commit_workflows_and_what_is_wrong(
    client: FlaskClient, database: Database
) -> None:
    page = client.get("/sources").text
    assert f'href="https://github.com/x/y/commit/{SHA}"' in page
    assert "Fit &lt;b&gt;it&lt;/b&gt;" in page
    assert "tasks[0].id: is required" in page
    assert "/sources/my%20study/start?workflow=w/fit.json" in page
    assert "start?workflow=w/bad.json" not in page
    assert "secret" not in page
    with database.writing() as session:
        sources.failed(session, "my study", "git", "The remote is down.", utcnow())
    assert "The remote is down." in client.get("/sources").text


def test_a_page_that_has_seen_it_all_gets_nothing(client: FlaskClient, database: Database) -> None:
    headers = {"HX-Request": "true"}
    first = client.get("/sources?seen=x", headers=headers)
    seen = first.text.split("seen=")[1].split('"')[0]
    assert client.get(f"/sources?seen={seen}", headers=headers).status_code == 204
    with database.writing() as session:
        sources.failed(session, "scratch", "path", "there does not answer.", utcnow())
    assert "there does not answer." in client.get(f"/sources?seen={seen}", headers=headers).text


def test_without_sources_the_page_says_how_to_have_one(tmp_path: Path, database: Database) -> None:
    app = create_app(parse({"settings": places(tmp_path)}))
    assert "type: git" in app.test_client().get("/sources").text


def test_the_form_asks_for_backend_branch_and_parameters(client: FlaskClient) -> None:
    page = client.get("/sources/my study/start?workflow=fit").text
    assert 'name="param.size" value="64"' in page
    assert "<option>here</option>" in page
    assert 'placeholder="dev"' in page
    assert client.get("/sources/my study/start?workflow=none").status_code == 404
    assert client.get("/sources/none/start?workflow=fit").status_code == 404


def test_what_is_started_becomes_an_order_and_its_page_leads_on(
    client: FlaskClient, database: Database
) -> None:
    form = {"workflow": "w/fit.json", "backend": "here", "branch": " v1 ", "param.size": "12"}
    answer = client.post("/sources/my study/start", data={**form, "then": "run"}, headers=ORIGIN)
    assert answer.status_code == 303
    waiting = client.get(answer.location)
    assert "is brought" in waiting.text
    with database.reading() as session:
        (order,) = source_orders.to_do(session, ["my study"])
    assert (order.ref, order.backend, order.params) == ("v1", "here", {"size": "12"})
    assert client.get(answer.location, headers={"HX-Request": "true"}).status_code == 204
    serve(database, source_orders.serve, run_id="abcdefgh")
    moved = client.get(answer.location, headers={"HX-Request": "true"})
    assert moved.headers["HX-Redirect"] == "/runs/abcdefgh"
    assert client.get(answer.location).location == "/runs/abcdefgh"


def test_what_cannot_be_chosen_is_said_in_the_form(client: FlaskClient) -> None:
    form = {"workflow": "w/fit.json", "backend": "mars", "branch": "--help", "then": "run"}
    answer = client.post("/sources/my study/start", data=form, headers=ORIGIN)
    assert answer.status_code == 422
    assert "backend: &#39;mars&#39; is not one of here, there" in answer.text
    assert "cannot be the name of a branch" in answer.text


def test_a_refusal_offers_the_form_as_it_was(client: FlaskClient, database: Database) -> None:
    form = {"workflow": "w/fit.json", "backend": "there", "param.size": "7", "then": "preview"}
    answer = client.post("/sources/my study/start", data=form, headers=ORIGIN)
    serve(database, source_orders.refuse, problems=["params.size: is <i>odd</i>"])
    page = client.get(answer.location)
    assert page.status_code == 422
    assert "is &lt;i&gt;odd&lt;/i&gt;" in page.text
    again = page.text.split('<a class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "<option selected>there</option>" in client.get(again).text


def test_a_preview_of_many_tasks_comes_in_pages(client: FlaskClient, database: Database) -> None:
    form = {"workflow": "w/fit.json", "backend": "here", "then": "preview"}
    answer = client.post("/sources/my study/start", data=form, headers=ORIGIN)
    task = {"deps": [], "working_dir": "~", "cpus": 1, "memory": 1, "time_limit": 60}
    tasks = [{"id": f"t{n}", "name": f"t{n}", "script": f"echo {n}", **task} for n in range(250)]
    run = {"name": "my study/fit", "backend": "here", "notices": [], "params": {}, "tasks": tasks}
    serve(database, source_orders.serve, result=run)
    page = client.get(answer.location).text
    assert "Start 250 tasks" in page
    assert page.count("<details") == 100
    assert "echo 249" in client.get(f"{answer.location}?from=200").text


def test_the_api_lists_sources_and_workflows(client: FlaskClient) -> None:
    study, scratch = client.get("/api/v1/sources").json["sources"]
    assert (study["name"], study["url"], study["branch"]) == (
        "my study",
        "https://github.com/x/y.git",
        "dev",
    )
    assert study["last_commit"] == SHA
    assert study["warnings"] == [BAD.problem]
    assert (scratch["type"], scratch["path"], scratch["looked_at"]) == ("path", "~/x", None)
    assert client.get("/api/v1/sources/my study").json["workflows"] == ["w/bad.json", "w/fit.json"]
    bad, fit = client.get("/api/v1/sources/my study/workflows").json["workflows"]
    assert (bad["problem"], fit["params"]) == (BAD.problem, PARAMS)
    assert client.get("/api/v1/sources/none").status_code == 404


def test_an_order_that_is_not_served_yet_can_be_asked_for(
    client: FlaskClient, database: Database
) -> None:
    answer = client.post("/api/v1/sources/my study/run?workflow=fit&backend=here&wait=0", json={})
    assert answer.status_code == 202
    assert answer.json["status"] == "waiting"
    serve(database, source_orders.refuse, problems=["no"])
    told = client.get(answer.location).json
    assert (told["status"], told["problems"]) == ("refused", ["no"])
    with database.writing() as session:
        source_orders.forget_old(session, utcnow() + timedelta(hours=2))
    assert client.get(answer.location).status_code == 404


def test_the_api_says_everything_that_is_wrong(client: FlaskClient) -> None:
    post = client.post
    answer = post("/api/v1/sources/my study/run", json={"workflow": "fit", "branch": "a b"})
    assert answer.status_code == 422
    assert [p.split(":")[0] for p in answer.json["problems"]] == ["backend", "branch"]
    assert answer.json["detail"] == answer.json["error"]
    answer = post("/api/v1/sources/scratch/run?wait=0", json={"workflow": "x", "branch": "main"})
    assert answer.json["problems"] == ["branch: scratch is a directory and has no branches"]
    answer = post("/api/v1/sources/my study/run", json={"workflow": "fit", "bakend": "x"})
    assert "bakend: is not one of" in answer.json["problems"][0]


def test_a_request_sent_again_is_one_order(client: FlaskClient, database: Database) -> None:
    asked = {"workflow": "fit", "backend": "here", "request_key": "k"}
    orders = {
        client.post("/api/v1/sources/my study/run?wait=0", json=asked).json["order"]
        for _ in range(3)
    }
    assert len(orders) == 1


@contextmanager
def engine(database: Database, do: Callable[..., None], **facts: object) -> Iterator[None]:
    """Serve the next order as soon as it is written down, as the engine would."""

    def act() -> None:
        orders: Sequence[SourceOrder] = ()
        while not orders:
            time.sleep(0.01)
            with database.reading() as session:
                orders = source_orders.to_do(session, ["my study"])
        serve(database, do, **facts)

    acting = Thread(target=act, daemon=True)
    acting.start()
    yield
    acting.join()


@pytest.mark.parametrize("what", ["run", "dry-run"])
def test_a_workflow_that_no_commit_was_seen_to_have_is_not_found(
    client: FlaskClient, database: Database, what: str
) -> None:
    with pytest.raises(NotFound) as error:
        find(["w/fit.json"], "absent")
    asked = {"workflow": "absent", "backend": "here", "branch": "dev"}
    with engine(database, source_orders.refuse, problems=[str(error.value)]):
        answer = client.post(f"/api/v1/sources/my study/{what}", json=asked)
    assert (answer.status_code, answer.json["error"]) == (404, "There is no workflow 'absent'.")


def test_a_run_that_the_request_made_before_is_200(client: FlaskClient, database: Database) -> None:
    def make(session: Session, order_id: str, now: datetime) -> None:
        asked_for = document.parse([{"id": "a", "command": "true"}])
        new = NewRun("study", "here", asked_for, request_key="k")
        create_run(session, "abcdefgh", new, now)
        source_orders.serve(session, order_id, now, run_id="abcdefgh")

    asked = {"workflow": "fit", "backend": "here", "request_key": "k"}
    with engine(database, make):
        first = client.post("/api/v1/sources/my study/run", json=asked)
    again = client.post("/api/v1/sources/my study/run", json=asked)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json["id"] == again.json["id"] == "abcdefgh"


ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def test_programs_get_what_a_source_s_own_file_says(
    client: FlaskClient, database: Database
) -> None:
    def seen(overlay: bytes | None) -> None:
        with database.writing() as session:
            look = Look([FIT], "dev", SHA, "Fit it", utcnow(), overlay=overlay)
            sources.looked(session, "my study", "git", look, utcnow())

    address = "/api/v1/sources/my study/config"
    nothing = {"source": "my study", "env": [], "env_groups": {}, "stacks": []}
    assert client.get(address).json == {**nothing, "config_present": False}
    seen(b"env: [{set: {A: b}}]\nenv_groups: {r: [{init: module load R}]}\nstacks: [{name: r}]\n")
    assert client.get(address).json == {
        "source": "my study",
        "config_present": True,
        "env": [{"set": {"A": "b"}}],
        "env_groups": {"r": [{"init": "module load R"}]},
        "stacks": [{"name": "r"}],
    }
    seen(b"backends: []")
    wrong = client.get(address)
    assert wrong.status_code == 422
    assert "backends: a repository's file may hold" in wrong.json["problems"][0]
    assert client.get("/api/v1/sources/scratch/config").status_code == 503  # not looked at yet
    assert client.get("/api/v1/sources/none/config").status_code == 404


def test_programs_get_no_secret_of_a_source_s_own_file(
    client: FlaskClient, database: Database
) -> None:
    overlay = b"""
env:
- {if: {HF_TOKEN: hunter22}, set: {HF_TOKEN: hunter22, MODE: fast}, init: login hunter22}
- {append: {SOME_SECRETS: another1}}
env_groups: {cloud_keys: [{set: {URL: "https://ada:hunter22@host"}}]}
stacks: [{name: r, env: {API_KEY: 12345678}}]
"""
    with database.writing() as session:
        look = Look([FIT], "dev", SHA, "Fit it", utcnow(), overlay=overlay)
        sources.looked(session, "my study", "git", look, utcnow())

    assert client.get("/api/v1/sources/my study/config").json == {
        "source": "my study",
        "config_present": True,
        "env": [
            {
                "if": {"HF_TOKEN": "***"},
                "set": {"HF_TOKEN": "***", "MODE": "fast"},
                "init": "login ***",
            },
            {"append": {"SOME_SECRETS": "***"}},
        ],
        "env_groups": {"cloud_keys": [{"set": {"URL": "https://ada:***@host"}}]},
        "stacks": [{"name": "r", "env": {"API_KEY": "***"}}],
    }


def test_a_source_does_not_run_where_nobody_wanted_it(database: Database, tmp_path: Path) -> None:
    """A backend that is kept and cannot be used is no reason to take another one."""
    config = parse(
        {
            "backends": [{"type": "local", "name": "here"}, {"type": "batch", "name": "cloud"}],
            "sources": [
                {"type": "git", "name": "repo", "url": "https://x.org/y.git", "backend": "cloud"},
                {"type": "path", "name": "files", "path": "~/x", "backend": "cloud"},
            ],
            "settings": places(tmp_path),
        }
    )
    client = create_app(config).test_client()
    address = "/api/v1/sources/{}/run?wait=0"
    for name, choice in (("repo", True), ("files", False)):
        refused = client.post(address.format(name), json={"workflow": "fit"})
        assert refused.status_code == 422
        (problem,) = refused.json["problems"]
        assert "cloud is kept, but AWS Batch is not used" in problem
        assert ("choose one of here" in problem) == choice
    asked = {"workflow": "fit", "backend": "cloud"}
    for name in ("repo", "files"):
        assert client.post(address.format(name), json=asked).status_code == 422
    with database.reading() as session:
        assert source_orders.to_do(session, ["repo", "files"]) == []
    chosen = client.post(address.format("repo"), json={"workflow": "fit", "backend": "here"})
    assert chosen.status_code == 202
