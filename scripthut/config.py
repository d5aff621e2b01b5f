"""scripthut.yaml -> typed settings; errors name the path: `backends[0].ssh.host`."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scripthut.core.errors import Invalid
from scripthut.core.jobs import OutputLimits

# Sections of later versions: read, kept, and named once at start-up, never an error.
LATER = ("sources", "env", "env_groups", "stacks", "agent", "pricing", "cache")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SSH(_Part):
    """How to reach a login node. What is not said here is asked of ~/.ssh/config (`ssh -G`)."""

    host: str
    port: int | None = Field(None, ge=1, le=65535)
    user: str | None = None
    key_path: Path | None = None
    cert_path: Path | None = None
    known_hosts: Path | None = None


class Slurm(_Part):
    """A Slurm cluster reached over SSH."""

    type: Literal["slurm"]
    name: str = Field(min_length=1)
    ssh: SSH
    account: str | None = None
    partition_map: dict[str, str] = {}
    default_partition: str | None = None
    login_shell: bool = False
    max_concurrent: int = Field(100, ge=1)


class PBS(_Part):
    """A cluster under OpenPBS, PBS Pro or Torque, reached over SSH. `queue`: for all tasks."""

    type: Literal["pbs"]
    name: str = Field(min_length=1)
    ssh: SSH
    account: str | None = None
    queue: str | None = None  # None: what a task names as its partition, else the server's default
    login_shell: bool = False
    clone_dir: str = "~/scripthut-repos"  # of later versions: kept, not used
    max_concurrent: int = Field(100, ge=1)


class Local(_Part):
    """The server's own machine."""

    type: Literal["local"]
    name: str = Field(min_length=1)
    login_shell: bool = False
    max_concurrent: int = Field(default_factory=lambda: os.cpu_count() or 4, ge=1)


AnyBackend = Annotated[Slurm | PBS | Local, Field(discriminator="type")]


class Outputs(_Part):
    """Limits of what is collected from each task."""

    file_bytes: int = Field(OutputLimits.file_bytes, ge=0)
    files: int = Field(OutputLimits.files, ge=1)
    depth: int = Field(OutputLimits.depth, ge=1, le=20)

    def limits(self) -> OutputLimits:
        """These limits as the backends take them."""
        return OutputLimits(file_bytes=self.file_bytes, files=self.files, depth=self.depth)


class Settings(_Part):
    """The server's own settings. Times in seconds."""

    poll_interval: int = Field(60, ge=5)  # the slowest pace at which a backend is asked
    server_host: str = "127.0.0.1"
    server_port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(2, ge=1)
    threads: int = Field(8, ge=1)
    data_dir: Path = Path("~/.cache/scripthut")
    database_url: str | None = None  # None: SQLite in data_dir
    engine: bool = True  # False: web only; `scripthut engine` acts
    allowed_hosts: list[str] = []  # besides loopback; a Host header must be one of them
    trusted_proxies: list[str] = []  # addresses whose X-Forwarded-* headers count
    outputs: Outputs = Outputs()
    secret_names: list[str] = []  # of variables whose values are masked, besides ...TOKEN etc.

    @model_validator(mode="after")
    def _only_loopback(self) -> "Settings":
        if self.server_host not in LOOPBACK:
            raise ValueError(
                f"server_host {self.server_host!r} is open to the network and there is no sign-in: "
                "use 127.0.0.1 and put nginx with authentication before it (deploy/nginx.conf)"
            )
        return self


class Config(_Part):
    """A whole scripthut.yaml."""

    backends: list[AnyBackend] = []
    settings: Settings = Settings()
    later: Mapping[str, object] = {}  # the sections of LATER, as they were read

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Config":
        names = [b.name for b in self.backends]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"backends: the name {twice[0]!r} is used twice")
        return self

    @property
    def data_dir(self) -> Path:
        """Where the server keeps its database and what it collected; absolute."""
        return self.settings.data_dir.expanduser().absolute()

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.settings.database_url or f"sqlite:///{self.data_dir / 'scripthut.db'}"


def load(path: Path) -> Config:
    """Read a configuration file. Invalid names every problem by its place."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(str(path), [f"cannot be read: {error.strerror}"]) from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(str(path), [f"is not YAML: {error}"]) from error
    return parse({} if data is None else data, str(path))


def parse(data: object, what: str = "the configuration") -> Config:
    """Make a Config of plain data; without backends, there is one named `local`."""
    if not isinstance(data, dict):
        raise Invalid(what, ["must be a mapping with keys like `backends` and `settings`"])
    now = {str(k): v for k, v in data.items() if k not in LATER}
    now["later"] = {k: v for k, v in data.items() if k in LATER}
    if not now.get("backends"):
        now["backends"] = [{"type": "local", "name": "local"}]
    try:
        return Config.model_validate(now)
    except ValidationError as error:
        raise Invalid(what, [f"{place(e['loc'])}: {say(e)}" for e in error.errors()]) from None


def place(loc: Sequence[int | str]) -> str:
    """Where in a document something is.

    >>> place(("backends", 0, "slurm", "ssh", "host"))
    'backends[0].ssh.host'
    """
    words = [w for w in loc if w not in ("slurm", "pbs", "local") or not isinstance(w, str)]
    text = "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in words)
    return text.removeprefix(".") or "the whole"


def say(error: Mapping[str, object]) -> str:
    """What is wrong, in a sentence."""
    sentences = {
        "extra_forbidden": "is not a known key",
        "missing": "is required",
    }
    message = str(error["msg"]).removeprefix("Value error, ")
    return sentences.get(str(error["type"]), message)


def poll_interval(config: Config) -> timedelta:
    """The slowest pace at which a backend is asked."""
    return timedelta(seconds=config.settings.poll_interval)
