"""A login that asks for a second factor, answered in the browser of a real server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fixtures import Cluster
from tests.cluster.second_factor import PASSWORD, asking_node, connections, ringing_node
from tests.stories.conftest import serving
from tests.stories.server import Server, until

pytestmark = [pytest.mark.sshd]
WRONG = "wrong horse"
OFFERED = "<button>Log in to hpc"


@pytest.fixture
def asking() -> Iterator[Cluster]:
    with asking_node() as cluster:
        yield cluster


def card(server: Server) -> dict[str, Any]:
    """What is known of the backend; to ask is to look at it."""
    (found,) = server.get("/backends")["backends"]
    return dict(found)


def question(server: Server, other_than: str | None = None) -> str:
    """The key of the question that is open."""
    found: list[str] = []

    def is_asked() -> bool:
        key = (card(server)["login"] or {}).get("question")
        found[:] = [key] if key else []
        return bool(key) and key != other_than

    until(is_asked, 60, lambda: f"a question, but {card(server)}\n{server.log()[-3000:]}")
    return found[0]


def test_a_person_at_the_browser_lets_the_server_in(asking: Cluster, tmp_path: Path) -> None:
    with serving(asking, tmp_path, settings={"workers": 2}) as server:
        server.await_leader()
        until(lambda: bool(card(server)["login"]), 60, "the card says that somebody is needed")
        assert "press Log in on this backend's page" in card(server)["message"]
        page = server.page("/backends/hpc")
        assert "Log in to hpc" in page
        seen = connections(asking)

        assert server.post("/backends/hpc/login")["asked"] is True
        first = question(server)
        (prompt,) = card(server)["login"]["prompts"]
        assert "assword" in prompt
        field = r'<input id="answer-\w+-1" name="answer" type="password"'
        assert re.search(field, server.page("/backends"))
        told = server.post("/backends/hpc/answer", {"question": first, "answers": [WRONG]})
        assert told["answered"] is True
        second = question(server, other_than=first)
        late = server.post("/backends/hpc/answer", {"question": first, "answers": [PASSWORD]})
        assert "does not ask this any more" in late["error"]
        server.post("/backends/hpc/answer", {"question": second, "answers": [PASSWORD]})
        until(
            lambda: card(server)["connected"], 60, lambda: f"{card(server)}\n{server.log()[-3000:]}"
        )
        assert connections(asking) == seen + 1
        assert "Log in to hpc" not in server.page("/backends/hpc")
        log = server.log()
    assert "login asks backend=hpc" in log
    kept = [log.encode(), *(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())]
    for secret in (PASSWORD, WRONG):
        assert not any(secret.encode() in data for data in kept), "the answer was written down"


def test_a_telephone_that_rings_without_a_prompt_is_pending_until_it_is_answered(
    tmp_path: Path,
) -> None:
    with ringing_node() as (asking, phone), serving(asking, tmp_path) as server:
        server.await_leader()
        until(lambda: bool(card(server)["login"]), 60, "the card says that somebody is needed")
        for answer, leads_in in (("deny", False), ("approve", True)):
            (phone / "rings").unlink(missing_ok=True)
            server.post("/backends/hpc/login")
            until((phone / "rings").exists, 60, lambda: f"a ring\n{server.log()[-3000:]}")
            page = server.page("/backends/hpc")
            assert "Logging in." in page, "it rings, and nobody is to make it ring again"
            assert "approve it there" in page
            assert OFFERED not in page
            assert card(server)["login"]["is_begun"] is True
            (phone / answer).touch()
            if leads_in:
                until(lambda: card(server)["connected"], 60, lambda: f"in: {card(server)}")
                assert "Logging in." not in server.page("/backends/hpc")
            else:
                until(lambda: OFFERED in server.page("/backends/hpc"), 30, "to try again")
                assert "then asked nothing" in card(server)["message"]
            (phone / answer).unlink()
