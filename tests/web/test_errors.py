"""Errors are sentences, in the form that the client can show."""

from werkzeug.exceptions import MethodNotAllowed

from scripthut.store.db import Database
from scripthut.web.errors import SENTENCES

NOWHERE = "postgresql+psycopg://hut@/hut?host=/nowhere"  # a server that is not there

HTMX = {"HX-Request": "true", "HX-Target": "section#panel", "Accept": "text/html"}


def test_a_page_that_does_not_exist_is_a_page_that_says_so(client, hut):
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert SENTENCES[404] in response.text and "<!doctype html>" in response.text


def test_a_run_that_does_not_exist_is_named(client, hut):
    response = client.get("/runs/zzzzzzzz")
    assert response.status_code == 404
    assert "There is no run zzzzzzzz." in response.text


def test_htmx_gets_a_fragment_for_the_place_where_notices_are(client, hut):
    response = client.get("/runs/zzzzzzzz/tasks/a", headers=HTMX)
    assert response.status_code == 404
    assert response.headers["HX-Retarget"] == "#notice"
    assert "<html" not in response.text and "There is no run zzzzzzzz." in response.text


def test_programs_get_json(client, hut):
    for response in (
        client.get("/api/v1/runs/zzzzzzzz"),
        client.get("/runs/zzzzzzzz", headers={"Accept": "application/json"}),
    ):
        assert response.status_code == 404
        assert response.json == {
            "error": "There is no run zzzzzzzz. The list of runs shows those that exist.",
            "detail": "There is no run zzzzzzzz. The list of runs shows those that exist.",
        }


def test_a_method_that_is_not_taken_is_a_sentence(client, hut):
    response = client.delete("/api/v1/runs", headers={"Authorization": "x"})
    assert (response.status_code, response.json) == (
        MethodNotAllowed.code,
        {"error": SENTENCES[405], "detail": SENTENCES[405]},
    )


def test_a_body_beyond_the_limit_is_refused(client, hut, app):
    app.config["MAX_CONTENT_LENGTH"] = 100
    response = client.post("/api/v1/runs", json={"document": "x" * 200})
    assert (response.status_code, response.json) == (
        413,
        {"error": SENTENCES[413], "detail": SENTENCES[413]},
    )


def test_a_database_that_does_not_answer_is_said_and_may_be_asked_again(client, app):
    app.extensions["database"] = Database(NOWHERE)
    for path, shows in (("/", lambda r: r.text), ("/api/v1/runs", lambda r: r.json["error"])):
        response = client.get(path)
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "2"
        assert "The database does not answer" in shows(response)


def test_a_page_that_asks_for_news_keeps_what_it_has_while_the_database_is_gone(client, hut, app):
    hut.run(["a"])
    app.extensions["database"] = Database(NOWHERE)
    response = client.get("/runs/abcdefgh/changes?since=1", headers=HTMX)
    assert response.status_code == 503
    assert response.headers["HX-Reswap"] == "none"


def test_an_unexpected_error_tells_nothing_of_the_inside(client, hut, app):
    app.testing = False

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError("a secret of the inside")

    response = app.test_client().get("/broken")
    assert response.status_code == 500
    assert SENTENCES[500] in response.text and "secret" not in response.text
