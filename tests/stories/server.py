"""A real server, started as a person would, and a client of its API."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from tests.databases import places
from tests.serving import pause

HUT = [sys.executable, "-m", "scripthut.cli"]


@dataclass
class Server:
    """`scripthut serve` on a free port, with its configuration in a directory of its own."""

    directory: Path
    port: int
    backends: list[dict[str, object]]
    settings: dict[str, object] = field(default_factory=dict)
    sources: list[dict[str, object]] = field(default_factory=list)
    process: "subprocess.Popen[bytes] | None" = None
    leader: str | None = None  # the engine that led when the server was last seen to have one

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return Path(str(self.settings.get("data_dir", self.directory / "data")))

    @property
    def config(self) -> Path:
        return self.directory / "scripthut.yaml"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.write()
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*HUT, "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers, 60, "the server answers")

    def write(self) -> None:
        """Write its configuration."""
        settings = {**places(self.data), "server_port": self.port}
        words: dict[str, object] = {"backends": self.backends}
        words["settings"] = {**settings, **self.settings}
        words |= {"sources": self.sources}
        self.config.write_text(yaml.safe_dump(words))

    def _answers(self) -> bool:
        assert self.process is None or self.process.poll() is None, self.log()
        try:
            self.get("/health")
        except OSError:
            return False
        return True

    def log(self) -> str:
        """What the server has said."""
        return (self.directory / "server.log").read_text(errors="replace")

    def await_leader(self) -> None:
        """Wait until an engine leads that did not lead the last time this was asked."""

        def leads() -> bool:
            engine = self.get("/health")["engine"]
            return engine is not None and engine["holder"] != self.leader

        until(leads, 30, lambda: f"a leader\n{self.log()[-2000:]}")
        self.leader = self.get("/health")["engine"]["holder"]

    def kill(self) -> None:
        """SIGKILL to every process of the server at once, as a power cut would be."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop it as an administrator would."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def get(self, path: str) -> Any:
        """The JSON at a path of the API."""
        with urlopen(f"{self.url}/api/v1{path}", timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: object = None) -> Any:
        """POST JSON to a path of the API; the answer's JSON, of refusals too."""
        data = json.dumps({} if body is None else body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.url}/api/v1{path}", data, headers, method="POST")
        try:
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            return json.load(error)

    def page(self, path: str) -> str:
        """The HTML at a path of the site."""
        with urlopen(f"{self.url}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def run(self, tasks: list[dict[str, object]], backend: str = "hpc", name: str = "story") -> str:
        """Start a run; its id."""
        body = {"backend": backend, "name": name, "document": {"tasks": tasks}}
        answer = self.post("/runs", body)
        assert "id" in answer, answer
        return str(answer["id"])

    def backend(self, name: str) -> dict[str, Any]:
        """What the server knows of a backend."""
        return next(b for b in self.get("/health")["backends"] if b["name"] == name)

    def states(self, run_id: str) -> dict[str, str]:
        """Task id -> state."""
        return {task["id"]: task["status"] for task in self.get(f"/runs/{run_id}")["tasks"]}

    def task(self, run_id: str, key: str) -> dict[str, Any]:
        """One task as the API shows it."""
        tasks = self.get(f"/runs/{run_id}")["tasks"]
        return next(task for task in tasks if task["id"] == key)

    def await_states(self, run_id: str, wanted: dict[str, str], timeout: float = 90) -> None:
        """Wait until tasks are in these states."""
        until(
            lambda: wanted.items() <= self.states(run_id).items(),
            timeout,
            lambda: f"{wanted}, but {self.states(run_id)}\n{self.log()[-4000:]}",
        )

    def await_end(self, run_id: str, timeout: float = 180) -> str:
        """Wait until a run has ended; its state."""
        ends = {"completed", "failed", "cancelled"}
        until(
            lambda: self.get(f"/runs/{run_id}")["status"] in ends,
            timeout,
            lambda: f"the end of {run_id}, but {self.states(run_id)}\n{self.log()[-4000:]}",
        )
        return str(self.get(f"/runs/{run_id}")["status"])


def until(
    holds: Callable[[], bool], timeout: float, what: str | Callable[[], str] = "a condition"
) -> None:
    """Wait until a condition holds; an assertion that names it when it never does."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        if waited > timeout:
            raise AssertionError(f"waited {timeout} s for {what() if callable(what) else what}")
        time.sleep(pause(waited))
