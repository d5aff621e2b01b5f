"""`scripthut disk`: what lies on the backends' disks, looked at and deleted."""

import time
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from scripthut.cli import complete
from scripthut.cli.client import Client, word
from scripthut.cli.options import json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json, when
from scripthut.core.disk import Class
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.units import size

COLOURS = {Class.ACTIVE: "blue", Class.ORPHANED: "yellow", Class.UNKNOWN: "bright_black"}
backend_option = click.option(
    "--backend", metavar="NAME", shell_complete=complete.backends, help="One backend alone."
)
interval_option = click.option(
    "--interval", type=click.FloatRange(0.2), default=2.0, show_default=True
)


@click.group("disk", invoke_without_command=True)
@click.pass_context
def disk_group(context: click.Context) -> None:
    """Show what scripthut holds on the backends' disks, and delete what is not needed.

    Without a command: `scripthut disk status`.
    """
    if context.invoked_subcommand is None:
        with status_command.make_context("status", [], parent=context) as status:
            status_command.invoke(status)


@disk_group.command("status")
@backend_option
@json_option
@server_option
def status_command(backend: str | None, as_json: bool, base: str) -> None:
    """Show what the last scans have found."""
    found = _ask(Client(base), backend)
    if as_json:
        print_json(found)
        return
    for name, one in found["backends"].items():
        _say(name, one)


@disk_group.command("scan")
@backend_option
@interval_option
@json_option
@server_option
def scan_command(backend: str | None, interval: float, as_json: bool, base: str) -> None:
    """Look at the disk of a backend, or of all, to the end; then show what is there."""
    client = Client(base)
    names = [backend] if backend else list(_ask(client, None)["backends"])
    for name in names:
        client.post("disk/scan", {"backend": name})
    _wait(client, names, "scanning", interval)
    found = _ask(client, backend)
    if as_json:
        print_json(found)
        return
    for name in names:
        _say(name, found["backends"][name])


@disk_group.command("clean")
@click.option(
    "--backend", required=True, metavar="NAME", shell_complete=complete.backends, help="Where."
)
@click.option("--path", "paths", multiple=True, metavar="PATH", help="This alone, as status says.")
@click.option("--referenced", is_flag=True, help="Also what ended runs of this server refer to.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@click.option("--yes", "-y", is_flag=True, help="Ask no question.")
@interval_option
@json_option
@server_option
def clean_command(  # noqa: PLR0913 - one for each option
    backend: str,
    paths: tuple[str, ...],
    referenced: bool,
    dry_run: bool,
    yes: bool,
    interval: float,
    as_json: bool,
    base: str,
) -> None:
    """Delete what is orphaned on a backend, or each PATH, as far as it may go."""
    client = Client(base)
    chosen: dict[str, object] = {"backend": backend, "allow_referenced": referenced}
    chosen |= {"paths": list(paths)} if paths else {"all_orphaned": True}
    plan = client.post("disk/clean", {**chosen, "dry_run": True})
    if dry_run and as_json:
        print_json(plan)
        return
    _plan(plan["plan"])
    if dry_run or not plan["plan"]["delete"]:
        return
    what = f"Delete {len(plan['plan']['delete'])} things, {size(plan['bytes'])}, on {backend}?"
    if not yes and not click.confirm(what, err=True):
        raise Refused("nothing was deleted")
    things = [one["id"] for one in plan["plan"]["delete"]]
    named = {"backend": backend, "scan": plan["scan"], "things": things}
    client.post("disk/clean", {**named, "allow_referenced": True})
    _wait(client, [backend], "cleaning", interval)
    ended = _ask(client, backend)["backends"][backend]["last_cleanup"]
    wanted = {one["path"] for one in plan["plan"]["delete"]}
    came = [one for one in ended if one["path"] in wanted]
    if as_json:
        print_json(came)
        return
    for one in came:
        said = f"freed {size(one['freed'])}" if one["deleted"] else f"stays: {one['problem']}"
        console().print(Text(f"{one['path']}  {said}", "" if one["deleted"] else "yellow"))


def _ask(client: Client, backend: str | None) -> dict[str, Any]:
    return client.get(f"disk?backend={word(backend)}" if backend else "disk")


def _wait(client: Client, names: list[str], what: str, interval: float) -> None:
    """Until nothing of these backends goes on any more; said on a terminal."""
    out = console(is_error=True)
    with out.status(what) as status:
        while True:
            known = [_ask(client, name)["backends"][name] for name in names]
            if not any(one[what] for one in known):
                return
            silent = [f"{n}: {one['message']}" for n, one in zip(names, known, strict=True)
                      if one[what] and one["message"]]  # fmt: skip
            if silent:
                raise Unreachable(f"{'; '.join(silent)} ({what} goes on when it answers)")
            told = [one["progress"] for one in known if one["progress"]]
            done = sum(one["done"] for one in told)
            total = sum(one["total"] or 0 for one in told)
            status.update(f"{what}: {done} of {total}" if total else what)
            time.sleep(interval)


def _plan(plan: dict[str, Any]) -> None:
    out = console(is_error=True)
    if not plan["delete"]:
        out.print("Nothing can be deleted.")
    for one in plan["delete"]:
        out.print(Text(f"delete {one['path']}  {_size(one)}"))
    for one in plan["skip"]:
        out.print(Text(f"keep   {one['path']}  {one['why']}", "dim"))


def _say(name: str, one: dict[str, Any]) -> None:
    out = console()
    disks = [f"{size(d['free'])} of {size(d['total'])} left in {d['path']}" for d in one["disks"]]
    result = one["result"]
    seen = f"scanned {when(result['scanned_at'])}" if result else "not scanned yet"
    out.print(Text(" · ".join([name, seen, *disks]), "bold"))
    if result is None or not result["things"]:
        return
    if result["note"]:
        out.print(Text(result["note"], "yellow"))
    table = Table("Kind", "Class", "Size", "Modified", "Runs", box=None, pad_edge=False)
    table.add_column("Path", overflow="fold")  # whoever wants to delete one needs the whole of it
    for thing in sorted(result["things"], key=lambda t: -(t["size"] or 0)):
        whose = Text(thing["class"], COLOURS.get(thing["class"], ""))
        runs = ", ".join(thing["runs"][:2]) + (" …" if len(thing["runs"]) > 2 else "")
        when_ = when(thing["modified_at"])
        table.add_row(thing["kind"], whose, _size(thing), when_, runs, Text(thing["path"]))
    out.print(table)


def _size(thing: dict[str, Any]) -> str:
    if thing["size"] is None:
        return "not measured"
    return size(thing["size"]) if thing["whole"] else f"≥ {size(thing['size'])}"
