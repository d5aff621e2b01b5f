"""The server's own settings."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, model_validator

from scripthut.config.part import Part
from scripthut.config.proxies import peers
from scripthut.core.jobs import OutputLimits

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Outputs(Part):
    """Limits of what is collected from each task."""

    file_bytes: int = Field(OutputLimits.file_bytes, ge=0)
    files: int = Field(OutputLimits.files, ge=1)
    depth: int = Field(OutputLimits.depth, ge=1, le=20)
    keep_days: int | None = Field(None, ge=1)  # after a run's end its files go; None: never
    keep_bytes: ByteSize | None = None  # of all runs, then the oldest go; "200 GB" will do

    def limits(self) -> OutputLimits:
        """These limits as the backends take them."""
        return OutputLimits(file_bytes=self.file_bytes, files=self.files, depth=self.depth)


class Access(Part):
    """What a server behind Cloudflare Access wants to see of a command."""

    cf_client_id: str | None = None
    cf_client_secret: str | None = None
    cf_access_token: str | None = None
    cloudflared_app: str | None = None


Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]


def _database(url: str) -> str:
    if not url.startswith(("sqlite:", "postgresql:", "postgresql+")):
        raise ValueError(
            "is not an address like sqlite:////srv/hut.db or postgresql+psycopg://user@host/hut"
        )
    return url


def _proxies(words: list[str]) -> list[str]:
    peers(words)  # what is refused here would let no process of the server begin
    return words


class Settings(Part):
    """The server's own settings. Times in seconds."""

    poll_interval: int = Field(60, ge=5)  # the slowest pace at which a backend is asked
    server_host: str = "127.0.0.1"
    server_port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(2, ge=1, le=64)
    threads: int = Field(8, ge=1, le=256)
    data_dir: Path = Path("~/.cache/scripthut")
    database_url: Annotated[str, AfterValidator(_database)] | None = (
        None  # None: SQLite in data_dir
    )
    engine: bool = True  # False: web only; `scripthut engine` acts
    allowed_hosts: list[str] = []  # besides loopback; a Host header must be one of them
    site_url: Url | None = None  # how people reach the pages, for links in messages
    trusted_proxies: Annotated[
        list[str], AfterValidator(_proxies)
    ] = []  # addresses whose X-Forwarded-* headers count
    outputs: Outputs = Outputs()
    secret_names: list[str] = []  # of variables whose values are masked, besides ...TOKEN etc.
    sources_cache_dir: Path | None = None  # None: `sources` in data_dir
    edit_in_browser: bool | None = None  # None: where no proxy leads anybody else to the pages
    cli_server: str | None = None  # the server that commands ask; None: this machine's
    cli_autostart: Literal["ask", "always", "never"] = "ask"  # a server here, when none answers
    cli_auth: Access | None = None
    filter_user: str | None = None  # of later versions: kept, not used

    @property
    def may_edit_in_browser(self) -> bool:
        """Whether the pages may write the configuration's files.

        Who opens the pages of a server on loopback could open the files as well; of one behind a
        proxy nobody knows. Unless it was said, a request that tells of a proxy may not, either.
        """
        if self.edit_in_browser is not None:
            return self.edit_in_browser
        return not self.trusted_proxies and not self.allowed_hosts

    @model_validator(mode="after")
    def _only_loopback(self) -> Self:
        if self.server_host not in LOOPBACK:
            raise ValueError(
                f"server_host {self.server_host!r} is open to the network and there is no sign-in: "
                "use 127.0.0.1 and put nginx with authentication before it (deploy/nginx.conf)"
            )
        return self
