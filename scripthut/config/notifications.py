"""Who is told what happened to a run: by mail, ntfy, a Slack-compatible address or a webhook.

Secrets stand in files of their own, which only the server's user may read.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from scripthut.config.part import Part
from scripthut.config.settings import Url
from scripthut.core.happenings import Interest, What


class _Channel(Part):
    name: str = Field(min_length=1, max_length=100)
    on: list[What] = [What.COMPLETED, What.FAILED, What.STALLED]
    runs: list[str] = ["*"]  # globs of run names; [] tells only of runs that ask for it
    backends: list[str] | None = None  # None: any

    @property
    def interest(self) -> Interest:
        """What this channel is told of."""
        here = None if self.backends is None else frozenset(self.backends)
        return Interest(frozenset(self.on), tuple(self.runs), here)


class Mail(_Channel):
    """E-mail by an SMTP server."""

    type: Literal["mail"]
    to: Annotated[list[str], Field(min_length=1)]
    sender: str = "scripthut@localhost"
    host: str = "localhost"
    port: int = Field(25, ge=1, le=65535)
    tls: Literal["none", "starttls", "tls"] = "none"
    user: str | None = None
    password_file: Path | None = None


class Ntfy(_Channel):
    """A topic of ntfy.sh, or of a server of its kind."""

    type: Literal["ntfy"]
    url: Url  # of the topic
    token_file: Path | None = None


class Slack(_Channel):
    """An incoming webhook of Slack, Mattermost, Rocket.Chat or whatever takes their JSON.

    Its address is a secret: whoever has it can write there.
    """

    type: Literal["slack"]
    url_file: Path


class Webhook(_Channel):
    """An address that takes JSON, signed with HMAC-SHA256."""

    type: Literal["webhook"]
    url: Url
    secret_file: Path | None = None  # None: not signed


AnyChannel = Annotated[Mail | Ntfy | Slack | Webhook, Field(discriminator="type")]
