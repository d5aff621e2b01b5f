"""The commands that stay until they are stopped: the server, and the engine alone."""

from pathlib import Path

import click

from scripthut.cli import logs, server
from scripthut.cli.configuration import settle
from scripthut.cli.options import config_option, host_option, port_option, verbose_option


@click.command("serve")
@config_option
@host_option
@port_option
@click.option("--bind", metavar="unix:PATH", help="Listen on a socket file, for a proxy.")
@verbose_option
def serve_command(
    config_file: Path | None, host: str | None, port: int | None, bind: str | None, verbose: bool
) -> None:
    """Serve the pages and, unless `engine: false`, act on the clusters."""
    logs.set_up(verbose)
    server.serve(settle(config_file), server.Flags(host, port, bind))


@click.command("engine")
@config_option
@verbose_option
def engine_command(config_file: Path | None, verbose: bool) -> None:
    """Act on the clusters without serving pages, until SIGTERM or Ctrl-C."""
    logs.set_up(verbose)
    server.act(settle(config_file))
