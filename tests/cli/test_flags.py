"""Every command and flag of older versions, as scripts may call them."""

import subprocess
import sys

import click
import pytest

from scripthut.cli import COMMANDS, commands

REACH = "--json --server --config -c --cf-client-id --cf-client-secret --cf-access-token "
REACH += "--cloudflared-app"
FLAGS = {
    "": "--config -c --host --port -p --version -V",
    "workflow run": f"--source --backend --branch --watch --interval {REACH}",
    "workflow list": REACH,
    "workflow view": f"--source {REACH}",
    "run list": f"--limit {REACH}",
    "run view": REACH,
    "run watch": f"--interval --exit-status {REACH}",
    "run cancel": REACH,
    "run rerun": REACH,
    "run logs": f"--error --tail --follow -f --interval {REACH}",
    "run retry": REACH,
    "run env": REACH,
    "run delete": REACH,
    "backend list": REACH,
    "backend pause": f"--why --who {REACH}",
    "backend resume": REACH,
    "source pause": f"--why --who {REACH}",
    "source resume": REACH,
    "backend log": f"--failures {REACH}",
    "source list": REACH,
    "source view": REACH,
    "source sync": REACH,
    "task run": "--backend --name --id --run-name --cpus --memory --time --partition --gres "
    f"--working-dir --image --env --from-stdin --from-file --inline-script --dry-run {REACH}",
    "daemon start": "--config --json",
    "daemon stop": "--config --json",
    "daemon status": "--config --json",
    "daemon logs": "--tail --config --json",
    "status": "--quick --server --config --json",
    "disk status": f"--backend {REACH}",
    "disk scan": f"--backend --interval {REACH}",
    "disk clean": f"--backend --interval --dry-run --yes --path {REACH}",
    # What is not there yet takes whatever it is given, and says so.
    **dict.fromkeys(("stack", "agent", "setup-aws-ec2", "task probe", "run manifest"), ""),
}


def found(words: str) -> click.Command:
    command: click.Command = commands
    for word in words.split():
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), word)
        assert inner is not None, words
        command = inner
    return command


@pytest.mark.parametrize("words", FLAGS)
def test_a_command_has_the_flags_that_it_had(words: str) -> None:
    known = {opt for option in found(words).params for opt in option.opts}
    assert set(FLAGS[words].split()) - known == set()


def test_a_command_imports_what_it_needs_and_no_server() -> None:
    """Before each command stood a second of imports, most of them the server's."""
    asks = "import sys; from scripthut.cli import commands; commands(['run', 'list', '--help'], "
    asks += "standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "scripthut.cli.runs" in loaded
    assert loaded & {"scripthut.cli.server", "sqlalchemy", "flask", "paramiko", "gunicorn"} == set()


def test_every_command_is_where_the_table_says() -> None:
    assert {name: found(name).name for name in COMMANDS} == {name: name for name in COMMANDS}
    assert found("outputs open").name == "open"  # of another module than its group
