"""The program as people start it, in a process of its own, and a way to ask it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.databases import places

PATIENCE = 60.0  # seconds; a busy machine is slow, a broken server is slow for ever
ROOT = Path(__file__).resolve().parent.parent
HUT = (sys.executable, "-m", "scripthut.cli")


def hut(place: Path, *words: str, check: bool = False) -> "subprocess.CompletedProcess[str]":
    """A command, as a shell in `place` runs it. `check`: it must end with 0."""
    return subprocess.run(
        [*HUT, *words],
        capture_output=True,
        text=True,
        cwd=place,
        env=surroundings(place),
        timeout=2 * PATIENCE,
        check=check,
    )


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Site:
    """An address to ask, and what goes with every question."""

    host: str
    port: int
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{self.prefix}"

    def get(self, path: str, **headers: str) -> Reply:
        """GET a path below the prefix; one that begins with the prefix is taken as it stands."""
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, data: object, **headers: str) -> Reply:
        body = json.dumps(data).encode()
        return self.ask("POST", path, body, Content_Type="application/json", **headers)

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> Reply:
        sent = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection = HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request(method, self.prefix + path, body, sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, names, answer.read())
        finally:
            connection.close()

    def run(self, document: object, name: str = "test", backend: str = "local") -> str:
        """Start a run; its id."""
        reply = self.post("/api/v1/runs", {"backend": backend, "name": name, "document": document})
        assert reply.status == 201, reply.text
        return str(reply.json["id"])


@contextmanager
def serving(
    directory: Path,
    *options: str,
    config: str = "",
    program: Sequence[str] = HUT,
) -> Iterator[Site]:
    """A running server with its data in `directory`; stopped with SIGTERM, which must suffice."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "scripthut.yaml"
    file.write_text(config or local(directory))
    log = directory / "server.log"
    words = [*program, "serve", "--config", str(file), *(options or ("--port", "0"))]
    env = surroundings(directory, "" if program is not HUT else str(ROOT))
    with log.open("wb") as out:
        process = subprocess.Popen(words, stderr=out, stdout=out, env=env, cwd=directory)
    try:
        found = until(lambda: _ready(process, log))
        yield Site(found[1], int(found[2] or 0)) if found[2] else Site(str(found[1]), 0)
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, log.read_text()


def local(directory: Path, **settings: object) -> str:
    """A configuration with this machine as the only backend; YAML is a superset of JSON."""
    return json.dumps(
        {
            "backends": [{"type": "local", "name": "local", "max_concurrent": 4}],
            "settings": {**places(directory / "data"), **settings},
        }
    )


def surroundings(directory: Path, python_path: str = str(ROOT)) -> dict[str, str]:
    """The environment of a program under test: a home of its own below `directory`."""
    (directory / "home").mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if name[:9] != "SCRIPTHUT"}
    return {**inherited, "HOME": str(directory / "home"), "PYTHONPATH": python_path}


def until(look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What `look` gives as soon as it gives something; fails after `patience` seconds."""
    began = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        waited = time.monotonic() - began
        assert waited < patience, f"did not come about in {patience} s: {look}"
        time.sleep(pause(waited))


def pause(waited: float) -> float:
    """Seconds until one looks again: to look is work for the machine that is waited for.

    >>> [pause(waited) for waited in (0.1, 2, 60)]
    [0.05, 0.1, 0.25]
    """
    return min(max(0.05, waited / 20), 0.25)


def ended(site: Site, run: str, patience: float = PATIENCE) -> Any:
    """A run as the API tells it, once all is over and collected."""

    def look() -> Any:
        told = site.get(f"/api/v1/runs/{run}").json
        return told if told["status"] in {"completed", "failed", "cancelled"} else None

    return until(look, patience)


def _ready(process: "subprocess.Popen[bytes]", log: Path) -> "re.Match[str] | None":
    text = log.read_text()
    assert process.poll() is None, text
    return re.search(r"serving at=(?:http://|unix:)([^\s:]+)(?::(\d+))?", text)


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
