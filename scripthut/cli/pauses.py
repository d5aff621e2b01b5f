"""Pausing and resuming, of a backend and of a source alike."""

import getpass

import click

from scripthut.cli.client import Client
from scripthut.cli.show import print_json, when

why_option = click.option("--why", default="", metavar="TEXT", help="For whoever wonders.")
who_option = click.option(
    "--who", default=getpass.getuser, metavar="NAME", help="Who pauses it; else your user name."
)


def pause(base: str, path: str, words: tuple[str, str], as_json: bool) -> None:
    """Pause what is at a path of the API. `words`: who, and why."""
    who, why = words
    said = Client(base).post(f"{path}/pause", {"who": who, "why": why})
    if as_json:
        print_json(said)
    else:
        click.echo(f"{said['name']} is paused since {when(said['paused']['at'])}")


def resume(base: str, path: str, as_json: bool) -> None:
    """Resume what is at a path of the API."""
    said = Client(base).post(f"{path}/resume", {})
    if as_json:
        print_json(said)
    else:
        click.echo(f"{said['name']} goes on")
