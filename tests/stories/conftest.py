"""A server connected to the real cluster."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.server import Server


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    cluster: Cluster,
    directory: Path,
    kind: str = "slurm",
    settings: dict[str, object] | None = None,
) -> Iterator[Server]:
    """A running server with a cluster as its backend `hpc`, of type `kind`."""
    ssh = {
        "host": cluster.host,
        "port": cluster.port,
        "user": cluster.user,
        "key_path": str(cluster.key),
        "known_hosts": str(cluster.known_hosts),
    }
    backend = {"type": kind, "name": "hpc", "ssh": ssh, "max_concurrent": 600}
    server = Server(directory, free_port(), [backend], settings or {})
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(slurm: Cluster, tmp_path: Path) -> Iterator[Server]:
    """A running server with the cluster as its backend `hpc`."""
    with serving(slurm, tmp_path) as running:
        yield running
