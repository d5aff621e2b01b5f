"""`scripthut outputs`, `summary` and `report`: what tasks wrote, on this machine."""

import sys
from pathlib import Path, PurePosixPath
from typing import Any

import click
from rich.console import Group
from rich.live import Live
from rich.markdown import Markdown
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from scripthut.cli.client import Client, word
from scripthut.cli.fetching import bring
from scripthut.cli.following import say_uncollected, until_collected
from scripthut.cli.options import json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json, some
from scripthut.core.archive import Names
from scripthut.core.errors import NotFound, Refused
from scripthut.core.units import size


@click.group("outputs")
def outputs_group() -> None:
    """List and fetch the files that tasks wrote."""


attempt_option = click.option(
    "--attempt", type=click.IntRange(1), metavar="N", help="A former attempt of the task."
)


@outputs_group.command("list")
@click.argument("run")
@click.argument("task", required=False)
@attempt_option
@json_option
@server_option
def list_command(run: str, task: str | None, attempt: int | None, as_json: bool, base: str) -> None:
    """List what a RUN wrote, or one TASK of it."""
    found = _listing(Client(base), run, task, attempt)
    if as_json:
        print_json(found)
        return
    table = Table("Task", "File", "Size", "", box=None, pad_edge=False)
    for part in found["tasks"]:
        for file in part["files"]:
            words = (Text(part["task_id"]), Text(file["path"]), size(file["size"]))
            table.add_row(*words, "" if file["url"] else Text(file["note"] or "not fetched yet"))
        if part.get("more"):
            table.add_row(Text(part["task_id"]), f"and {part['more']} more, not listed", "", "")
        if part.get("problem"):
            table.add_row(Text(part["task_id"]), Text(part["problem"]), "", "")
    console().print(table if table.row_count else "Nothing has been written.")


@outputs_group.command("get")
@click.argument("run")
@click.argument("task", required=False)
@click.argument("path", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="For one file its name (`-`: standard output), else the directory; else RUN here.",
)
@click.option(
    "--kept", "is_kept_only", is_flag=True, help="Leave out what the server has to fetch first."
)
@attempt_option
@server_option
def get_command(  # noqa: PLR0913
    run: str,
    task: str | None,
    path: str | None,
    output: Path | None,
    attempt: int | None,
    is_kept_only: bool,
    base: str,
) -> None:
    """Fetch what a RUN wrote, or one TASK of it, or one file at PATH.

    What is too large to be collected is fetched from the cluster first, however large it is.
    """
    client = Client(base)
    found = _listing(client, run, task, attempt)
    if path is not None:
        _get_one(client, found, path, output, is_kept_only)
        return
    into = output or Path(run)
    names, count = Names(), 0
    for part in found["tasks"]:
        for listed in part["files"]:
            file = _had(client, run, part, listed, is_kept_only)
            if file["url"]:
                name = names.give([part["task_id"], file["path"]])
                _save(client, file["url"], into / name)
                count += 1
            else:
                why = file["note"] or "has not been fetched yet"
                click.echo(f"left out: {part['task_id']}/{file['path']} {why}", err=True)
    click.echo(f"{some(count, 'file')} in {into}")


@outputs_group.command("pin")
@click.argument("run")
@click.option("--off", "is_off", is_flag=True, help="Let its files go again when they are old.")
@server_option
def pin_command(run: str, is_off: bool, base: str) -> None:
    """Keep what a RUN wrote on the server, whatever its age; says how much that is."""
    told = Client(base).post(f"runs/{word(run)}/{'unpin' if is_off else 'pin'}", {})
    held = "" if told["bytes"] is None else f", which holds {size(told['bytes'])}"
    click.echo(f"{'no longer pinned' if is_off else 'pinned'}: {run}{held}")


@click.command("summary")
@click.argument("run")
@click.option("--watch", is_flag=True, help="Go on until the run has ended and all is there.")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True)
@json_option
@server_option
def summary_command(run: str, watch: bool, interval: float, as_json: bool, base: str) -> None:
    """Show the summary that a RUN's tasks wrote together."""
    client = Client(base)
    address = f"runs/{word(run)}/summary"
    if watch and not as_json:
        with Live(console=console(is_prose=True), auto_refresh=False) as live:
            for _ in until_collected(client, run, interval):
                live.update(_rendered(client.get(address)), refresh=True)
            live.update(_rendered(client.get(address)), refresh=True)
        return
    found = client.get(address)
    print_json(found) if as_json else console(is_prose=True).print(_rendered(found))
    say_uncollected(found)


@click.command("report")
@click.argument("run")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE")
@server_option
def report_command(run: str, output: Path, base: str) -> None:
    """Write a whole RUN as one HTML page that needs neither server nor network."""
    client = Client(base)
    before = client.get(f"runs/{word(run)}")
    count = client.save(f"runs/{word(run)}/report", output)
    click.echo(f"{output}: {size(count)}")
    say_uncollected(before)


def _listing(
    client: Client, run: str, task: str | None, attempt: int | None = None
) -> dict[str, Any]:
    """What a run wrote, by task; one task's, or one attempt's, alone in the same form."""
    if task is None:
        if attempt is not None:
            raise Refused("--attempt is of one task: say which, after the run")
        return client.get(f"runs/{word(run)}/outputs")
    place = f"runs/{word(run)}/tasks/{word(task)}"
    part = client.get(f"{place}/attempts/{attempt}/outputs" if attempt else f"{place}/outputs")
    return {"run_id": run, "tasks": [part]}


def _had(
    client: Client, run: str, part: dict[str, Any], file: dict[str, Any], is_kept_only: bool
) -> dict[str, Any]:
    """A listed file, on the server if it can be."""
    if file["url"] or is_kept_only or not file["within_reach"]:
        return file
    return bring(client, run, part["task_id"], file)


def _get_one(
    client: Client, found: dict[str, Any], path: str, output: Path | None, is_kept_only: bool
) -> None:
    (part,) = found["tasks"]
    file = next((file for file in part["files"] if file["path"] == path), None)
    if file is None:
        raise NotFound(f"{part['task_id']} wrote no {path}: `scripthut outputs list` says what")
    file = _had(client, found["run_id"], part, file, is_kept_only)
    if not file["url"]:
        why = file["note"] or "has not been fetched yet"
        raise Refused(f"{path} is not on the server: it {why}")
    if str(output) == "-":
        client.copy(file["url"], sys.stdout.buffer.write)
        sys.stdout.flush()
    else:
        target = output or Path(Names().give([PurePosixPath(path).name]))
        click.echo(f"{target}: {size(_save(client, file['url'], target))}")


def _save(client: Client, url: str, target: Path) -> int:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{target.parent} cannot be made: {error.strerror}") from error
    return client.save(url, target)


def _rendered(found: dict[str, Any]) -> Group:
    """A run's summary for a terminal."""
    if not found["sections"]:
        return Group(Text("No task has written to the run's summary yet."))
    parts: list[Rule | Markdown | Text] = []
    for section in found["sections"]:
        parts.append(Rule(Text(section["task_name"]), align="left", style="dim"))
        text = section["markdown"]
        missing = Text(f"This part {section['note'] or 'will be here in a moment'}.", "dim")
        parts.append(missing if text is None else Markdown(text, hyperlinks=False))
    return Group(*parts)
