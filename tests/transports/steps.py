"""Steps that the tests of SSH share."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from scripthut.core.errors import Unreachable
from scripthut.transports.ssh import SSH
from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster

Open: TypeAlias = Callable[[Target], SSH]


def target_of(node: Cluster, user: str | None = None) -> Target:
    """A login node, every value said."""
    return Target(
        host=node.host,
        port=node.port,
        user=user or node.user,
        key_path=node.key,
        known_hosts=node.known_hosts,
    )


def why(ssh: SSH, timeout: float = 30) -> str:
    """The sentence with which a transport fails."""
    with pytest.raises(Unreachable) as caught:
        ssh.run(["true"], timeout=timeout)
    sentence = str(caught.value)
    assert sentence.endswith(".") or " with: " in sentence
    return sentence


def until(holds: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


def new_key(path: Path, *words: str) -> Path:
    given = [] if "-N" in words else ["-N", ""]
    kind = [] if "-t" in words else ["-t", "ed25519"]
    subprocess.run(["ssh-keygen", "-q", "-f", path, *kind, *given, *words], check=True)
    return path


def config_of(tmp_path: Path, node: Cluster, *lines: str) -> Path:
    """An ssh_config that names the login node `hpc`."""
    path = tmp_path / "config"
    basic = f"HostName {node.host}\n Port {node.port}\n User {node.user}\n"
    basic += f" UserKnownHostsFile {node.known_hosts}\n GlobalKnownHostsFile none\n"
    path.write_text(f"Host hpc\n {basic}" + "".join(f" {line}\n" for line in lines))
    return path
