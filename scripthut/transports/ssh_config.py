"""How to reach a host: what was said, and for the rest what OpenSSH's configuration says."""

import os
import pwd
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import paramiko

from scripthut.core.errors import Unreachable

CONNECT_TIMEOUT = 15.0  # seconds, where the configuration says nothing
ANSWERS_WITHIN = 20  # seconds; `Match exec` in the configuration may run commands
_DEFAULTS: Mapping[str, Sequence[str]] = {
    "identityfile": ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"],
    "userknownhostsfile": ["~/.ssh/known_hosts ~/.ssh/known_hosts2"],
    "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"],
}
# What OpenSSH refuses in names that reach a ProxyCommand, which is a line for a shell.
_UNSAFE = re.compile(r"^-|[\s'`\"$\\;&<>|(){}]")

Options = Mapping[str, Sequence[str]]
"""`ssh -G` as keyword -> values; keywords in small letters."""


@dataclass(frozen=True)
class Target:
    """A host as the configuration names it. None: what OpenSSH's configuration says."""

    host: str
    port: int | None = None
    user: str | None = None
    key_path: Path | None = None  # the only key to log in with
    cert_path: Path | None = None
    known_hosts: Path | None = None  # the only file to look for host keys in
    config: Path | None = None  # an ssh_config file instead of the user's own


@dataclass(frozen=True)
class Host:
    """A host with nothing left to ask."""

    name: str  # as it was asked for
    hostname: str
    port: int
    user: str
    identities: tuple[Path, ...]
    identities_only: bool  # no other keys of the agent
    certificates: tuple[Path, ...]
    agent: Path | None  # the agent's socket
    known_hosts: tuple[Path, ...]  # new keys are to be written to the first
    alias: str | None  # the name to look for in known_hosts
    jumps: tuple["Host", ...]  # the hosts to go through, nearest first
    proxy_command: str | None
    connect_timeout: float  # seconds

    @property
    def where(self) -> str:
        """The host in a sentence."""
        address = f"[{self.hostname}]:{self.port}" if self.port != 22 else self.hostname
        return address if self.name == self.hostname else f"{self.name} ({address})"

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names under which known_hosts may hold its key, the best first."""
        if self.alias:
            return (self.alias,)
        if self.port == 22:
            return (self.hostname,)
        return (f"[{self.hostname}]:{self.port}", self.hostname)


def resolve(target: Target, program: str = "ssh") -> Host:
    """All there is to know before connecting. Unreachable when the configuration is wrong.

    `program` is OpenSSH's; without it paramiko reads the configuration, which knows no Include.
    """
    host = _resolve(target, program, depth=0)
    if target.key_path is not None:
        host = replace(host, identities=(target.key_path.expanduser(),), identities_only=True)
    if target.cert_path is not None:
        host = replace(host, certificates=(target.cert_path.expanduser(),))
    if target.known_hosts is not None:
        file = target.known_hosts.expanduser()
        jumps = tuple(replace(j, known_hosts=(file, *j.known_hosts)) for j in host.jumps)
        host = replace(host, known_hosts=(file,), jumps=jumps)
    return host


def login_name() -> str:
    """The name of the user that runs this process."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _resolve(target: Target, program: str, depth: int) -> Host:
    if target.host.startswith("-") or not target.host:
        raise Unreachable(f"{target.host!r} is not the name of a host.")
    if depth > 8:
        raise Unreachable(
            f"The ProxyJump of {target.host} in the SSH configuration goes in circles."
        )
    options = ask_openssh(target, program)
    if options is None:
        options = _ask_paramiko(target)
    host = _host(target, options)
    jump = _one(options, "proxyjump")
    if jump is None:
        return host
    hops = [_parse_jump(word, target.config) for word in jump.split(",")]
    nearest = _resolve(hops[0], program, depth + 1)
    # As with `ssh -J a,b host`: only `a` is reached in the way its own configuration says.
    others = [
        replace(_resolve(hop, program, depth + 1), jumps=(), proxy_command=None) for hop in hops[1:]
    ]
    chain = (*nearest.jumps, replace(nearest, jumps=()), *others)
    return replace(host, jumps=chain, proxy_command=None)


def ask_openssh(target: Target, program: str) -> Options | None:
    """What `ssh -G` prints; None where there is no OpenSSH."""
    words = [program, "-G"]
    words += ["-F", str(target.config.expanduser())] if target.config else []
    words += ["-p", str(target.port)] if target.port else []
    words += ["-l", target.user] if target.user else []
    try:
        done = subprocess.run(
            [*words, "--", target.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWERS_WITHIN,
            check=False,
        )
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired as error:
        raise Unreachable(
            f"`ssh -G {target.host}` did not end within {ANSWERS_WITHIN} seconds: a `Match exec` "
            "in the SSH configuration hangs."
        ) from error
    if done.returncode != 0:
        raise Unreachable(f"The SSH configuration cannot be used: {done.stderr.strip()}")
    options: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        options.setdefault(keyword.lower(), []).append(value)
    return options


def _ask_paramiko(target: Target) -> Options:
    path = (target.config or Path("~/.ssh/config")).expanduser()
    try:
        config = paramiko.SSHConfig.from_path(str(path))
        found = config.lookup(target.host)
    except FileNotFoundError:
        found = paramiko.SSHConfigDict(hostname=target.host)
    except (OSError, paramiko.SSHException) as error:
        raise Unreachable(f"The SSH configuration {path} cannot be used: {error}") from error
    options = {k: v if isinstance(v, list) else [str(v)] for k, v in found.items()}
    return {**_DEFAULTS, **options}


def _host(target: Target, options: Options) -> Host:
    hostname = _one(options, "hostname") or target.host
    port = target.port or int(_one(options, "port") or 22)
    user = target.user or _one(options, "user") or login_name()
    tokens = {"%": "%", "h": hostname, "n": target.host, "p": str(port), "r": user}
    tokens |= {"d": str(Path.home()), "u": login_name(), "k": target.host}
    proxy = _one(options, "proxycommand")
    unsafe = [word for word in (hostname, target.host, user) if _UNSAFE.search(word)]
    if proxy and unsafe:
        raise Unreachable(f"{unsafe[0]!r} must not stand in a ProxyCommand.")
    known = [*options.get("userknownhostsfile", ()), *options.get("globalknownhostsfile", ())]
    timeout = _one(options, "connecttimeout")
    return Host(
        name=target.host,
        hostname=hostname,
        port=port,
        user=user,
        identities=_paths(options.get("identityfile", ()), tokens),
        identities_only=_one(options, "identitiesonly") == "yes",
        certificates=_paths(options.get("certificatefile", ()), tokens),
        agent=_agent(_last(options, "identityagent"), tokens),
        known_hosts=_paths([word for value in known for word in value.split()], tokens),
        alias=_one(options, "hostkeyalias"),
        jumps=(),
        proxy_command=_expand(proxy, tokens) if proxy else None,
        connect_timeout=float(timeout) if timeout and timeout.isdigit() else CONNECT_TIMEOUT,
    )


def _last(options: Options, keyword: str) -> str | None:
    values = options.get(keyword)
    return values[-1] if values else None


def _one(options: Options, keyword: str) -> str | None:
    """The value of a keyword; None when it is not set, or set to `none`."""
    value = _last(options, keyword)
    return None if value is None or value.lower() == "none" else value


def _agent(value: str | None, tokens: Mapping[str, str]) -> Path | None:
    if value is None or value == "SSH_AUTH_SOCK":
        value = os.environ.get("SSH_AUTH_SOCK", "")
    elif value.startswith("$"):
        value = os.environ.get(value[1:].strip("{}"), "")
    elif value.lower() == "none":
        value = ""
    return Path(_expand(value, tokens)).expanduser() if value else None


def _paths(values: Sequence[str], tokens: Mapping[str, str]) -> tuple[Path, ...]:
    return tuple(Path(_expand(v, tokens)).expanduser() for v in values if v.lower() != "none")


def _expand(text: str, tokens: Mapping[str, str]) -> str:
    """Replace `%h` and its like; an unknown one stays.

    >>> _expand("nc %h %p 100%%", {"h": "login", "p": "22", "%": "%"})
    'nc login 22 100%'
    """
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)


def _parse_jump(text: str, config: Path | None) -> Target:
    """A hop of ProxyJump: `[user@]host[:port]`, or the same as ssh://.

    >>> _parse_jump("ssh://ada@[fe80::1]:2222", None).host
    'fe80::1'
    """
    user, _, rest = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
    found = re.fullmatch(r"\[(?P<v6>[^]]+)](:(?P<p6>\d+))?|(?P<v4>[^:]+)(:(?P<p4>\d+))?", rest)
    if found is None:
        raise Unreachable(f"{text!r} in the ProxyJump of the SSH configuration is not a host.")
    port = found["p6"] or found["p4"]
    return Target(
        host=found["v6"] or found["v4"],
        port=int(port) if port else None,
        user=user or None,
        config=config,
    )
