"""What commands that start something have in common: parameters, and the run that came of it."""

import time
from collections.abc import Sequence
from typing import Any

import click

from scripthut.cli.client import Client
from scripthut.cli.following import watch
from scripthut.cli.show import print_json
from scripthut.core.errors import Invalid, Refused

PATIENCE = 900.0  # seconds for a repository to be brought to a cluster

param_option = click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated."
)
watch_option = click.option(
    "--watch", is_flag=True, help="Follow it; exit with 1 unless it ends well."
)
interval_option = click.option(
    "--interval", type=click.FloatRange(0.2), default=2.0, show_default=True, metavar="SECONDS"
)


def chosen(params: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` words as a mapping; the last one of a name counts. Refused."""
    found = {}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise Refused(f"--param {text}: write NAME=VALUE")
        found[name] = value
    return found


def tell(
    client: Client, run: dict[str, Any], is_watched: bool, interval: float, as_json: bool
) -> None:
    """Say which run was started, and follow it if that is wished for."""
    if is_watched:
        click.echo(client.page(run["id"]), err=True)
        watch(client, run["id"], interval, as_json, exit_status=True)
    elif as_json:
        print_json(run)
    else:
        click.echo(run["id"])
        click.echo(client.page(run["id"]), err=True)


def served(client: Client, said: dict[str, Any], patience: float = PATIENCE) -> dict[str, Any]:
    """The run that came of an order, once the engine has served it. Invalid, Refused."""
    if "order" not in said:
        return said
    deadline = time.monotonic() + patience
    click.echo("waiting for the engine ...", err=True)
    while said["status"] == "waiting":
        if time.monotonic() > deadline:
            raise Refused(f"the engine has not served the order {said['order']} yet: see its page")
        said = client.get(f"{said['url']}?wait=20")
    if said["problems"]:
        raise Invalid(f"{said['workflow']} of {said['source']}", said["problems"])
    return client.get(f"runs/{said['run_id']}") if said["run_id"] else said
