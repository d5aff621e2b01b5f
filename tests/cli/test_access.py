"""What a server behind Cloudflare Access is told: by flags, variables, and the configuration."""

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.serving import HUT, surroundings

TOLD = ("CF-Access-Client-Id", "CF-Access-Client-Secret", "cf-access-token")


@dataclass
class Gate:
    """A server that writes down what it was told."""

    url: str = ""
    told: list[tuple[str | None, ...]] = field(default_factory=list)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gate.told.append(tuple(self.headers.get(name) for name in TOLD))
            body = b'{"runs": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        gate.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield gate
        server.shutdown()


@pytest.mark.parametrize(
    ("flags", "variables", "settings", "told"),
    [
        ([], {}, {}, (None, None, None)),
        ([], {}, {"cf_client_id": "i", "cf_client_secret": "s"}, ("i", "s", None)),
        ([], {"SCRIPTHUT_CF_ACCESS_TOKEN": "t"}, {}, (None, None, "t")),
        (
            ["--cf-client-id", "flag", "--cf-client-secret", "mine"],
            {"SCRIPTHUT_CF_CLIENT_ID": "variable", "SCRIPTHUT_CF_CLIENT_SECRET": "its"},
            {},
            ("flag", "mine", None),
        ),
        (["--cf-access-token", "t"], {}, {"cf_access_token": "old"}, (None, None, "t")),
        (["--cloudflared-app", "https://x"], {}, {}, (None, None, "of-https://x")),
    ],
)
def test_the_gate_is_told_what_the_flag_the_variable_or_the_file_says(
    flags: list[str],
    variables: dict[str, str],
    settings: dict[str, str],
    told: tuple[str | None, ...],
    gate: Gate,
    tmp_path: Path,
) -> None:
    (tmp_path / "cloudflared").write_text('#!/bin/sh\necho "of-${3#--app=}"\n')
    (tmp_path / "cloudflared").chmod(0o755)
    words = {"cli_server": gate.url, "cli_auth": settings}
    (tmp_path / "scripthut.yaml").write_text(json.dumps({"settings": words}))
    env = {**surroundings(tmp_path), **variables}
    done = subprocess.run(
        [*HUT, "run", "list", "--json", *flags],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**env, "PATH": f"{tmp_path}:{env['PATH']}"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert gate.told == [told]
