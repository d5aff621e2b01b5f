"""The keys to log in with: from files, from the agent, with their certificates."""

import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType

from scripthut.transports import certificates
from scripthut.transports.base import BadLogin
from scripthut.transports.person import METHOD, Person, ask
from scripthut.transports.ssh_config import Host

_SHA1 = (
    "an old sshd takes RSA keys with SHA-1 signatures (ssh-rsa) alone, which are not made here "
    "because they can be forged; use an ed25519 key (`ssh-keygen -t ed25519`)"
)
AGENT_ANSWERS_WITHIN = 15  # seconds; an agent may ask its owner


class Agent(paramiko.Agent):
    """An agent at a socket of our choice; paramiko's own looks at SSH_AUTH_SOCK alone."""

    def __init__(self, path: Path) -> None:
        paramiko.agent.AgentSSH.__init__(self)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(AGENT_ANSWERS_WITHIN)
        try:
            connection.connect(str(path))
            self._connect(connection)  # type: ignore[attr-defined]  # not in the stubs
        except OSError:
            connection.close()
            raise


@dataclass(frozen=True)
class Opened:
    """The name of the key that opened, and whether a person was asked besides."""

    key: str
    was_asked: bool


@dataclass
class Keyring:
    """The keys for one host; `problems` says why others were not used."""

    host: Host
    problems: list[str] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)
    lapsed: list[str] = field(default_factory=list)  # certificates whose time is not now
    agent: Agent | None = None

    def offered(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """What to show to the host, in order, each with its name."""
        held = {key.asbytes(): key for key in self._agent_keys()}
        for path in self.host.identities:
            key = self._identity(path, held)
            if key is not None:
                yield from self._with_certificates(path, key)
        if not self.host.identities_only:
            for key in held.values():
                yield f"{key.comment or key.get_name()} of the agent", key

    def close(self) -> None:
        """Leave the agent."""
        if self.agent is not None:
            self.agent.close()
            self.agent = None

    def _agent_keys(self) -> tuple[paramiko.AgentKey, ...]:
        if self.host.agent is None:
            return ()
        try:
            self.agent = Agent(self.host.agent)
        except (OSError, paramiko.SSHException) as error:
            self.problems.append(f"the agent at {self.host.agent} does not answer ({error})")
            return ()
        return self.agent.get_keys()

    def _identity(self, path: Path, held: dict[bytes, paramiko.AgentKey]) -> paramiko.PKey | None:
        """The key of an identity file: the agent's if it holds it, else the file's."""
        public = _public(path)
        if public is not None and public in held:
            return held.pop(public)
        try:
            key = _private(path)
        except FileNotFoundError:
            self.missing.append(path)
            return None
        except _Unusable as error:
            self.problems.append(str(error))
            return None
        held.pop(key.asbytes(), None)
        return key

    def _with_certificates(
        self, path: Path, key: paramiko.PKey
    ) -> Iterator[tuple[str, paramiko.PKey]]:
        beside = certificates.beside(path)
        for certificate in (*self.host.certificates, *([beside] if beside.exists() else [])):
            if not certificate.is_file():  # paramiko would take the path for the certificate
                self.problems.append(f"the certificate {certificate} does not exist")
                continue
            try:
                key.load_certificate(str(certificate))
                lapsed = certificates.lapsed(certificate)
            except (OSError, ValueError, paramiko.SSHException) as error:
                self.problems.append(f"the certificate {certificate} does not fit ({error})")
                continue
            if lapsed is not None:
                self.lapsed.append(lapsed)
                key.public_blob = None
                continue
            yield f"{path} with {certificate.name}", key
        key.public_blob = None
        yield str(path), key


class _Unusable(Exception):
    """A private key that is there and cannot be used; the message says why and what to do."""


def _public(path: Path) -> bytes | None:
    """The public half beside a key; None when there is none. An IdentityFile may be one itself."""
    file = path if path.suffix == ".pub" else path.with_name(f"{path.name}.pub")
    with suppress(OSError, ValueError):
        return paramiko.pkey.PublicBlob.from_file(str(file)).key_blob
    return None


def _private(path: Path) -> paramiko.PKey:
    mode = path.stat()
    if mode.st_uid == os.geteuid() and stat.S_IMODE(mode.st_mode) & 0o077:
        raise _Unusable(f"{path} can be read by others, so it is not used: `chmod 600 {path}`")
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unusable(
            f"{path} cannot be read ({error.strerror}): give it to the user that runs scripthut"
        ) from error
    except TypeError as error:  # so says the cryptography library
        raise _Unusable(
            f"{path} is encrypted and no agent holds it: `ssh-add {path}`, and start scripthut "
            "with SSH_AUTH_SOCK set"
        ) from error
    except (ValueError, paramiko.SSHException, UnknownKeyType) as error:
        raise _Unusable(f"{path} is not a private key of a kind that can be used") from error


def log_in(transport: paramiko.Transport, host: Host, person: Person | None = None) -> Opened:
    """Show the keys one after the other until one opens. BadLogin says what was tried."""
    ring = Keyring(host)
    tried: dict[str, str] = {}
    try:
        for name, key in ring.offered():
            tried[name] = key.get_name()
            further = _opens(transport, host, name, key)
            if further is None:
                continue
            if METHOD in further:
                ask(transport, host, person)
            return Opened(name, was_asked=bool(further))
    finally:
        ring.close()
    raise BadLogin(_nothing_opened(host, tried, ring))


def _opens(
    transport: paramiko.Transport, host: Host, name: str, key: paramiko.PKey
) -> Sequence[str] | None:
    """What else is wanted once the key was shown, mostly nothing; None: it does not open."""
    try:
        further = transport.auth_publickey(host.user, key)
    except paramiko.BadAuthenticationType as error:
        if METHOD in error.allowed_types:
            return [METHOD]
        allowed = ", ".join(error.allowed_types)
        raise BadLogin(
            f"{host.where} lets {host.user} in by {allowed} alone, and scripthut can only "
            "show a key: set `transport: openssh` for this backend and log in once by hand with a "
            "ControlMaster."
        ) from error
    except paramiko.AuthenticationException as error:
        if "pubkey algorithm" in str(error):
            raise BadLogin(
                f"{host.where} does not let {host.user} in with {name}: {_SHA1}."
            ) from error
        if not transport.is_active():
            raise BadLogin(
                f"{host.where} closed the connection after the key {name}: it allows no more "
                "attempts, or keeps this user out. Name the right key with ssh.key_path."
            ) from error
        return None
    if further and METHOD not in further:
        raise BadLogin(
            f"{host.where} took the key {name} and wants {', '.join(further)} as well, a second "
            "factor: set `transport: openssh` for this backend and log in once by hand with a "
            "ControlMaster, or ask for a key that needs none from this server."
        )
    return further


def _nothing_opened(host: Host, tried: Mapping[str, str], ring: Keyring) -> str:
    aside = f" Not used: {'; '.join(ring.problems)}." if ring.problems else ""
    if ring.lapsed:
        return (
            f"{host.where} does not let {host.user} in, and {'; '.join(ring.lapsed)}: "
            f"{certificates.SIGN_ANEW}.{aside}"
        )
    if tried:
        is_rsa = any("rsa" in kind for kind in tried.values())
        return (
            f"{host.where} does not let {host.user} in with {', '.join(tried)}: put the public key "
            "into ~/.ssh/authorized_keys there, or name another with ssh.key_path."
            f"{f' If ssh itself gets in: {_SHA1}.' if is_rsa else ''}{aside}"
        )
    missing = f" There is no {', no '.join(map(str, ring.missing))}." if ring.missing else ""
    return (
        f"There is no key to log in to {host.where} as {host.user}: name one with ssh.key_path, or "
        f"start an agent that holds one.{missing}{aside}"
    )
