"""Certificates of SSH keys whose time is not now; a host only says that it lets nobody in."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from scripthut.clock import utcnow
from scripthut.transports.ssh_config import Host

SIGN_ANEW = "have the key signed anew, as the cluster's documentation says"


def beside(key: Path) -> Path:
    """Where the certificate of a key is looked for, as OpenSSH does."""
    return key.with_name(f"{key.name}-cert.pub")


def lapsed(path: Path) -> str | None:
    """Why a certificate does not hold now; None when it does. ValueError when it is none."""
    try:
        found = load_ssh_public_identity(path.read_bytes())
    except UnsupportedAlgorithm:
        return None  # of a security key: the host decides
    if not isinstance(found, SSHCertificate):
        return None
    now = utcnow().timestamp()
    if found.valid_before <= now:
        return f"the certificate {path} expired at {_time(found.valid_before)}"
    if found.valid_after > now:
        return f"the certificate {path} is valid from {_time(found.valid_after)} only"
    return None


def lapsed_on_the_way(host: Host) -> Iterator[str]:
    """What `lapsed` says of each certificate that OpenSSH shows on its way to a host."""
    hops = (*host.jumps, host)
    shown = [path for hop in hops for path in hop.certificates]
    shown += [beside(key) for hop in hops for key in hop.identities]
    for path in dict.fromkeys(shown):
        with suppress(OSError, ValueError):  # none there: nothing to say of it
            said = lapsed(path)
            if said is not None:
                yield said


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
