"""The command line: what a person types, and nothing that decides anything."""

import sys
from pathlib import Path

import click

from scripthut import __version__
from scripthut.cli import (
    backends,
    backup,
    complete,
    config,
    daemon,
    doctor,
    importing,
    init,
    later,
    logs,
    looking,
    preview,
    runs,
    server,
    sources,
    status,
    submit,
    taking,
    tasks,
    tell,
    workflows,
)
from scripthut.cli.client import Client
from scripthut.cli.configuration import settle
from scripthut.cli.options import config_option, verbose_option
from scripthut.cli.reach import server_option
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


host_option = click.option("--host", help="The address to listen on; loopback only.")
port_option = click.option(
    "--port", "-p", type=click.IntRange(0, 65535), help="The port; 0 takes a free one."
)


@click.group(invoke_without_command=True)
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
        context.invoke(serve_command, config_file=config_file, host=host, port=port)
    elif misplaced:
        raise click.UsageError(f"{misplaced[0]} belongs behind {context.invoked_subcommand}")


@commands.command("serve")
@config_option
@host_option
@port_option
@click.option("--bind", metavar="unix:PATH", help="Listen on a socket file, for a proxy.")
@verbose_option
def serve_command(
    config_file: Path | None, host: str | None, port: int | None, bind: str | None, verbose: bool
) -> None:
    """Serve the pages and, unless `engine: false`, act on the clusters."""
    logs.set_up(verbose)
    server.serve(settle(config_file), server.Flags(host, port, bind))


@commands.command("engine")
@config_option
@verbose_option
def engine_command(config_file: Path | None, verbose: bool) -> None:
    """Act on the clusters without serving pages, until SIGTERM or Ctrl-C."""
    logs.set_up(verbose)
    server.act(settle(config_file))


@commands.command("submit")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--backend", required=True, metavar="NAME", help="Where the tasks run.")
@click.option("--name", help="The run's name; else the document's title, else the file's name.")
@server_option
def submit_command(file: Path, backend: str, name: str | None, base: str) -> None:
    """Start a run of a workflow FILE (JSON or YAML) and print the link of its page."""
    client = Client(base)
    click.echo(client.page(submit.start(client, file, backend, name)["id"]))


for part in (
    runs.run_group,
    taking.outputs_group,
    taking.summary_command,
    taking.report_command,
    looking.metrics_command,
    looking.compare_command,
    preview.preview_command,
    config.config_group,
    init.init_command,
    tell.tell_command,
    daemon.daemon_group,
    importing.import_command,
    backup.backup_command,
    backup.restore_command,
    workflows.workflow_group,
    tasks.task_group,
    sources.source_group,
    backends.backend_group,
    status.status_command,
    complete.completion_command,
    doctor.doctor_command,
    *later.COMMANDS,
):
    commands.add_command(part)
for group, part in later.PARTS:
    group.add_command(part)
