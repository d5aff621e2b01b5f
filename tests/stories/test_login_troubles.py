"""Logins that fail, each in a sentence on its backend's card and in the log of a real server."""

import subprocess
from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.conftest import free_port
from tests.stories.server import Server, until
from tests.transports.steps import new_key

pytestmark = pytest.mark.sshd


def expired(key: Path, tmp_path: Path) -> Path:
    """A key whose certificate was good once."""
    authority = new_key(tmp_path / "authority")
    signs = ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", "hut"]
    subprocess.run([*signs, "-V", "20200101:20200201", f"{key}.pub"], check=True)
    return key


def test_each_trouble_is_one_sentence_on_its_card_and_in_the_log(
    login_node: Cluster, tmp_path: Path
) -> None:
    changed, readable = tmp_path / "changed", tmp_path / "readable"
    other = new_key(tmp_path / "other").with_suffix(".pub").read_text()
    changed.write_text(f"[127.0.0.1]:{login_node.port} {other}")
    readable.write_bytes(login_node.key.read_bytes())
    readable.chmod(0o644)
    there = {"host": login_node.host, "port": login_node.port, "user": login_node.user}
    well = {"known_hosts": str(login_node.known_hosts), "key_path": str(login_node.key)}
    troubles: dict[str, tuple[dict[str, object], str]] = {
        "changed": ({"known_hosts": str(changed)}, "HAS CHANGED"),
        "unknown": ({"known_hosts": str(tmp_path / "none")}, "is not known"),
        "readable": ({"key_path": str(readable)}, f"`chmod 600 {readable}`"),
        "missing": ({"key_path": str(tmp_path / "gone")}, f"There is no {tmp_path / 'gone'}"),
        "expired": (
            {"key_path": str(expired(new_key(tmp_path / "mine"), tmp_path))},
            "expired at 2020-0",
        ),
        "wrong": ({"key_path": str(new_key(tmp_path / "wrong"))}, "authorized_keys"),
        "refused": ({"port": login_node.portbase + 17}, "refused the connection"),
    }
    backends: list[dict[str, object]] = [
        {"type": "slurm", "name": name, "ssh": {**there, **well, **wrong}}
        for name, (wrong, _) in troubles.items()
    ]
    server = Server(tmp_path, free_port(), backends)
    server.start()
    try:
        server.await_leader()

        def messages() -> dict[str, str]:
            told = server.get("/backends")["backends"]
            return {one["name"]: one["message"] for one in told if one["message"]}

        until(lambda: len(messages()) == len(troubles), 60, lambda: str(messages()))
        said, log, page = messages(), server.log(), server.page("/backends")
    finally:
        server.stop()
    for name, (_, part) in troubles.items():
        assert part in said[name], (name, said[name])
        assert "\n" not in said[name]
        assert any(part in line for line in log.splitlines() if f"backend={name}:" in line), name
    assert page.count("No answer since") == len(troubles)
