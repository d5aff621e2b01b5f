"""`scripthut source ...`: where workflows come from."""

import sys
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
from scripthut.cli.starting import served

FAILED = 2  # exit code of `source sync NAME` whose source cannot be looked at


@click.group("source")
def source_group() -> None:
    """List, look at and refresh the sources of workflows."""


@source_group.command("list")
@json_option
@server_option
def list_command(as_json: bool, base: str) -> None:
    """List the configured sources as they were last seen."""
    found = Client(base).get("sources")
    if as_json:
        print_json(found)
    else:
        console().print(_table(found["sources"]) if found["sources"] else "There are no sources.")


@source_group.command("view")
@click.argument("name", shell_complete=complete.sources)
@json_option
@server_option
def view_command(name: str, as_json: bool, base: str) -> None:
    """Show a source and its workflows."""
    found = Client(base).get(f"sources/{word(name)}")
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(_table([found]))
    for warning in found["warnings"]:
        out.print(Text(warning, "yellow"))
    for path in found["workflows"]:
        out.print(Text(f"  {path}"))


@source_group.command("sync")
@click.argument("name", required=False, shell_complete=complete.sources)
@json_option
@server_option
def sync_command(name: str | None, as_json: bool, base: str) -> None:
    """Look at a source again, or at all; exit with 2 when the one that was named cannot be."""
    client = Client(base)
    said = client.post(f"sources/{word(name)}/sync" if name else "sources/sync", {})
    if "order" in said:
        served(client, said)
        said = client.get(f"sources/{word(name)}" if name else "sources")
    if as_json:
        print_json(said)
    else:
        console().print(_table([said] if name else said["sources"]))
    if name and said["error"]:
        sys.exit(FAILED)


@source_group.command("pause")
@click.argument("name", shell_complete=complete.sources)
@why_option
@who_option
@json_option
@server_option
def pause_command(name: str, why: str, who: str, as_json: bool, base: str) -> None:
    """Look at a source no more and start nothing of it. Its runs go on."""
    pause(base, f"sources/{word(name)}", (who, why), as_json)


@source_group.command("resume")
@click.argument("name", shell_complete=complete.sources)
@json_option
@server_option
def resume_command(name: str, as_json: bool, base: str) -> None:
    """Look at a paused source again."""
    resume(base, f"sources/{word(name)}", as_json)


def _table(sources: list[dict[str, Any]]) -> Table:
    table = Table(
        "Source", "Type", "At", "Commit", "Seen", "Workflows", "", box=None, pad_edge=False
    )
    for one in sources:
        where = one.get("branch") or one.get("path") or ""
        seen = (one.get("last_commit") or "", when(one.get("looked_at")))
        count = str(one.get("workflow_count", len(one.get("workflows", ()))))
        words = (one["name"], one["type"], where, *seen, count)
        table.add_row(*map(Text, words), _said(one))
    return table


def _said(source: dict[str, Any]) -> Text:
    """What is wrong with a source, or that it is paused."""
    if source.get("error"):
        return Text(source["error"], "red")
    pause_ = source.get("paused")
    return Text(f"paused: {pause_['why']}".rstrip(": "), "yellow") if pause_ else Text("")
