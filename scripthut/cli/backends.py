"""`scripthut backend ...`: where jobs run, and what was asked there."""

from typing import Any

import click
from rich.table import Table
from rich.text import Text

from scripthut.cli import complete
from scripthut.cli.client import Client, word
from scripthut.cli.options import json_option
from scripthut.cli.pauses import pause, resume, who_option, why_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json, when
from scripthut.core.units import size


@click.group("backend")
def backend_group() -> None:
    """List the places where jobs run, and what was asked there."""


@backend_group.command("list")
@json_option
@server_option
def list_command(as_json: bool, base: str) -> None:
    """List the backends, and whether each answers."""
    found = Client(base).get("backends")
    if as_json:
        print_json(found)
        return
    table = Table("Backend", "Type", "At once", "", "", box=None, pad_edge=False)
    for one in found["backends"]:
        word_ = Text("answers", "green") if one["connected"] else Text("silent", "red")
        if one["answered_at"] is None and one["connected"] is False and not one["message"]:
            word_ = Text("not asked yet", "dim")
        if one["paused"]:
            word_.append(", paused", "yellow")
        said = one["message"] or (one["paused"] or {}).get("why", "")
        words = (one["type"], str(one["max_concurrent"]), word_, Text(said))
        table.add_row(Text(one["name"]), *words)
    console().print(table)


@backend_group.command("pause")
@click.argument("name", shell_complete=complete.backends)
@why_option
@who_option
@json_option
@server_option
def pause_command(name: str, why: str, who: str, as_json: bool, base: str) -> None:
    """Submit nothing more on a backend. What runs there goes on, and can be cancelled."""
    pause(base, f"backends/{word(name)}", (who, why), as_json)


@backend_group.command("resume")
@click.argument("name", shell_complete=complete.backends)
@json_option
@server_option
def resume_command(name: str, as_json: bool, base: str) -> None:
    """Submit on a paused backend again."""
    resume(base, f"backends/{word(name)}", as_json)


@backend_group.command("log")
@click.argument("name", shell_complete=complete.backends)
@click.option("--failures", is_flag=True, help="Only what went wrong.")
@json_option
@server_option
def log_command(name: str, failures: bool, as_json: bool, base: str) -> None:
    """Show the last commands on a backend, the newest first, and what was said of them.

    While nobody looks, only failures are written down: the rest comes a second after the look.
    """
    found = Client(base).get(f"backends/{word(name)}/log{'?failures=1' if failures else ''}")
    if as_json:
        print_json(found)
        return
    for one in found["commands"]:
        _say(one)
    if not found["commands"]:
        click.echo("Nothing is written down yet.", err=True)


def _say(one: dict[str, Any]) -> None:
    out = console()
    code = "no answer" if one["exit_code"] is None else f"exit {one['exit_code']}"
    numbers = f"{code}, {one['milliseconds']} ms, {size(one['sent'])} out"
    line = f"{when(one['at'])}  {one['what']}  ({numbers}, {size(one['received'])} in)"
    out.print(Text(line, "red" if one["is_bad"] else ""))
    for part in one["parts"]:
        if part["code"]:
            out.print(Text(f"    exit {part['code']}: {part['command']}", "dim"))
            _indent(part["error"])
    _indent(one["error"] or "")


def _indent(text: str) -> None:
    for line in text.splitlines():
        console().print(Text(f"    {line}"))
