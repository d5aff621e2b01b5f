"""A server connected to the real cluster."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.server import Server


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(slurm: Cluster, tmp_path: Path) -> Iterator[Server]:
    """A running server with the cluster as its backend `hpc`."""
    ssh = {
        "host": slurm.host,
        "port": slurm.port,
        "user": slurm.user,
        "key_path": str(slurm.key),
        "known_hosts": str(slurm.known_hosts),
    }
    backend = {"type": "slurm", "name": "hpc", "ssh": ssh, "max_concurrent": 600}
    server = Server(tmp_path, free_port(), [backend])
    server.start()
    yield server
    server.stop()
