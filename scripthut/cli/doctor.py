"""`scripthut doctor`: looks at the real machines, and says what to do about what it finds."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from scripthut.backends import checkup
from scripthut.backends.checkup import Finding, Level
from scripthut.cli.configuration import settle, where
from scripthut.cli.options import config_option, json_option
from scripthut.cli.show import print_json, some
from scripthut.clock import utcnow
from scripthut.config import environment, resolve
from scripthut.core.errors import Refused
from scripthut.core.jobs import Question

_SIGNS = {Level.OK: "✓", Level.NOTE: "!", Level.BAD: "✗"}
HERE = "this server"


@click.command("doctor")
@click.argument("backend", required=False)
@config_option
@json_option
def doctor_command(backend: str | None, config_file: Path | None, as_json: bool) -> int:
    """Check the configuration and every BACKEND (or one) on the real machines.

    Logins, shells, commands, accounting, clocks, directories, disks, partitions and limits; what
    needs doing is said beside it. Ends with 1 when something does.
    """
    live = settle(config_file)
    parts = [part for part in live.config.backends if backend in (None, part.name)]
    if not parts:
        names = ", ".join(part.name for part in live.config.backends)
        raise Refused(f"There is no backend {backend} in the configuration, only {names}.")
    files = ", ".join(str(file) for file in resolve(where(config_file), environment()).files)
    read = f"{files or 'no file'}, {some(len(live.config.backends), 'backend')}"
    found: dict[str, list[Finding]] = {
        HERE: [
            Finding("configuration", Level.OK, read),
            checkup.check_data(live.config.data_dir),
        ]
    }
    person = Terminal() if sys.stdin.isatty() else None
    for part in parts:
        found[part.name] = list(checkup.check(part, live.config.settings, utcnow, person))
    if as_json:
        print_json({name: [asdict(finding) for finding in told] for name, told in found.items()})
    else:
        for name, told in found.items():
            _show(name, told)
    is_bad = any(finding.level is Level.BAD for told in found.values() for finding in told)
    return 1 if is_bad else 0


class Terminal:
    """The person at the terminal, who answers what a login asks."""

    def is_there(self) -> bool:
        """Yes."""
        return True

    def begin(self) -> bool:
        """Yes."""
        return True

    def end(self, is_in: bool) -> None:
        """Nothing: what became of it is said by whoever logged in."""

    def answer(
        self,
        question: Question,
        seconds: float,  # noqa: ARG002 -- a person at a terminal has as long as the host waits
        is_over: Callable[[], bool],
    ) -> list[str] | None:
        """Ask on standard error; what may not be shown is not shown."""
        click.echo("\n".join(filter(None, (question.title, question.instructions))), err=True)
        answers = [
            click.prompt(
                text.strip().removesuffix(":"),
                default="",
                hide_input=not is_shown,
                show_default=False,
                err=True,
            )
            for text, is_shown in question.prompts
        ]
        return None if is_over() else answers


def _show(name: str, told: list[Finding]) -> None:
    click.echo(name)
    for finding in told:
        click.echo(f"  {_SIGNS[finding.level]} {finding.what}: {finding.said}")
        if finding.todo:
            click.echo(f"    → {finding.todo}")
