"""`scripthut config ...`: check, show and publish the configuration, and have it read again."""

import sys
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from scripthut.cli.client import Client
from scripthut.cli.configuration import where
from scripthut.cli.options import config_option, json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json
from scripthut.config import Resolved, environment, resolve, schema, shown
from scripthut.core.errors import Invalid


@click.group("config")
def config_group() -> None:
    """Check, show and publish the configuration; have a server read it again."""


@config_group.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of a scripthut.yaml, for editors."""
    click.echo(schema.text(), nl=False)


@config_group.command("check")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
def check_command(file: Path | None, as_json: bool) -> None:
    """Check FILE, or what holds here, and say everything that is wrong; exit with 1 then."""
    try:
        found = resolve(where(file), environment())
    except Invalid as error:
        if not as_json:
            raise
        print_json({"ok": False, "what": error.what, "problems": error.problems, "notes": []})
        sys.exit(1)
    files = [str(path) for path in found.files]
    if as_json:
        print_json({"ok": True, "files": files, "problems": [], "notes": found.config.notes})
        return
    click.echo(f"{', '.join(files) or 'no file'}: {_inventory(found)}")
    for note in found.config.notes:
        click.echo(f"note: {note}", err=True)


@config_group.command("show")
@json_option
@config_option
def show_command(as_json: bool, config_file: Path | None) -> None:
    """Show every value as it holds, and where it comes from; secrets are left out."""
    found = resolve(where(config_file), environment())
    values = shown.values(found)
    if as_json:
        listed = [{"key": v.place, "value": v.value, "from": v.origin} for v in values]
        print_json({"generation": found.digest, "values": listed, "notes": found.config.notes})
        return
    table = Table("Key", "Value", box=None, pad_edge=False)
    table.add_column("From", overflow="fold")
    for one in values:
        style = "dim" if one.origin == shown.DEFAULT else ""
        words = _shown(one.value), one.origin.replace(str(Path.home()) + "/", "~/", 1)
        table.add_row(Text(one.place), *(Text(word) for word in words), style=style)
    console().print(table)


@config_group.command("reload")
@json_option
@server_option
def reload_command(as_json: bool, base: str) -> None:
    """Have a running server read its configuration now, and say what changed."""
    said = Client(base).post("reload", {})
    if as_json:
        print_json(said)
        return
    click.echo(f"generation {said['generation']}: {'; '.join(said['changed']) or 'as before'}")
    if said["restart"]:
        when = "the server's processes begin anew with" if said.get("anew") else "after a restart"
        click.echo(f"{when}: {', '.join(said['restart'])}")


def _shown(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _inventory(found: Resolved) -> str:
    config = found.config
    backends = ", ".join(one.name for one in (*config.backends, *config.later_backends))
    sources = ", ".join(one.name for one in config.sources)
    return f"is well. Backends: {backends or 'none'}. Sources: {sources or 'none'}."
