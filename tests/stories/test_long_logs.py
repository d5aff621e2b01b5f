"""A log of which the server keeps the end: all of it can be had from where it lies."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.stories.conftest import free_port
from tests.stories.server import Server, until

LINES = 200_000
WRITES = f"""python3 - <<'END'
import os
for n in range({LINES}):
    print("line", n, "of", os.environ["API_TOKEN"] if n == 70_000 else "many")
END
"""
SECRET = "s3cr3t-and-long"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, free_port(), [{"type": "local", "name": "local"}], {"workers": 1})
    server.start()
    yield server
    server.stop()


def test_all_of_a_long_log_is_reached_from_its_end(server: Server) -> None:
    task = {"id": "a", "command": WRITES, "env": [{"set": {"API_TOKEN": SECRET}}]}
    run = server.run([task], "local")
    assert server.await_end(run) == "completed"
    place = f"/runs/{run}/tasks/a"
    until(lambda: server.get(f"{place}/logs")["file"] is not None, 30, "the log")
    log = server.get(f"{place}/logs")
    file = log["file"]
    assert 0 < log["start"] < file["size"]
    assert log["content"].endswith(f"line {LINES - 1} of many\n")

    shown = server.page(f"{place}/detail/output")
    (before,) = re.findall(r'href="([^"]*at=[^"]*)">What came before', shown)
    page = f"{place}/outputs/view/{file['id']}"
    assert before.startswith(f"{page}?at=")
    first = await_piece(server, page)
    assert "line 0 of many" in first
    assert f"line {LINES - 1} " not in first
    assert await_piece(server, before.replace("&amp;", "&")) != first
    secret = server.get(f"{place}/outputs")
    assert secret["files"] == []  # it is no output

    server.post(f"{place}/outputs/{file['id']}/fetch")
    fetched = f"{place}/outputs/{file['id']}/fetch"
    until(lambda: server.get(fetched)["sha256"] is not None, 60, lambda: str(server.get(fetched)))
    with urlopen(f"{server.url}{server.get(fetched)['url']}") as answer:
        whole = answer.read()
    assert len(whole) == file["size"]
    assert whole.count(b"\n") == LINES + whole.split(b"line 0 ")[0].count(b"\n")
    assert SECRET.encode() not in whole
    assert b"line 70000 of " + b"*" * len(SECRET) in whole


def await_piece(server: Server, path: str) -> str:
    """A part of a file that is not kept, once it has been brought."""
    until(lambda: 'class="awaited"' not in server.page(path), 30, path)
    return server.page(path)
