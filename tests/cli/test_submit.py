"""`scripthut submit` against a running server, and against things that only look like one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from scripthut.cli import submit
from scripthut.cli.client import Client
from scripthut.core.errors import Invalid, Refused, Unreachable
from tests.serving import Site, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("hut")) as site:
        yield site


def test_the_link_leads_to_the_runs_page(site: Site) -> None:
    link = post(site.url + "/", "local", "hello", [{"id": "a", "command": "true"}])
    page = site.get(link.removeprefix(site.url))
    assert page.status == 200
    assert "hello" in page.text


def test_a_wrong_document_is_refused_with_every_problem(site: Site) -> None:
    wrong = [{"id": "a", "command": "true", "memory": "4 bananas"}, {"id": "b c", "command": "x"}]
    with pytest.raises(Invalid) as refused:
        post(site.url, "local", "wrong", wrong)
    assert any("tasks[0].memory" in p for p in refused.value.problems)
    assert any("tasks[1].id" in p for p in refused.value.problems)


def test_an_unknown_backend_is_refused(site: Site) -> None:
    with pytest.raises(Refused, match="nowhere"):
        post(site.url, "nowhere", "a", [{"id": "a", "command": "true"}])


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(Refused, match="http://"):
        post("localhost:8000", "local", "a", [{"id": "a", "command": "true"}])


def post(base: str, backend: str, name: str, document: object) -> str:
    """Start a run of a document; the link of its page."""
    with NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        client = Client(base)
        return client.page(submit.start(client, Path(file.name), backend, name)["id"])


@contextmanager
def a_stranger(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Some other HTTP server: its address, and the Authorization headers that it was sent."""
    heard: list[str] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", heard
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"[1]"), (404, b"<html>"), (500, b"")]
)
def test_what_is_no_scripthut_server_is_called_so(status: int, body: bytes) -> None:
    with a_stranger(status, body) as (base, _), pytest.raises(Unreachable, match="not a scripthut"):
        post(base, "local", "a", [{"id": "a", "command": "true"}])


def test_a_proxy_that_asks_for_a_password_gets_the_one_in_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run = json.dumps({"id": "abcdefgh"}).encode()
    with a_stranger(201, run) as (base, heard):
        post(base, "local", "a", [{"id": "a", "command": "true"}])
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login ada password sesame\n")
        netrc.chmod(0o600)
        post(base, "local", "a", [{"id": "a", "command": "true"}])
    assert heard == ["", "Basic YWRhOnNlc2FtZQ=="]


def test_a_missing_password_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with a_stranger(401, b"") as (base, _), pytest.raises(Refused, match=r"\.netrc"):
        post(base, "local", "a", [{"id": "a", "command": "true"}])
