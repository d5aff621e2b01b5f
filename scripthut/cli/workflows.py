"""`scripthut workflow ...`: what there is to run, and running it."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from scripthut.cli import complete, submit
from scripthut.cli.client import Client, word
from scripthut.cli.options import json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json, some
from scripthut.cli.starting import chosen, interval_option, param_option, served, tell, watch_option
from scripthut.core.errors import HutError, NotFound, Refused
from scripthut.core.workflow import document

SOON = 30.0  # seconds that a second look at sources may take
source_option = click.option(
    "--source", metavar="NAME", shell_complete=complete.sources, help="The source it is in."
)
file_option = click.option(
    "--file", "file", type=click.Path(path_type=Path, allow_dash=True), help="A document here."
)
backend_option = click.option(
    "--backend", metavar="NAME", shell_complete=complete.backends, help="Where the tasks run."
)
name_argument = click.argument("name", required=False, shell_complete=complete.workflows)


@click.group("workflow")
def workflow_group() -> None:
    """List, look at and run workflows of the sources, or a document here."""


@workflow_group.command("list")
@source_option
@json_option
@server_option
def list_command(source: str | None, as_json: bool, base: str) -> None:
    """List the workflows of all sources, or of one."""
    client = Client(base)
    found = _all(client, source)
    if as_json:
        print_json({"workflows": found})
        return
    table = Table("Source", "Workflow", "Title", "Tasks", "", box=None, pad_edge=False)
    for one in found:
        words = (one["source"], one["path"], one["title"] or "")
        count = "" if one["tasks"] is None else str(one["tasks"])
        table.add_row(*map(Text, words), count, Text(one["problem"] or "", "red"))
    console().print(table if found else "There are no workflows: the sources have none.")


@workflow_group.command("view")
@name_argument
@source_option
@file_option
@json_option
@server_option
def view_command(
    name: str | None, source: str | None, file: Path | None, as_json: bool, base: str
) -> None:
    """Show a workflow of a source, or check a document here (--file)."""
    if file is not None:
        _view_file(file, as_json)
        return
    found = _one(Client(base), name, source)
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(
        Text.assemble((found["path"], "bold"), f"  {found['source']}  {found['title'] or ''}")
    )
    out.print(
        f"{found['tasks']} tasks" if found["problem"] is None else Text(found["problem"], "red")
    )
    for key, param in (found["params"] or {}).items():
        out.print(
            Text(f"  --param {key}={param.get('default', '')}  {param.get('description') or ''}")
        )


@workflow_group.command("run")
@name_argument
@source_option
@file_option
@backend_option
@click.option("--branch", metavar="REF", help="A branch, tag or commit instead of the source's.")
@click.option("--name", "title", metavar="NAME", help="What the run of a document is called.")
@param_option
@watch_option
@interval_option
@json_option
@server_option
def run_command(  # noqa: PLR0913 - one for each option
    name: str | None,
    source: str | None,
    file: Path | None,
    backend: str | None,
    branch: str | None,
    title: str | None,
    params: tuple[str, ...],
    watch: bool,
    interval: float,
    as_json: bool,
    base: str,
) -> None:
    """Start the workflow NAME of a source, or a document here (--file); print the run's id."""
    client = Client(base)
    if file is not None:
        if name or source or branch:
            raise Refused("--file stands alone: no NAME, --source or --branch goes with it")
        run = submit.start(client, file, backend, title, chosen(params))
    else:
        found = _one(client, name, source, is_checked=branch is None)
        wish = {"workflow": found["path"], "backend": backend, "branch": branch}
        body = {**{k: v for k, v in wish.items() if v}, "params": chosen(params)}
        run = served(client, client.start(f"sources/{word(found['source'])}/run", body))
    tell(client, run, watch, interval, as_json)


def _view_file(file: Path, as_json: bool) -> None:
    called = submit.called(file)
    found = document.parse_text(submit.text_of(file), called)
    if as_json:
        tasks = [spec.kept() for spec in found.tasks]
        print_json({"file": str(file), "title": found.title, "tasks": tasks})
        return
    click.echo(f"{called}: is well, {some(len(found.tasks), 'task')}")
    for notice in found.notices:
        click.echo(f"note: {notice}", err=True)


def _all(client: Client, source: str | None) -> list[dict[str, Any]]:
    """The workflows of a source, or of all, each with its source's name."""
    names = [source] if source else [one["name"] for one in client.get("sources")["sources"]]
    found = []
    for name in names:
        listed = client.get(f"sources/{word(name)}/workflows")["workflows"]
        found += [{"source": name, **one} for one in listed]
    return found


def _one(
    client: Client, name: str | None, source: str | None, is_checked: bool = True
) -> dict[str, Any]:
    """The workflow that is meant: by its path, its file's name, with or without the ending."""
    if not name:
        raise Refused("say which workflow: its NAME and --source, or --file for a document here")
    if source and not is_checked:
        return {"source": source, "path": name}  # what another commit holds is seen there
    found = _named(_all(client, source), name)
    if found is None:  # it was pushed a moment ago, or the server began a moment ago
        seen = _looked_at(client, source)
        everything = _all(client, source)
        found = _named(everything, name)
        if found is None:
            known = ", ".join(one["path"] for one in everything[:20]) or "none"
            raise NotFound(". ".join([f"there is no workflow {name}: known are {known}", *seen]))
    return found


def _named(everything: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    for is_it in (_is_path, _is_name, _is_stem):
        found = [one for one in everything if is_it(one, name)]
        if len(found) == 1:
            return found[0]
        if found:
            places = ", ".join(f"{one['source']}: {one['path']}" for one in found)
            raise Refused(f"{name} is several workflows: name one by path and --source ({places})")
    return None


def _looked_at(client: Client, source: str | None) -> list[str]:
    """Have a source looked at, or all; what is wrong with those that cannot be."""
    try:
        said = client.post(f"sources/{word(source)}/sync" if source else "sources/sync", {})
        if "order" in said:
            served(client, said, SOON)
            said = client.get(f"sources/{word(source)}" if source else "sources")
    except HutError as error:  # the others may have been looked at meanwhile
        return [f"not all sources could be looked at: {error}"]
    looked_at = [said] if source else said["sources"]
    return [f"{one['name']} cannot be read: {one['error']}" for one in looked_at if one["error"]]


def _is_path(one: dict[str, Any], name: str) -> bool:
    return name in (one["path"], f"{one['source']}/{one['path']}")


def _is_name(one: dict[str, Any], name: str) -> bool:
    return bool(one["path"].rsplit("/", 1)[-1] == name)


def _is_stem(one: dict[str, Any], name: str) -> bool:
    stem = one["path"].rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return name in (stem, f"{one['source']}/{stem}")
