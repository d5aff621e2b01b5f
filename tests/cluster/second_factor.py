"""A login node whose sshd asks for a password by PAM, after the key: a real second factor."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.fixtures import Cluster, start_cluster

PASSWORD = "correct horse"
EXTRA = """UsePAM yes
KbdInteractiveAuthentication yes
AuthenticationMethods publickey,keyboard-interactive
LogLevel VERBOSE
"""


@contextmanager
def asking_node() -> Iterator[Cluster]:
    """For as long as the `with` lasts, the login user has a password."""
    with start_cluster(HUT_SLURM="0", HUT_SSHD_EXTRA=EXTRA) as cluster:
        words = f"{cluster.user}:{PASSWORD}\n".encode()
        subprocess.run(["chpasswd"], input=words, check=True, capture_output=True)
        try:
            yield cluster
        finally:
            subprocess.run(["usermod", "-p", "*", cluster.user], check=True)


def connections(cluster: Cluster) -> int:
    """How many connections its sshd has seen."""
    return (cluster.base / "log" / "sshd.log").read_text().count("Connection from")
