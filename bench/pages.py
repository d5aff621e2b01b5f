"""What a run of ten thousand tasks costs the web: time and size of each kind of answer.

    .venv/bin/python bench/pages.py [TASKS]

Everything is asked of the application itself, so the numbers hold no network.
"""

import re
import sys
import tempfile
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from scripthut.config import parse
from scripthut.store.migrate import upgrade
from scripthut.web import create_app

ROUNDS = 5


def main(tasks: int) -> None:
    """Make the run, ask each question a few times, print the best of them."""
    with tempfile.TemporaryDirectory() as directory:
        config = parse({"settings": {"data_dir": str(Path(directory) / "data")}})
        upgrade(config.database_url)
        client = create_app(config).test_client()
        began = time.perf_counter()
        reply = create(client, tasks)
        print(f"{tasks} tasks\n\n| question | ms | KiB |\n|---|---:|---:|")
        row("create the run", time.perf_counter() - began, reply)
        run = reply.get_json()["id"]
        page = client.get(f"/runs/{run}").get_data(as_text=True)
        news = re.search(rf"/runs/{run}/changes\?[^\"]*", page)
        assert news is not None, "the page asks for changes"
        for what, path in {
            "the first page": "/",
            "the list of runs": "/runs",
            "the run's page": f"/runs/{run}",
            "nothing new": unescape(news[0]),
            "the run as JSON": f"/api/v1/runs/{run}",
            "the run's summary": f"/api/v1/runs/{run}/summary",
        }.items():
            row(what, *best(lambda path=path: client.get(path)))


def create(client: FlaskClient, tasks: int) -> TestResponse:
    """A fan-out of tasks in groups of a hundred, and one that waits for all."""
    fan = [{"id": f"g{n // 100}.{n}", "command": "true"} for n in range(tasks - 1)]
    document = [*fan, {"id": "end", "command": "true", "deps": ["g*"]}]
    body = {"backend": "local", "name": "bench", "document": document}
    return client.post("/api/v1/runs", json=body)


def best(ask: Callable[[], TestResponse]) -> tuple[float, TestResponse]:
    """The fastest of some rounds, in seconds, and its answer."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        reply = ask()
        found.append((time.perf_counter() - began, reply))
    return min(found, key=lambda pair: pair[0])


def row(what: str, seconds: float, reply: TestResponse) -> None:
    """One line of the table."""
    assert reply.status_code < 300, reply.get_data(as_text=True)
    print(f"| {what} | {seconds * 1000:.1f} | {len(reply.get_data()) / 1024:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
