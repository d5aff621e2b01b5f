"""`scripthut task run`: one command as a run of its own."""

import re
import sys
from pathlib import Path
from typing import Any

import click

from scripthut.cli import complete, later
from scripthut.cli.client import Client
from scripthut.cli.options import json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import print_json
from scripthut.cli.starting import interval_option, tell, watch_option
from scripthut.cli.submit import text_of
from scripthut.core import quote
from scripthut.core.errors import Refused
from scripthut.core.workflow import document

ADHOC = "_adhoc/"  # what runs of one command are called, when nobody says
SHEBANG = re.compile(r"#!\s*(\S.*)")
END = "HUT_SCRIPT_END"


@click.group("task")
def task_group() -> None:
    """Run one command, without a workflow file."""


@task_group.command("run")
@click.argument("command", required=False)
@click.option("--backend", required=True, metavar="NAME", shell_complete=complete.backends)
@click.option("--name", metavar="NAME", help="What people and the scheduler see; else the id.")
@click.option("--id", "task_id", metavar="ID", default="task", show_default=True)
@click.option("--run-name", metavar="NAME", help="What the run is called; else _adhoc/ID.")
@click.option("--cpus", type=click.IntRange(1), help="CPUs.")
@click.option("--memory", metavar="SIZE", help="Such as 4G.")
@click.option("--time", "time_limit", metavar="H:MM:SS", help="The time limit.")
@click.option("--partition", metavar="NAME")
@click.option("--gres", metavar="WORDS", help="Such as gpu:1.")
@click.option("--working-dir", metavar="DIR")
@click.option("--image", metavar="IMAGE", help="Kept; used by backends of later versions.")
@click.option("--env", "env", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option("--from-stdin", is_flag=True, help="The command is what standard input holds.")
@click.option(
    "--from-file", type=click.Path(path_type=Path), help="The task as JSON or YAML, in a file."
)
@click.option(
    "--inline-script",
    type=click.Path(path_type=Path),
    help="Send this script along; its first line says what runs it.",
)
@click.option("--dry-run", is_flag=True, help="Print the task, and start nothing.")
@watch_option
@interval_option
@json_option
@server_option
@click.pass_context
def run_command(context: click.Context, /, watch: bool, interval: float, **flags: Any) -> None:
    """Run COMMAND on a backend, as a run of one task; print the run's id."""
    task = _task(context.params)
    run_name = flags["run_name"] or f"{ADHOC}{task.get('id', 'task')}"
    document.parse([task], "the task")
    if flags["dry_run"]:
        print_json(task)
        return
    client = Client(flags["base"])
    body: dict[str, object] = {"backend": flags["backend"], "name": run_name, "document": [task]}
    tell(client, client.start("runs", body), watch, interval, flags["as_json"])


def _task(given: dict[str, Any]) -> dict[str, Any]:
    """The task as a document would hold it. Refused when there is not exactly one command."""
    ways = [name for name in ("command", "from_stdin", "from_file", "inline_script") if given[name]]
    if len(ways) != 1:
        raise Refused(
            "say what to run in one way: COMMAND, --from-stdin, --from-file or --inline-script"
        )
    task: dict[str, Any] = {"id": given["task_id"]}
    if given["from_file"]:
        read = document.read(text_of(given["from_file"]), str(given["from_file"]))
        if not isinstance(read, dict):
            raise Refused(f"{given['from_file']} is not one task: a mapping with id and command")
        task |= read
    else:
        task["command"] = _command(given)
    keys = ("name", "cpus", "memory", "time_limit", "partition", "gres", "working_dir", "image")
    task |= {key: given[key] for key in keys if given[key] is not None}
    if given["env"]:
        task["env"] = [*task.get("env", []), {"set": _variables(given["env"])}]
    return task


def _command(given: dict[str, Any]) -> str:
    if given["from_stdin"]:
        return sys.stdin.read()
    if given["inline_script"]:
        return inline(text_of(given["inline_script"]), given["inline_script"].name)
    return str(given["command"])


def inline(text: str, name: str) -> str:
    """A script as a command: written to a temporary file and run by what its first line names.

    >>> print(inline("#!/usr/bin/env python3\\nprint(1)\\n", "x.py").splitlines()[-1])
    /usr/bin/env python3 "$hut_script"
    """
    first = SHEBANG.match(text)
    runs = first[1].strip() if first else "bash"
    end = END
    while end in text:
        end += "_"
    body = text if text.endswith("\n") else text + "\n"
    return "\n".join(
        [
            "hut_folder=$(mktemp -d) || exit",
            "trap 'rm -rf \"$hut_folder\"' EXIT",
            f'hut_script="$hut_folder"/{quote.sh([name])}',
            f"cat > \"$hut_script\" <<'{end}'",
            f"{body}{end}",
            f'{runs} "$hut_script"',
        ]
    )


def _variables(words: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in words:
        name, sign, value = text.partition("=")
        if not sign:
            raise Refused(f"--env {text}: write NAME=VALUE")
        found[name] = value
    return found


task_group.add_command(later.PROBE)
