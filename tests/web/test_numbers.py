"""Numbers in addresses: too large, too small, and none at all."""

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import Hut

HUGE = "9" * 30
API = "/api/v1/runs"
PAGES = (
    "/runs/abcdefgh/changes?since={}",
    "/runs/abcdefgh/changes?since=-{}",
    "/runs/abcdefgh/changes?since=0&after={}",
    "/runs/abcdefgh/listed?from={}",
    "/runs/abcdefgh/listed?from={}&find=a",
    "/runs/abcdefgh?task={}",
    "/runs/abcdefgh?open={}&rows={}&shown={}",
    "/runs/abcdefgh/tasks/a/attempts/{}",
    "/runs/abcdefgh/tasks/a/outputs/id/{}",
    "/runs/abcdefgh?unfold={}&at={}",
    "/runs/abcdefgh/tasks/a/outputs/view/{}",
    "/runs/abcdefgh/groups/{}",
    f"{API}/abcdefgh?since={{}}",
    f"{API}?limit={{}}",
    f"{API}/abcdefgh/tasks/a/logs?tail={{}}&from={{}}",
    f"{API}/abcdefgh/tasks/a/outputs/{{}}/piece",
)


@pytest.mark.parametrize(
    "digits", [str(2**31), HUGE, "9" * 6000], ids=["2^31", "30 digits", "6000 digits"]
)
@pytest.mark.parametrize("page", PAGES)
def test_a_number_that_no_database_holds_breaks_nothing(
    client: FlaskClient, hut: Hut, page: str, digits: str
) -> None:
    hut.run({"a": "completed"})
    assert client.get(page.replace("{}", digits)).status_code in (200, 204, 404, 422)


@pytest.mark.parametrize(
    "asked", ["?limit=abc", "?limit=-1", "?limit=0", "/abcdefgh?since=abc", "/abcdefgh?since=-2"]
)
def test_programs_hear_of_a_number_that_is_none(client: FlaskClient, hut: Hut, asked: str) -> None:
    hut.run(["a"])
    answer = client.get(API + asked)
    assert answer.status_code == 422
    assert answer.json and asked.split("?")[1] in answer.json["error"]


def test_a_page_leaves_out_what_is_no_number(client: FlaskClient, hut: Hut) -> None:
    hut.run(["a"])
    assert client.get("/runs/abcdefgh?task=abc").status_code == 200
