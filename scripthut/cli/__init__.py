"""The command line: what a person types, and nothing that decides anything."""

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import click

from scripthut import __version__
from scripthut.cli.options import config_option, host_option, port_option
from scripthut.core.errors import HutError, Invalid, Missing

WRONG_WORDS = 2  # as click says it, and what a file is that is not there
INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended


def main() -> None:
    """Run the command line; what goes wrong is said in sentences on standard error."""
    try:
        code = commands(prog_name="scripthut", standalone_mode=False)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Invalid as error:
        code = WRONG_WORDS if isinstance(error, Missing) else 1
        _complain(error.what + ":", *(f"  {problem}" for problem in error.problems), code=code)
    except HutError as error:
        _complain(str(error))
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _complain(first: str, *more: str, code: int = 1) -> None:
    click.echo("\n".join([f"scripthut: {first}", *more]), err=True)
    sys.exit(code)


# A command's name -> the module that has it, and its name there. A module is imported when one of
# its commands is called or listed: all of them, with the server, are a second before each command.
COMMANDS: Mapping[str, str] = {
    "agent": "later:AGENT",
    "backend": "backends:backend_group",
    "backup": "backup:backup_command",
    "compare": "looking:compare_command",
    "completion": "complete:completion_command",
    "config": "config:config_group",
    "daemon": "daemon:daemon_group",
    "disk": "disk:disk_group",
    "doctor": "doctor:doctor_command",
    "engine": "processes:engine_command",
    "import": "importing:import_command",
    "init": "init:init_command",
    "metrics": "looking:metrics_command",
    "outputs": "looking:outputs_group",  # taking's, with what looking adds to it
    "preview": "preview:preview_command",
    "report": "taking:report_command",
    "restore": "backup:restore_command",
    "run": "runs:run_group",
    "serve": "processes:serve_command",
    "setup-aws-ec2": "later:SETUP_AWS_EC2",
    "source": "sources:source_group",
    "stack": "later:STACK",
    "status": "status:status_command",
    "submit": "submit:submit_command",
    "summary": "taking:summary_command",
    "task": "tasks:task_group",
    "tell": "tell:tell_command",
    "workflow": "workflows:workflow_group",
}


class Commands(click.Group):
    """The commands of the table, each imported when it is asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(cmd_name) if cmd_name in COMMANDS else None


def _command(name: str) -> click.Command:
    module, _, there = COMMANDS[name].partition(":")
    gc.disable()  # all that is imported stays: to look through it again and again takes a third
    try:
        found: click.Command = getattr(import_module(f"scripthut.cli.{module}"), there)
    finally:
        gc.freeze()
        gc.enable()
    return found


@click.group(cls=Commands, invoke_without_command=True)
@config_option
@host_option
@port_option
@click.version_option(__version__, "--version", "-V", message="%(prog)s %(version)s")
@click.pass_context
def commands(
    context: click.Context, config_file: Path | None, host: str | None, port: int | None
) -> None:
    """Run workflows on your own cluster, and read what their tasks wrote in the browser.

    Without a command: `scripthut serve`, as older versions had it.
    """
    words = {"--config": config_file, "--host": host, "--port": port}
    misplaced = [name for name, value in words.items() if value is not None]
    if context.invoked_subcommand is None:
        context.invoke(_command("serve"), config_file=config_file, host=host, port=port)
    elif misplaced:
        raise click.UsageError(f"{misplaced[0]} belongs behind {context.invoked_subcommand}")
