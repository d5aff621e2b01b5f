"""`scripthut init`: three questions, then a configuration that works."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from scripthut.cli.options import json_option
from scripthut.cli.show import print_json
from scripthut.cli.ssh_hosts import hosts, scheduler
from scripthut.config import load, schema
from scripthut.core.errors import Conflict, Refused, Unreachable

HERE = "this machine"
KINDS = ("slurm", "pbs", "local")
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True)
class Answers:
    """What the file is made of. `host` None: this machine alone."""

    host: str | None
    kind: str
    account: str | None


@click.command("init")
@click.option("--host", help="A login node, or a Host of ~/.ssh/config; `local` is this machine.")
@click.option("--type", "kind", type=click.Choice(KINDS), help="Else the host is asked.")
@click.option("--account", help="The project that jobs are charged to.")
@click.option(
    "--output",
    "-o",
    "file",
    type=click.Path(path_type=Path),
    help="The file to write; else ~/.config/scripthut/scripthut.yaml.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@json_option
def init_command(  # noqa: PLR0913 - one for each option
    host: str | None,
    kind: str | None,
    account: str | None,
    file: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a configuration for your cluster. Asks three questions; with flags, none."""
    target = file or Path.home() / ".config" / "scripthut" / "scripthut.yaml"
    _check_absent(target, force)
    answers = _answers(host, kind, account)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        (target.parent / schema.FILE).write_text(schema.text(), encoding="utf-8")
        target.write_text(text(answers), encoding="utf-8")
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror}") from error
    load(target)
    if as_json:
        print_json({"file": str(target), "type": answers.kind, "host": answers.host})
    else:
        click.echo(f"{target} is written. Start the server: scripthut serve")


def _check_absent(target: Path, force: bool) -> None:
    if force or not target.exists():
        return
    if not _is_asked():
        raise Conflict(f"{target} is there already: --force writes over it, -o names another")
    if not click.confirm(f"{target} is there already. Write over it?", err=True):
        raise click.Abort


def _is_asked() -> bool:
    """Whether somebody sits at the terminal who could answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _answers(host: str | None, kind: str | None, account: str | None) -> Answers:
    is_asked = _is_asked()
    if host is None and kind != "local":
        if not is_asked:
            raise Refused("say with --host which login node (or `local`): nobody can be asked here")
        host = _ask_host()
    if host in (None, "local", HERE) or kind == "local":
        return Answers(None, "local", None)
    chosen = kind or _ask_kind(str(host), is_asked)
    if account is None and is_asked:
        account = click.prompt("Project or account of the jobs (empty: none)", "", err=True) or None
    return Answers(host, chosen, account)


def _ask_host() -> str:
    known = [*hosts(Path.home()), HERE]
    click.echo("Where do the jobs run?", err=True)
    for n, name in enumerate(known, 1):
        click.echo(f"  {n}. {name}", err=True)
    said = str(click.prompt("A number, or another host's name", "1", err=True)).strip()
    if said.isdecimal() and 1 <= int(said) <= len(known):
        return known[int(said) - 1]
    return said


def _ask_kind(host: str, is_asked: bool) -> str:
    click.echo(f"Looking at {host} ...", err=True)
    try:
        found = scheduler(host)
    except Unreachable as error:
        if not is_asked:
            raise Refused(f"{error}; say with --type whether it is slurm or pbs") from error
        click.echo(f"{error}", err=True)
        found = None
    if not is_asked:
        if found is None:
            raise Refused(f"{host} has neither sbatch nor qsub: say --type slurm or pbs")
        return found
    choice = click.Choice(KINDS[:2])
    return str(click.prompt("Slurm or PBS?", found or "slurm", type=choice, err=True))


def text(answers: Answers) -> str:
    """The configuration as a file with comments."""
    head = [
        schema.MODELINE,
        "# The configuration of scripthut. `scripthut config check` says what is wrong in it,",
        "# `scripthut config show` what holds. A running server follows every change.",
        "backends:",
    ]
    return "\n".join([*head, *_cluster(answers), *LOCAL, *SETTINGS]) + "\n"


def _cluster(answers: Answers) -> list[str]:
    if answers.host is None:
        return []
    user, _, host = answers.host.rpartition("@")
    account = f"account: {_word(answers.account)}" if answers.account else "# account: my-project"
    queue = "default_partition: short" if answers.kind == "slurm" else "queue: batch"
    return [
        f"  - name: {_word(host.split('.')[0])}",
        f"    type: {answers.kind}",
        "    ssh:  # what is not said here is taken from ~/.ssh/config",
        f"      host: {_word(host)}",
        *([f"      user: {_word(user)}"] if user else []),
        f"    {account}  # what jobs are charged to",
        f"    # {queue}  # for tasks that name none",
        "    # max_concurrent: 100  # jobs in the queue at once",
    ]


def _word(text: str) -> str:
    """A word as YAML reads it back, whatever it holds."""
    if PLAIN.fullmatch(text) and text.lower() not in NOT_PLAIN:
        return text
    return "'" + text.replace("'", "''") + "'"


LOCAL = [
    "  - name: local  # this machine",
    "    type: local",
]
SETTINGS = [
    "",
    "# Where workflows come from:",
    "# sources:",
    "#   - name: study",
    "#     type: git",
    "#     url: git@example.org:group/study.git",
    "",
    "# settings:",
    "#   server_port: 8000",
    "#   data_dir: ~/.cache/scripthut",
]
