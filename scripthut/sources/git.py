"""The one place that starts git: words, a limit of time, no question, no surprise.

Nothing of a user's is an option here, transports that run a command are off, hosts are recognised
by their keys, and a private key is only ever named by its path, in the environment.
"""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scripthut.core.errors import Refused, Unreachable
from scripthut.core.quote import sh
from scripthut.core.refs import host_of, shown

SECONDS = 60.0  # for what needs no network
NETWORK_SECONDS = 300.0
CONNECT_SECONDS = 15
LONGEST = 600  # characters of git's words in a message

# What a server's environment may tell git: never GIT_DIR and its like.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_NEUTRAL = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",  # answers nothing, instead of opening a window
    "SSH_ASKPASS": "true",
}
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.version=2",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
)
_SILENT = re.compile(
    r"could not resolve|connection (?:refused|reset|closed|timed out)|timed out|no route to host|"
    r"network is unreachable|early eof|unexpected disconnect|hung up|broken pipe|"
    r"returned error: 5\d\d|temporar|failed to connect|couldn't connect",
    re.I,
)
_STRANGER = re.compile(r"host key verification failed|no .* host key is known", re.I)
_IDLE = (
    *("Cloning into", "hint:", "From ", "Please make sure you have the correct access rights"),
    *("and the repository exists.", "fatal: Could not read from remote repository."),
)
_NOISE = re.compile(r"^(?:fatal|error|remote|warning): *", re.M)


@dataclass(frozen=True)
class Access:
    """With what a repository is reached: a private key, the known hosts, and whether by file."""

    url: str
    key: Path | None = None  # None: the user's own keys and agent
    known_hosts: Path | None = None  # None: the user's own and the machine's

    @property
    def protocols(self) -> str:
        """What git may use: files of this machine only for a repository that is one."""
        is_here = self.url.startswith(("/", "~", "file://"))
        return "https:http:ssh:git:file" if is_here else "https:http:ssh:git"

    @property
    def ssh(self) -> str:
        """The command by which git starts ssh."""
        words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        # A master that this would leave behind keeps git's standard error open for ever.
        words += ["-o", "ControlMaster=no"]
        words += ["-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "ServerAliveInterval=15"]
        if self.known_hosts is not None:
            words += ["-o", f"UserKnownHostsFile={_quoted(self.known_hosts)}"]
            words += ["-o", "GlobalKnownHostsFile=/dev/null"]
        if self.key is not None:
            words += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", str(self.key)]
        return sh(words)


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


@dataclass(frozen=True)
class Git:
    """Git, for one repository."""

    access: Access
    extra: Mapping[str, str] = field(default_factory=dict)  # variables besides

    def run(
        self,
        *words: str,
        stdin: bytes = b"",
        timeout: float = SECONDS,
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> bytes:
        """What git prints. Unreachable: a remote did not answer; Refused: anything else."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        environment = self._environment() | dict(extra or {})
        try:
            process = subprocess.Popen(
                ["git", *settings, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise Refused(f"git cannot be started on the server: {error}.") from error
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            raise Unreachable(
                f"git did not end within {timeout:g} seconds: {self._where()}."
            ) from None
        finally:
            _end(process)
        if process.returncode != 0:
            raise self._error(err.decode("utf-8", "replace"), process.returncode)
        return out

    def says(self, *words: str, cwd: Path | None = None) -> str:
        """What git prints, as a line."""
        return self.run(*words, cwd=cwd).decode("utf-8", "replace").strip()

    def _environment(self) -> dict[str, str]:
        names = (*_KEPT, *_PROXIES, *(name.upper() for name in _PROXIES))
        own = {name: os.environ[name] for name in names if name in os.environ}
        access = {"GIT_ALLOW_PROTOCOL": self.access.protocols, "GIT_SSH_COMMAND": self.access.ssh}
        return {**own, **_NEUTRAL, **access, **self.extra}

    def _where(self) -> str:
        return shown(self.access.url)

    def _error(self, words: str, code: int) -> Exception:
        said = _said(words) or f"it ended with exit code {code}"
        if _STRANGER.search(words):
            return Refused(f"git, about {self._where()}: {said} {self._accepting()}")
        kind = Unreachable if _SILENT.search(words) else Refused
        return kind(f"git, about {self._where()}: {said}")

    def _accepting(self) -> str:
        """How to accept the host that a repository is on."""
        host, port = host_of(self.access.url) or ("HOST", 22)
        file = str(self.access.known_hosts or "~/.ssh/known_hosts")
        command = f"{sh(['ssh-keyscan', '-p', str(port), host])} >> {file}"
        return (
            f"The key of {host} is not among the known hosts. Compare it with what its "
            f"administrators publish, then accept it with: {command}"
        )


def _said(words: str) -> str:
    """Git's own words in one line, without passwords.

    >>> _said("Cloning into 'x'...\\nfatal: couldn't find remote ref refs/heads/nope\\n")
    "couldn't find remote ref refs/heads/nope"
    """
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_IDLE)]
    text = " ".join(_NOISE.sub("", line) for line in telling)
    return shown(text if len(text) <= LONGEST else f"…{text[-LONGEST:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End git and what it started, ssh above all."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
