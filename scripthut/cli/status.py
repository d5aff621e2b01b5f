"""`scripthut status`: which server is asked and why, and whether it answers."""

import os
import sys
from pathlib import Path

import click

from scripthut.cli.client import Client
from scripthut.cli.configuration import where
from scripthut.cli.options import config_option, json_option
from scripthut.cli.reach import local_address
from scripthut.cli.show import print_json
from scripthut.config import environment, resolve
from scripthut.core.errors import HutError

SILENT = 2  # exit code when the server does not answer
VARIABLE = "SCRIPTHUT_SERVER"


@click.command("status")
@click.option("--server", "named", metavar="URL|local", help="The server to look at.")
@click.option("--quick", is_flag=True, help="Say what would be asked, and ask nothing.")
@config_option
@json_option
def status_command(named: str | None, quick: bool, config_file: Path | None, as_json: bool) -> None:
    """Say which server is asked, why, and how it and its backends are; exit with 2 if it is silent.

    Nothing is started.
    """
    found = resolve(where(config_file), environment())
    base, because = _server(named, found.config.settings.cli_server, local_address(found.config))
    told: dict[str, object] = {
        "server": base,
        "because": because,
        "config": [str(path) for path in found.files],
    }
    if not quick:
        told |= _health(base)
    if as_json:
        print_json(told)
    else:
        _say(told)
    if told.get("error"):
        sys.exit(SILENT)


def _server(named: str | None, configured: str | None, local: str) -> tuple[str, str]:
    ways = (
        (named, "--server"),
        (os.environ.get(VARIABLE), f"${VARIABLE}"),
        (configured, "settings.cli_server"),
    )
    for value, because in ways:
        if value:
            return (local if value == "local" else value), because
    return local, "this machine's server"


def _health(base: str) -> dict[str, object]:
    try:
        health = Client(base).get("health")
    except HutError as error:
        return {"error": str(error)}
    return {"health": health}


def _say(told: dict[str, object]) -> None:
    files = told["config"]
    click.echo(f"server   {told['server']} ({told['because']})")
    click.echo(f"config   {', '.join(files) if isinstance(files, list) and files else 'no file'}")
    if told.get("error"):
        click.echo(f"answer   {told['error']}")
    health = told.get("health")
    if isinstance(health, dict):
        click.echo(f"answer   {health['status']}, version {health['version']}")
        click.echo(f"engine   {'acts' if health['engine'] else 'none acts: see scripthut engine'}")
        for one in health["backends"]:
            silent = f"silent since {one['failing_since']}: {one['message']}"
            said = (
                silent if one["failing_since"] else "answers" if one["answered_at"] else "not asked"
            )
            paused = ", paused" if one.get("paused") else ""
            click.echo(f"backend  {one['name']} ({one['type']}): {said}{paused}")
        for problem in health.get("configuration", {}).get("problems", []):
            click.echo(f"problem  {problem}")
