"""A login node whose sshd asks for a password by PAM, after the key: a real second factor."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.fixtures import Cluster, start_cluster

PASSWORD = "correct horse"
EXTRA = """UsePAM yes
KbdInteractiveAuthentication yes
AuthenticationMethods publickey,keyboard-interactive
LogLevel VERBOSE
"""
RINGS = """auth required pam_exec.so quiet {script}
auth required pam_permit.so
account required pam_permit.so
session required pam_permit.so
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


@contextmanager
def ringing_node() -> Iterator[tuple[Cluster, Path]]:
    """A login node that prompts for nothing and rings a telephone, which is a directory.

    `rings` appears there when it rings; the login goes on once `approve` or `deny` is there.
    """
    with tempfile.TemporaryDirectory(prefix="hut-phone-", dir="/tmp") as name:
        phone = Path(name)
        script = phone / "ring"
        script.write_text(
            f'#!/bin/sh\n[ "$PAM_TYPE" = auth ] || exit 0\ncd {phone} || exit 1\ntouch rings\n'
            "until [ -e approve ] || [ -e deny ] || [ ! -e ring ]; do sleep 0.1; done\n"
            "[ -e approve ]\n"
        )
        script.chmod(0o755)
        # PAM's rules are found by the name under which sshd was started.
        service = Path("/etc/pam.d") / phone.name
        service.write_text(RINGS.format(script=script))
        sshd = phone / phone.name
        sshd.symlink_to("/usr/sbin/sshd")
        try:
            with start_cluster(HUT_SLURM="0", HUT_SSHD_EXTRA=EXTRA, HUT_SSHD=str(sshd)) as cluster:
                yield cluster, phone
        finally:
            service.unlink()


def connections(cluster: Cluster) -> int:
    """How many connections its sshd has seen."""
    return (cluster.base / "log" / "sshd.log").read_text().count("Connection from")
