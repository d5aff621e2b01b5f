"""`scripthut run ...`: list, look at, watch and cancel runs, and read their logs."""

import sys
import time
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scripthut.cli.client import Client, word
from scripthut.cli.options import json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json, state, when
from scripthut.core.errors import Refused

ENDS = frozenset({"completed", "failed", "cancelled"})
BAD = frozenset({"failed", "cancelled", "dep_failed", "lost"})
SHOWN = 30  # tasks that a watched run shows: those that move first
ORDER = (
    "running",
    "generating",
    "settling",
    "lost",
    "retrying",
    "failed",
    "dep_failed",
    "queued",
    "submitted",
    "submitting",
)


@click.group("run")
def run_group() -> None:
    """List, look at, watch and cancel runs, and read their logs."""


@run_group.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@json_option
@server_option
def list_command(limit: int, as_json: bool, base: str) -> None:
    """List the newest runs."""
    found = Client(base).get(f"runs?limit={limit}")
    if as_json:
        print_json(found)
        return
    table = Table("Run", "Name", "State", "Tasks", "Backend", "Created", box=None, pad_edge=False)
    for run in found["runs"]:
        done = sum(run["counts"].get(end, 0) for end in (*ENDS, "dep_failed"))
        total = sum(run["counts"].values())
        words = (run["id"], Text(run["name"]), state(run["status"]), f"{done}/{total}")
        table.add_row(*words, run["backend"], when(run["created_at"]))
    console().print(table if found["runs"] else "There are no runs yet.")


@run_group.command("view")
@click.argument("run")
@json_option
@server_option
def view_command(run: str, as_json: bool, base: str) -> None:
    """Show a RUN and all its tasks."""
    client = Client(base)
    found = client.get(f"runs/{word(run)}")
    if as_json:
        print_json(found)
        return
    console().print(_table(found, found["tasks"]))
    console().print(client.page(run), style="dim", highlight=False)


@run_group.command("watch")
@click.argument("run")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True)
@click.option("--exit-status", is_flag=True, help="Exit with 1 unless the run completed.")
@json_option
@server_option
def watch_command(run: str, interval: float, exit_status: bool, as_json: bool, base: str) -> None:
    """Follow a RUN until it has ended; say what failed."""
    client = Client(base)
    found = _follow(client, run, interval, console(is_error=as_json))
    if as_json:
        print_json(found)
    else:
        _say_failures(client, found)
    if exit_status and found["status"] != "completed":
        sys.exit(1)


@run_group.command("cancel")
@click.argument("run")
@click.argument("task", required=False)
@json_option
@server_option
def cancel_command(run: str, task: str | None, as_json: bool, base: str) -> None:
    """Cancel all of a RUN that has not ended, or one TASK of it."""
    place = f"runs/{word(run)}" + (f"/tasks/{word(task)}" if task else "")
    said = Client(base).post(f"{place}/cancel", {})
    if as_json:
        print_json(said)
    else:
        what = f"{run} {task}" if task else run
        console().print(f"{what}: cancelling" if said["cancelling"] else f"{what}: has ended")


@run_group.command("logs")
@click.argument("run")
@click.argument("task")
@click.option("--error", is_flag=True, help="The error log instead of the output.")
@click.option("--tail", type=click.IntRange(1), metavar="N", help="The last N lines alone.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task has ended.")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True)
@json_option
@server_option
def logs_command(  # noqa: PLR0913 - one for each option
    run: str,
    task: str,
    error: bool,
    tail: int | None,
    follow: bool,
    interval: float,
    as_json: bool,
    base: str,
) -> None:
    """Print the log of a TASK of a RUN."""
    if follow and as_json:
        raise Refused("--follow and --json do not go together: leave one of them out")
    client = Client(base)
    place = f"runs/{word(run)}/tasks/{word(task)}/logs?type={'error' if error else 'output'}"
    said = client.get(place + (f"&tail={tail}" if tail else ""))
    if as_json:
        print_json(said)
        return
    click.echo(said["content"], nl=False)
    while follow and said["is_live"]:
        time.sleep(interval)
        said = client.get(f"{place}&from={said['after']}")
        click.echo(said["content"], nl=False)


def _follow(client: Client, run: str, interval: float, screen: Console) -> dict[str, Any]:
    """Ask until the run has ended; on a terminal the table stands still and changes."""
    found = client.get(f"runs/{word(run)}")
    if not screen.is_terminal:
        return _follow_by_lines(client, run, interval, found, screen)
    with Live(_table(found, _moving(found)), console=screen, auto_refresh=False) as live:
        while found["status"] not in ENDS:
            time.sleep(interval)
            found = client.get(f"runs/{word(run)}")
            live.update(_table(found, _moving(found)), refresh=True)
    return found


def _follow_by_lines(
    client: Client, run: str, interval: float, found: dict[str, Any], screen: Console
) -> dict[str, Any]:
    known: dict[str, str] = {}
    while True:
        for task in found["tasks"]:
            if known.get(task["id"], "pending") != task["status"]:
                screen.print(f"{task['id']}: {task['status']}", highlight=False, markup=False)
            known[task["id"]] = task["status"]
        if found["status"] in ENDS:
            return found
        time.sleep(interval)
        found = client.get(f"runs/{word(run)}")


def _moving(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks worth a line of a terminal, in the document's order."""
    tasks: list[dict[str, Any]] = found["tasks"]
    if len(tasks) <= SHOWN:
        return tasks
    rank = {name: n for n, name in enumerate(ORDER)}
    chosen = sorted(range(len(tasks)), key=lambda n: rank.get(tasks[n]["status"], len(ORDER)))
    return [tasks[n] for n in sorted(chosen[:SHOWN])]


def _table(found: dict[str, Any], tasks: list[dict[str, Any]]) -> Table:
    counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in found["counts"].items())
    title = Text.assemble(
        (found["name"], "bold"), f"  {found['id']}  ", state(found["status"]), f"  {counts}"
    )
    table = Table("Task", "State", "Job", "", title=title, title_justify="left", box=None)
    for task in tasks:
        said = task["reason"] if task["status"] != "completed" else None
        if task["status"] == "running":
            share = task["progress"]
            share_words = f"{int(share * 100 + 1e-9)} % " if share is not None else ""
            said = share_words + (task["progress_text"] or "")
        words = (Text(task["id"]), state(task["status"]), task["job_id"] or "", Text(said or ""))
        table.add_row(*words)
    if len(tasks) < len(found["tasks"]):
        table.add_row(f"and {len(found['tasks']) - len(tasks)} more", "", "", "")
    return table


def _say_failures(client: Client, found: dict[str, Any]) -> None:
    out = console()
    words = Text.assemble(found["name"], f" {found['id']} ", state(found["status"]))
    out.print(words)
    for task in found["tasks"]:
        if task["status"] in BAD:
            out.print(Text(f"  {task['id']}: {task['reason'] or task['status']}"))
    out.print(client.page(found["id"]), style="dim", highlight=False)
