"""Trying a channel out, before a run's end depends on it."""

from pathlib import Path

import click

from scripthut.cli.configuration import settle
from scripthut.cli.options import config_option
from scripthut.clock import utcnow
from scripthut.core.errors import NotFound
from scripthut.core.happenings import Message, What
from scripthut.core.states import State
from scripthut.messengers import build


@click.command("tell")
@click.argument("channel")
@config_option
def tell_command(channel: str, config_file: Path | None) -> None:
    """Send a message to CHANNEL, one of the configuration's `notifications`, to try it out."""
    config = settle(config_file).config
    found = {one.name: one for one in config.notifications}.get(channel)
    if found is None:
        names = ", ".join(one.name for one in config.notifications) or "none"
        raise NotFound(f"The configuration has no channel {channel!r}. There are: {names}.")
    now = utcnow()
    message = Message(
        what=What.COMPLETED,
        ident=f"scripthut-trial-{int(now.timestamp())}",
        run_id="trial",
        run="A trial",
        backend="no backend",
        counts={State.COMPLETED: 1},
        at=now,
        elapsed=1.0,
        link=config.site_url,
        summary="This is what a message of scripthut looks like.",
    )
    build(found).send(message)
    click.echo(f"Told {channel} ({found.type}).")
