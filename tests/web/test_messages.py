"""Who is told of a run: its page, and the same for programs."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from scripthut.clock import utcnow
from scripthut.config import Config, parse
from scripthut.core.happenings import What
from scripthut.store.models import MessageRow
from tests.databases import places
from tests.web.conftest import Hut

PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return parse(
        {
            "backends": [{"type": "local", "name": "cluster"}],
            "settings": places(tmp_path / "data"),
            "notifications": [
                {"name": "team", "type": "mail", "to": ["team@example.org"]},
                {"name": "me & mine", "type": "ntfy", "url": "https://x.example/y", "runs": []},
            ],
        }
    )


def test_the_page_says_who_is_told_and_by_what(client: FlaskClient, hut: Hut) -> None:
    run_id = hut.run({"a": "failed"})
    facts = {"run_id": run_id, "channel": "team", "what": What.FAILED.value, "made_at": utcnow()}
    hut.add(MessageRow(**facts, ending="", tries=1, problem="mail.example.org said: 550 nobody"))
    page = client.get(f"/runs/{run_id}/messages").text
    assert "yes, by its rule" in page
    assert "me &amp; mine" in page
    assert "not sent: mail.example.org said: 550 nobody" in page
    assert f'href="/runs/{run_id}/messages"' in client.get(f"/runs/{run_id}").text


def test_a_run_is_followed_and_let_go_from_its_page(client: FlaskClient, hut: Hut) -> None:
    run_id = hut.run({"a": "running"})
    where = f"/runs/{run_id}/messages"
    answer = client.post(f"{where}/follow", data={"channel": "me & mine"}, headers=PAGE)
    assert (answer.status_code, answer.location) == (303, where)
    assert "Stop telling" in client.get(where).text
    off = {"channel": "me & mine", "off": "1"}
    client.post(f"{where}/follow", data=off, headers=PAGE)
    assert "Stop telling" not in client.get(where).text


def test_programs_follow_a_run_too(client: FlaskClient, hut: Hut) -> None:
    run_id = hut.run({"a": "running"})
    where = f"/api/v1/runs/{run_id}/messages"
    assert client.post(f"{where}/follow", json={"channel": "team"}).get_json()["follows"] is True
    assert client.get(where).get_json() == {
        "run_id": run_id,
        "followers": ["team"],
        "messages": [],
    }


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"channel": "nobody"}, 404, "There are: team, me & mine."),
        ({}, 422, "The body must be"),
        ({"channel": "team", "off": True}, 404, "team does not follow"),
    ],
)
def test_what_cannot_be_followed_is_a_sentence(
    client: FlaskClient, hut: Hut, body: dict[str, object], status: int, says: str
) -> None:
    run_id = hut.run({"a": "running"})
    answer = client.post(f"/api/v1/runs/{run_id}/messages/follow", json=body)
    assert answer.status_code == status
    assert says in answer.get_json()["error"]


def test_nobody_follows_a_run_that_is_not_there(client: FlaskClient, hut: Hut) -> None:
    answer = client.post("/api/v1/runs/zzzzzzzz/messages/follow", json={"channel": "team"})
    assert answer.status_code == 404
