"""`scripthut outputs open`, `metrics` and `compare`: what the pages show, from a terminal."""

import os
import sys
import webbrowser
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urljoin

import click
from rich.table import Column, Table
from rich.text import Text

from scripthut.cli.client import Client, word
from scripthut.cli.options import json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json, state
from scripthut.cli.taking import outputs_group
from scripthut.core.errors import NotFound
from scripthut.core.measures.compare import change

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")


@outputs_group.command("open")
@click.argument("run")
@click.argument("task", required=False)
@click.argument("path", required=False)
@click.option("--print", "is_printed_only", is_flag=True, help="Print the link, open nothing.")
@server_option
def open_command(
    run: str, task: str | None, path: str | None, is_printed_only: bool, base: str
) -> None:
    """Open the page of a RUN, of one TASK's outputs, or of one file at PATH.

    The link is printed, too; without a browser, that is all.
    """
    link = _page(Client(base), run, task, path)
    click.echo(link)
    if not is_printed_only and _has_screen():
        webbrowser.open(link)


@click.command("metrics")
@click.argument("run")
@click.option("--sort", default="", metavar="NAME", help="The metric to sort by; -NAME: downwards.")
@click.option("--filter", "question", default="", help="Words and conditions, such as loss<0.3.")
@csv_option
@json_option
@server_option
def metrics_command(  # noqa: PLR0913
    run: str, sort: str, question: str, as_csv: bool, as_json: bool, base: str
) -> None:
    """Show what a RUN's tasks have measured."""
    client = Client(base)
    asked = {"sort": sort.removeprefix("-"), "q": question}
    if sort.startswith("-"):
        asked["order"] = "down"
    at = f"runs/{word(run)}/metrics?{urlencode({n: v for n, v in asked.items() if v})}"
    if as_csv:
        _copy_csv(client, at)
        return
    found = client.get(at)
    if as_json:
        print_json(found)
        return
    names = [name for name in found["names"] if any(name in t["metrics"] for t in found["tasks"])]
    heads = [Column(Text(name), justify="right") for name in names]
    table = Table("Task", "State", *heads, box=None, pad_edge=False)
    for task in found["tasks"]:
        values = [Text(_said(task["metrics"].get(name))) for name in names]
        table.add_row(Text(task["task_id"]), state(task["status"]), *values)
    console().print(table if table.row_count else "No task has measured anything.")


@click.command("compare")
@click.argument("run")
@click.argument("others", nargs=-1, required=True)
@click.option("--all", "is_all", is_flag=True, help="Also what is the same.")
@csv_option
@json_option
@server_option
def compare_command(  # noqa: PLR0913
    run: str, others: Sequence[str], is_all: bool, as_csv: bool, as_json: bool, base: str
) -> None:
    """Show in what a RUN and OTHERS differ: what they measured, and which files."""
    client = Client(base)
    runs = urlencode({"runs": ",".join([run, *others])})
    if as_csv:
        _copy_csv(client, f"compare?{runs}")
        return
    found = client.get(f"compare?{runs}")
    if as_json:
        print_json(found)
        return
    metrics = [one for one in found["metrics"] if is_all or one["differs"]]
    files = [one for one in found["files"] if is_all or one["way"] != "same"]
    _show_metrics(found["runs"], metrics)
    table = Table("Task", "File", "", box=None, pad_edge=False)
    for file in files:
        path = "its part of the run's summary" if file["is_run_summary"] else file["path"]
        table.add_row(Text(file["task_id"]), Text(path), file["way"])
    console().print(table if files else "No file differs.")
    click.echo(f"{client.base}/compare?{runs}")


def _show_metrics(runs: Sequence[str], metrics: Sequence[dict[str, Any]]) -> None:
    table = Table("Task", "Metric", *runs, "Change", box=None, pad_edge=False)
    for one in metrics:
        values = [Text(_said(value), justify="right") for value in one["values"]]
        by = change(one["values"][0], one["values"][-1])
        table.add_row(Text(one["task_id"]), Text(one["name"]), *values, Text(by, justify="right"))
    console().print(table if metrics else "No metric differs.")


def _page(client: Client, run: str, task: str | None, path: str | None) -> str:
    """The address of a page that exists. NotFound with what there is instead."""
    if task is None:
        client.get(f"runs/{word(run)}")
        return client.page(run)
    found = client.get(f"runs/{word(run)}/tasks/{word(task)}/outputs")
    if path is None:
        return f"{client.page(run)}/tasks/{word(task)}?tab=outputs"
    file = next((file for file in found["files"] if file["path"] == path), None)
    if file is None:
        raise NotFound(f"{task} wrote no {path}: `scripthut outputs list {run} {task}` says what")
    return str(urljoin(client.base, file["page"]))


def _copy_csv(client: Client, at: str) -> None:
    """Hand a table on as CSV."""
    sign = "&" if "?" in at else "?"
    client.copy(f"{at}{sign}format=csv", sys.stdout.buffer.write)
    sys.stdout.flush()


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _has_screen() -> bool:
    """Whether a browser would be seen by who typed the command."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, DISPLAYS))
