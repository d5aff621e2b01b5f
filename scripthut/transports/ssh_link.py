"""One authenticated connection to a host, through other hosts where needed, its key checked."""

import logging
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from scripthut.core.errors import Unreachable
from scripthut.core.quote import sh
from scripthut.transports import known_hosts
from scripthut.transports.base import BadHostKey
from scripthut.transports.deadline import Deadline
from scripthut.transports.known_hosts import KnownHosts, Verdict
from scripthut.transports.person import OneLogin, Person
from scripthut.transports.ssh_config import Host
from scripthut.transports.ssh_keys import Opened, log_in

KEEPALIVE = 30  # seconds
SILENCE = "Error reading SSH protocol banner"  # so says paramiko
_RSA = ("rsa-sha2-512", "rsa-sha2-256")  # how a host proves a key of the kind ssh-rsa

# What paramiko logs as errors is raised here as a sentence.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Link:
    """An open connection."""

    def __init__(
        self, host: Host, transport: paramiko.Transport, stack: ExitStack, opened: Opened
    ) -> None:
        self.host = host
        self.transport = transport
        self.key = opened.key  # what opened it
        self.was_asked = opened.was_asked  # a person took their time to answer
        self._stack = stack
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether nothing is known against it."""
        return self.transport.is_active()

    def close(self) -> None:
        """Close it and what it went through; from any thread, more than once if need be."""
        with self._lock:
            self._stack.close()


def connect(host: Host, deadline: Deadline, person: Person | None = None) -> Link:
    """Connect, check the host's key, log in. Unreachable says in one sentence why not.

    What a login asks goes to the person, who is not held to the deadline.
    """
    if person is None:
        return _all_the_way(host, deadline, None)
    with OneLogin(person) as login:
        return _all_the_way(host, deadline, login)


def _all_the_way(host: Host, deadline: Deadline, login: Person | None) -> Link:
    with ExitStack() as stack:
        through: paramiko.Transport | None = None
        opened = Opened("", was_asked=False)
        for hop in (*host.jumps, host):
            if opened.was_asked:
                deadline = Deadline(deadline.seconds)
            soon = deadline.sooner(2 * hop.connect_timeout)
            before = opened
            through, opened = _step(hop, through, soon, stack, login)
            opened = replace(opened, was_asked=opened.was_asked or before.was_asked)
        assert through is not None  # noqa: S101 - there is at least the host itself
        through.set_keepalive(KEEPALIVE)
        return Link(host, through, stack.pop_all(), opened)


def _step(
    host: Host,
    through: paramiko.Transport | None,
    deadline: Deadline,
    stack: ExitStack,
    person: Person | None,
) -> tuple[paramiko.Transport, Opened]:
    """The next machine on the way, logged in to."""
    proxy_says: Callable[[], str] = str
    try:
        if through is not None:
            sock: socket.socket | paramiko.Channel = _forward(through, host, deadline)
        elif host.proxy_command is not None:
            sock, proxy_says = _proxy(host.proxy_command, stack)
        else:
            sock = _dial(host, deadline.sooner(host.connect_timeout))
        stack.callback(sock.close)
        transport = _open(sock, host, deadline, stack)
        return transport, log_in(transport, host, person)
    except (OSError, EOFError, UnicodeError, paramiko.SSHException) as error:  # `a..b` is no name
        said = proxy_says()
        aside = f' Its ProxyCommand says: "{said}".' if said else ""
        raise Unreachable(_sentence(error, host) + aside) from error


def _dial(host: Host, deadline: Deadline) -> socket.socket:
    addresses = socket.getaddrinfo(host.hostname, host.port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(addresses, start=1):
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(deadline.left() / (len(addresses) - number + 1) or 0.001)
        # Without it every command waits 40 ms for the other side's delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address)
            return sock
        except OSError:
            sock.close()
            if number == len(addresses):
                raise
    raise OSError(f"{host.hostname} has no address")


def _forward(through: paramiko.Transport, host: Host, deadline: Deadline) -> paramiko.Channel:
    return through.open_channel(
        "direct-tcpip", (host.hostname, host.port), ("127.0.0.1", 0), timeout=deadline.left()
    )


def _proxy(command: str, stack: ExitStack) -> tuple[socket.socket, Callable[[], str]]:
    """A ProxyCommand as a socket: its two ends are the command's standard input and output.

    ssh_config(5) defines the command as a line for the user's shell; ssh_config.py has refused
    host and user names that could be more than a word in it.
    """
    ours, theirs = socket.socketpair()
    words = tempfile.TemporaryFile()  # noqa: SIM115 - the stack closes it
    stack.callback(words.close)
    with theirs:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=words,
            start_new_session=True,
        )
    stack.callback(_stop, process)

    def says() -> str:
        words.seek(0)
        return " ".join(words.read(2000).decode("utf-8", "replace").split())

    return ours, says


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _open(
    sock: socket.socket | paramiko.Channel, host: Host, deadline: Deadline, stack: ExitStack
) -> paramiko.Transport:
    known = known_hosts.load(host.known_hosts)
    transport = paramiko.Transport(sock)
    stack.callback(transport.close)
    transport.banner_timeout = transport.handshake_timeout = deadline.left()
    transport.auth_timeout = transport.channel_timeout = deadline.left()
    _prefer(transport, _kinds(known, host))
    transport.start_client(timeout=deadline.left())
    if not transport.initial_kex_done:  # paramiko says nothing when its time is over
        raise paramiko.SSHException(SILENCE)
    _check(transport.get_remote_server_key(), known, host)
    return transport


def _kinds(known: KnownHosts, host: Host) -> list[str]:
    return [kind for name in host.key_names for kind in known.kinds(name)]


def _prefer(transport: paramiko.Transport, kinds: list[str]) -> None:
    """Ask the host for a key of a kind that is known, so that an additional one is no change."""
    options = transport.get_security_options()
    able = list(options.key_types)
    wanted = [proof for kind in kinds for proof in (_RSA if kind == "ssh-rsa" else (kind,))]
    first = [proof for proof in dict.fromkeys(wanted) if proof in able]
    options.key_types = tuple(first + [proof for proof in able if proof not in first])


def _check(key: paramiko.PKey, known: KnownHosts, host: Host) -> None:
    """Let a known key pass. BadHostKey for every other, whatever StrictHostKeyChecking says."""
    kind, blob = key.get_name(), key.asbytes()
    verdicts = {name: known.verdict(name, kind, blob) for name in host.key_names}
    first = verdicts[host.key_names[0]]
    if Verdict.REVOKED not in verdicts.values():
        # As OpenSSH does: a key known for the host without its port will do when there is no other.
        if first is Verdict.KNOWN:
            return
        if first is Verdict.UNKNOWN and Verdict.KNOWN in verdicts.values():
            return
    shown = f"{kind} {key.fingerprint}"
    if Verdict.REVOKED in verdicts.values():
        raise BadHostKey(f"{host.where} shows a host key that is revoked ({shown}): stay away.")
    raise BadHostKey(_changed(host, shown) if first is Verdict.CHANGED else _unknown(host, shown))


def _unknown(host: Host, shown: str) -> str:
    return (
        f"The host key of {host.where} is not known, so nothing was sent to it. It shows {shown}. "
        "Compare this with the fingerprint that the cluster publishes; if they are the same, "
        f"accept it with: {_accepting(host)}"
    )


def _accepting(host: Host) -> str:
    file = str(host.known_hosts[0]) if host.known_hosts else "~/.ssh/known_hosts"
    if host.jumps or host.proxy_command or host.alias:
        return sh(["ssh", "-o", f"UserKnownHostsFile={file}", "-p", str(host.port), host.name])
    return sh(["ssh-keyscan", "-p", str(host.port), host.hostname]) + " >> " + sh([file])


def _changed(host: Host, shown: str) -> str:
    name = host.key_names[0]
    file = str(host.known_hosts[0]) if host.known_hosts else "~/.ssh/known_hosts"
    forgetting = sh(["ssh-keygen", "-R", name, "-f", file])
    return (
        f"THE HOST KEY OF {host.where} HAS CHANGED: it shows {shown}, and another one is known. "
        "Somebody may be listening in, so nothing was sent. Ask the cluster's administrators; only "
        f"if they replaced the key, forget the old one with: {forgetting}"
    )


def _sentence(error: Exception, host: Host) -> str:
    """What a failed connection means, and what can be done."""
    text = str(error)
    for kind, part, sentence in _SENTENCES:
        if isinstance(error, kind) and part in text:
            return sentence.format(where=host.where, host=host, error=text)
    return f"The connection to {host.where} failed: {text or type(error).__name__}."


_OLD = (
    "{where} speaks only ways of SSH that are no longer safe ({error}; ssh-rsa with SHA-1 is one "
    "of them): have its sshd updated, or reach the cluster by another login node."
)
_SILENT = (
    "{where} took the connection and did not greet: its sshd hangs, is overloaded, or something "
    "else listens on port {host.port}."
)
_SENTENCES: tuple[tuple[type[Exception], str, str], ...] = (
    (socket.gaierror, "", "The name {host.hostname} cannot be resolved: {error}."),
    (UnicodeError, "", "The name {host.hostname} cannot be resolved: {error}."),
    (ConnectionRefusedError, "", "{where} refused the connection: no sshd listens there."),
    (TimeoutError, "", "{where} did not answer in time."),
    (IncompatiblePeer, "", _OLD),
    (paramiko.ChannelException, "", "The host before {where} cannot reach it: {error}."),
    (paramiko.SSHException, SILENCE, _SILENT),
    (EOFError, "", "{where} closed the connection before the login was complete."),
)
