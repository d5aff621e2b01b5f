"""The server's own settings."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from scripthut.config.part import Part
from scripthut.core.jobs import OutputLimits

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Outputs(Part):
    """Limits of what is collected from each task."""

    file_bytes: int = Field(OutputLimits.file_bytes, ge=0)
    files: int = Field(OutputLimits.files, ge=1)
    depth: int = Field(OutputLimits.depth, ge=1, le=20)

    def limits(self) -> OutputLimits:
        """These limits as the backends take them."""
        return OutputLimits(file_bytes=self.file_bytes, files=self.files, depth=self.depth)


class Settings(Part):
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
    sources_cache_dir: Path | None = None  # None: `sources` in data_dir

    @model_validator(mode="after")
    def _only_loopback(self) -> Self:
        if self.server_host not in LOOPBACK:
            raise ValueError(
                f"server_host {self.server_host!r} is open to the network and there is no sign-in: "
                "use 127.0.0.1 and put nginx with authentication before it (deploy/nginx.conf)"
            )
        return self
