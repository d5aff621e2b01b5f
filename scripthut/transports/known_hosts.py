"""The known_hosts files of OpenSSH: which key a host may show. Source: sshd(8).

paramiko's reader keeps one key a type and host, and passes over patterns and revocations; clusters
with several login nodes behind one name need all of them.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path

from scripthut.core.errors import Unreachable

REVOKED = "@revoked"


class Verdict(Enum):
    """What the files say about a key that a host showed."""

    KNOWN = "known"
    UNKNOWN = "unknown"  # nothing is written about this host
    CHANGED = "changed"  # something is written, and it is not this key
    REVOKED = "revoked"


@dataclass(frozen=True)
class Entry:
    """One line: for which hosts, which key."""

    marker: str  # "" or REVOKED
    hosts: str
    kind: str  # ssh-ed25519, ssh-rsa, ...
    blob: bytes

    def is_for(self, name: str) -> bool:
        """Whether the line speaks of a host, `host` or `[host]:port`."""
        if self.hosts.startswith("|1|"):
            return _is_hash_of(self.hosts, name)
        patterns = self.hosts.lower().split(",")
        refused = any(p.startswith("!") and _matches(p[1:], name) for p in patterns)
        return not refused and any(_matches(p, name) for p in patterns)


@dataclass(frozen=True)
class KnownHosts:
    """All entries of some files."""

    entries: tuple[Entry, ...]

    def kinds(self, name: str) -> list[str]:
        """The types of the keys that are known for a host, in the order of the files."""
        return list(dict.fromkeys(e.kind for e in self.entries if not e.marker and e.is_for(name)))

    def verdict(self, name: str, kind: str, blob: bytes) -> Verdict:
        """What is to be thought of a host that showed this key."""
        mine = [entry for entry in self.entries if entry.is_for(name)]
        if any(entry.marker == REVOKED and entry.blob == blob for entry in mine):
            return Verdict.REVOKED
        keys = [(entry.kind, entry.blob) for entry in mine if not entry.marker]
        if (kind, blob) in keys:
            return Verdict.KNOWN
        return Verdict.CHANGED if keys else Verdict.UNKNOWN


def load(paths: Iterable[Path]) -> KnownHosts:
    """Read files; one that is not there holds nothing. Unreachable when one cannot be read."""
    entries: list[Entry] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unreachable(
                f"The host keys in {path} cannot be read ({error.strerror}), so no login node can "
                "be recognised: make the file readable for the user that runs scripthut."
            ) from error
        entries += _entries(text)
    return KnownHosts(tuple(entries))


def _entries(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3 or marker not in ("", REVOKED):  # certificates of hosts are not read
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        yield Entry(marker, words[0], words[1], blob)


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern of `*` and `?` fits.

    >>> _matches("login?.hpc.org", "login2.hpc.org"), _matches("[::1]:22", "[::1]:22")
    (True, True)
    """
    return fnmatchcase(name.lower(), pattern.replace("[", "[[]"))


def _is_hash_of(field: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in field.split("|")[2:4])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.lower().encode(), "sha1"), digest)
