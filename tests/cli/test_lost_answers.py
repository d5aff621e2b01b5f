"""A start whose answer is lost is asked again, and never makes a second run."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving import HUT, Site, serving, surroundings


@contextmanager
def losing(site: Site, times: int) -> Iterator[int]:
    """A port that hands questions on and loses the first answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = [times]

    def hand_on() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, socket.create_connection((site.host, site.port)) as server:
                server.sendall(_question(client))
                answer = b""
                while piece := server.recv(65536):
                    answer += piece
                left[0] -= 1
                if left[0] < 0:
                    client.sendall(answer)

    thread = threading.Thread(target=hand_on, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _question(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    words = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(words.get(b"content-length", b"0")):
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def test_a_lost_answer_is_no_second_run(tmp_path: Path) -> None:
    document = tmp_path / "one.json"
    document.write_text(json.dumps([{"id": "a", "command": "true"}]))
    with serving(tmp_path / "site") as site, losing(site, 2) as port:
        words = ["submit", str(document), "--backend", "local"]
        done = subprocess.run(
            [*HUT, *words, "--server", f"http://127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            env=surroundings(tmp_path),
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (run,) = site.get("/api/v1/runs").json["runs"]
        assert done.stdout.strip().endswith(f"/runs/{run['id']}")
