"""Transports to this machine and to a real login node."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripthut.transports.local import Local
from scripthut.transports.openssh import OpenSSH
from scripthut.transports.ssh import SSH
from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster
from tests.cluster.tcp_proxy import Proxy
from tests.scratch import scratch
from tests.transports.steps import target_of

_KINDS = ("ssh", "openssh")


@pytest.fixture
def target(login_node: Cluster) -> Target:
    return target_of(login_node)


@pytest.fixture
def open_ssh() -> Iterator[Callable[[Target], SSH]]:
    """Make transports that are closed after the test."""
    with ExitStack() as stack:

        def opened(target: Target) -> SSH:
            ssh = SSH(target)
            stack.callback(ssh.close)
            return ssh

        yield opened


@pytest.fixture
def ssh(target: Target, open_ssh: Callable[[Target], SSH]) -> SSH:
    return open_ssh(target)


@pytest.fixture
def open_openssh(tmp_path: Path) -> Iterator[Callable[[Target], OpenSSH]]:
    """Make transports by OpenSSH's client that are closed after the test."""
    with ExitStack() as stack:
        # A socket's path is short: not below tmp_path, whose name is the test's.
        sockets = stack.enter_context(scratch())

        def opened(target: Target) -> OpenSSH:
            ssh = OpenSSH(target, sockets)
            stack.callback(ssh.close)
            return ssh

        yield opened


@pytest.fixture(params=["local", *(pytest.param(k, marks=pytest.mark.sshd) for k in _KINDS)])
def transport(request: pytest.FixtureRequest) -> Iterator[Local | SSH | OpenSSH]:
    """Each kind of transport in turn."""
    if request.param == "ssh":
        yield request.getfixturevalue("ssh")
        return
    if request.param == "openssh":
        opened = request.getfixturevalue("open_openssh")
        yield opened(request.getfixturevalue("target"))
        return
    local = Local()
    yield local
    local.close()


@pytest.fixture
def proxy(login_node: Cluster) -> Iterator[Proxy]:
    """A proxy before the login node's sshd."""
    with Proxy(login_node.port) as proxy:
        yield proxy


@pytest.fixture
def by_proxy(
    login_node: Cluster, proxy: Proxy, tmp_path: Path, open_ssh: Callable[[Target], SSH]
) -> SSH:
    """A transport through the proxy."""
    keys = login_node.known_hosts.read_text()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(keys.replace(f":{login_node.port} ", f":{proxy.port} "))
    return open_ssh(
        Target("127.0.0.1", proxy.port, login_node.user, login_node.key, None, known_hosts)
    )
