"""A machine reached by the user's own `ssh`: its keys, its agent, its ControlMaster.

For logins that ask for more than a key: a person answers once, in a terminal, and the connection
that stays open (ControlPersist) carries the commands. Nothing is ever asked here (BatchMode).
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from scripthut.core.errors import BadAnswer, Unreachable
from scripthut.core.jobs import Answer
from scripthut.transports.base import MIB
from scripthut.transports.certificates import SIGN_ANEW, lapsed_on_the_way
from scripthut.transports.child import Child
from scripthut.transports.deadline import Deadline
from scripthut.transports.frame import Frame
from scripthut.transports.ssh import WHO
from scripthut.transports.ssh_config import Target, ask_openssh, resolve

FAILED = 255  # with which ssh itself ends
PERSIST = "600"  # seconds for which an unused connection of ours stays open
_OPTIONS = (
    *("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=30", "ServerAliveCountMax=3"),
    *("RequestTTY=no", "RemoteCommand=none", "ForwardX11=no", "StrictHostKeyChecking=yes"),
    *("LogLevel=INFO", "ClearAllForwardings=yes"),
)
_FACTOR = (
    "{where} asks for a password or a second factor: log in once with `{login}` and leave that "
    "connection open (in ~/.ssh/config: ControlMaster, ControlPath, ControlPersist): it is used."
)
# No key opened. Where one did, and more is wanted, sshd does not offer keys again.
_NO_KEY = re.compile(r"Permission denied \([^)]*publickey|Too many authentication failures")
# What ssh says -> what to do. The first that is found counts; {login} is the command for a person.
_SENTENCES: Mapping[str, str] = {
    "IDENTIFICATION HAS CHANGED": (
        "{where} shows another host key than the one that is known. Somebody may be in between, or "
        "it was set up anew: ask its administrator before you remove the old key (`ssh-keygen -R`)."
    ),
    "Host key verification failed": (
        "The host key of {where} is not known: log in once with `{login}` and compare it."
    ),
    "UNPROTECTED PRIVATE KEY": "A key for {where} can be read by others: `chmod 600` its file.",
    "Too many authentication failures": (
        "{where} allows no more attempts: name the right key with ssh.key_path."
    ),
    "(keyboard-interactive)": _FACTOR,
    "(password)": _FACTOR,
    "(password,keyboard-interactive)": _FACTOR,
    "Permission denied": "{where} does not let you in: try `{login}` by hand.",
    "Session open refused": (
        "{where} opens no further session: other programs share this connection's MaxSessions."
    ),
    "session request failed": (
        "{where} opens no further session: other programs share this connection's MaxSessions."
    ),
}


class OpenSSH:
    """A host by OpenSSH's client."""

    def __init__(self, target: Target, sockets: Path, program: str = "ssh") -> None:
        """Nothing is connected yet. `sockets`: where connections of our own have their socket."""
        self._target = target
        self._sockets = sockets
        self._program = program
        self._child = Child(target.host)
        self._words: list[str] | None = None
        self._owns_socket = False
        self._who: tuple[PurePosixPath, str] | None = None

    @property
    def home(self) -> PurePosixPath:
        """The home directory there."""
        return self._login()[0]

    @property
    def user(self) -> str:
        """The login name there."""
        return self._login()[1]

    @property
    def commands(self) -> int:
        """Commands run there since the start."""
        return self._child.commands

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30, limit: int = 64 * MIB
    ) -> Answer:
        """Run words there and answer when their end was seen; see transports/base.py."""
        frame = Frame(argv, limit)
        words = self._ssh()
        try:
            return self._child.run([*words, frame.line], frame, stdin, Deadline(timeout))
        except Unreachable as error:
            if self._child.code == FAILED:
                raise Unreachable(self._sentence(str(error))) from error
            raise

    def close(self) -> None:
        """Leave for good, from any thread. A connection that the user opened stays open."""
        self._child.close()
        if self._words is not None and self._owns_socket:
            with suppress(OSError, subprocess.TimeoutExpired):
                words = [*self._words[:-2], "-O", "exit", *self._words[-2:]]
                subprocess.run(words, capture_output=True, timeout=5, check=False)

    def _ssh(self) -> list[str]:
        """The words before the command: the user's configuration, and what is said here."""
        if self._words is not None:
            return self._words
        target = self._target
        if target.host.startswith("-") or not target.host:
            raise Unreachable(f"{target.host!r} is not the name of a host.")
        found = ask_openssh(target, self._program)
        if found is None:
            raise Unreachable(
                "There is no OpenSSH on this machine, which `transport: openssh` uses."
            )
        words = [self._program, "-T", *(["-F", str(target.config)] if target.config else [])]
        for option in (*_OPTIONS, *self._sharing(found)):
            words += ["-o", option]
        words += ["-p", str(target.port)] if target.port else []
        words += ["-l", target.user] if target.user else []
        if target.key_path:
            words += ["-i", str(target.key_path), "-o", "IdentitiesOnly=yes"]
        words += ["-o", f"CertificateFile={target.cert_path}"] if target.cert_path else []
        if target.known_hosts:
            words += ["-o", f"UserKnownHostsFile={target.known_hosts}"]
            words += ["-o", "GlobalKnownHostsFile=none"]
        self._words = [*words, "--", target.host]
        return self._words

    def _sharing(self, found: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """One connection for all commands: the user's own socket where one is configured."""
        path = [*found.get("controlpath", ()), "none"][0]
        if path.lower() != "none":
            return ()
        self._sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owns_socket = True
        socket = f"ControlPath={self._sockets}/%C"
        return (socket, "ControlMaster=auto", f"ControlPersist={PERSIST}")

    def _sentence(self, said: str) -> str:
        where, login = self._target.host, f"{self._program} {self._target.host}"
        if _NO_KEY.search(said) and (lapsed := self._lapsed()):
            return f"{where} does not let you in, and {lapsed}: {SIGN_ANEW}."
        for words, sentence in _SENTENCES.items():
            if words in said:
                return sentence.format(where=where, login=login)
        own = said.rpartition("it said: ")[2].strip().removeprefix("ssh: ")
        return f"{where} cannot be reached: {own.rstrip('.')}."

    def _lapsed(self) -> str:
        """The certificates whose time is not now; nothing when each holds, or there is none."""
        with suppress(Unreachable):
            return "; ".join(lapsed_on_the_way(resolve(self._target, self._program)))
        return ""

    def _login(self) -> tuple[PurePosixPath, str]:
        if self._who is None:
            answer = self.run(["sh", "-c", WHO])
            lines = answer.out.splitlines()
            if answer.code != 0 or len(lines) != 2 or not lines[0].startswith("/"):
                raise BadAnswer(
                    f"{self._target.host} does not say what the home directory is: "
                    f"{answer.out} {answer.err}".rstrip()
                )
            self._who = PurePosixPath(lines[0]), lines[1]
        return self._who
