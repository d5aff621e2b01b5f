"""What Tab offers: ids and names of a running server, when it answers fast."""

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from scripthut.cli.client import Client, word
from scripthut.cli.configuration import where
from scripthut.cli.reach import FILE, local_address
from scripthut.config import environment, resolve
from scripthut.core.errors import HutError

QUICK = 1.0  # seconds
SHELLS = ("bash", "zsh", "fish")
NEWEST = 50

Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands: `source <(scripthut completion bash)`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known to the completion library")
    root = context.find_root().command
    click.echo(kind(root, {}, "scripthut", "_SCRIPTHUT_COMPLETE").source())


def _offer(ask: Callable[[Client, click.Context], dict[str, str]]) -> Offer:
    """An offer of what the server knows; nothing when it does not answer fast."""

    def offer(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            client = Client(_base(context), timeout=QUICK)
            found = ask(client, context)
        except HutError:
            return []
        return [CompletionItem(k, help=v) for k, v in found.items() if k.startswith(begun)]

    return offer


def _base(context: click.Context) -> str:
    named = context.params.get("base")
    if named:
        return str(named)
    config = resolve(where(context.meta.get(FILE)), environment()).config
    return config.settings.cli_server or local_address(config)


def _runs(client: Client, _context: click.Context) -> dict[str, str]:
    found = client.get(f"runs?limit={NEWEST}")["runs"]
    return {run["id"]: f"{run['name']}, {run['status']}" for run in found}


def _tasks(client: Client, context: click.Context) -> dict[str, str]:
    found = client.get(f"runs/{word(str(context.params.get('run')))}")
    return {task["id"]: task["status"] for task in found["tasks"]}


def _backends(client: Client, _context: click.Context) -> dict[str, str]:
    return {one["name"]: one["type"] for one in client.get("backends")["backends"]}


def _sources(client: Client, _context: click.Context) -> dict[str, str]:
    return {one["name"]: one["description"] or "" for one in client.get("sources")["sources"]}


def _workflows(client: Client, context: click.Context) -> dict[str, str]:
    named = context.params.get("source")
    sources = [named] if named else list(_sources(client, context))
    listed: list[dict[str, Any]] = []
    for source in sources:
        listed += client.get(f"sources/{word(source)}/workflows")["workflows"]
    return {one["path"]: one["title"] or "" for one in listed}


runs = _offer(_runs)
tasks = _offer(_tasks)
backends = _offer(_backends)
sources = _offer(_sources)
workflows = _offer(_workflows)
