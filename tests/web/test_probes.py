"""Whether the server is there, for probes and older clients."""

import os

import pytest
from flask.testing import FlaskClient

from scripthut import __version__
from tests.web.conftest import Hut


def test_a_process_says_that_it_answers(client: FlaskClient) -> None:
    said = {"status": "pong", "pid": os.getpid(), "version": __version__}
    assert client.get("/ping").json == client.get("/healthz").json == said


def test_it_is_ready_without_an_engine(client: FlaskClient, hut: Hut) -> None:
    hut.engine(is_acting=False)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ready", "engine": False})


@pytest.mark.parametrize("path", ["/ping", "/readyz", "/health"])
def test_probes_are_refused_by_another_name_too(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Host": "evil.example"}).status_code == 421


def test_older_clients_find_the_health(client: FlaskClient) -> None:
    there = client.get("/api/v1/health").json
    found = client.get("/health").json
    assert there and found and found.keys() == there.keys()
