"""Which server is asked: the flag's, the environment's, the configuration's, else the local one."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from scripthut.cli import access, daemon
from scripthut.cli.client import HEADERS
from scripthut.cli.configuration import where
from scripthut.config import Access, Config, environment, resolve
from scripthut.config.edit import write_setting
from scripthut.core.errors import Refused, Unreachable

F = TypeVar("F", bound=Callable[..., object] | click.Command)
LOCAL = "local"
FILE = "scripthut.config"  # of the command line, in click's context
REMEMBERED = {"yes": "always", "no": "never"}
ACCESS = "scripthut.access"  # what is said there of the gate before the server


def server_option(command: F) -> F:
    """Give a command `--server` and `--config`; it takes the server's address as `base`."""
    config = click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=_keep,
        help="The configuration that names the server.",
    )
    server = click.option(
        "--server",
        "base",
        envvar="SCRIPTHUT_SERVER",
        metavar="URL|local",
        callback=_base,
        help="The running server; else $SCRIPTHUT_SERVER, settings.cli_server, or this machine's.",
    )
    found = server(command)
    for key in access.VARIABLES:
        flag = click.option(
            f"--{key.replace('_', '-')}",
            metavar="TEXT",
            hidden=True,  # four more lines in every command's help; docs/cli.md has them
            expose_value=False,
            is_eager=True,
            callback=_keep_access,
        )
        found = flag(found)
    return config(found)


def _keep_access(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value and option.name:
        context.meta.setdefault(ACCESS, {})[option.name] = value


def _keep(context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    context.meta[FILE] = value


def _base(context: click.Context, _option: click.Parameter, value: str | None) -> str:
    if context.resilient_parsing:
        return value or ""
    base = base_of(context.meta.get(FILE), value)
    configured = _access(context.meta.get(FILE), value)
    context.meta[HEADERS] = access.headers(configured, context.meta.get(ACCESS, {}))
    return base


def base_of(file: Path | None, named: str | None) -> str:
    """The address to ask; the local server is started first when that is wished for."""
    if named and named != LOCAL:
        return named
    config = resolve(where(file), environment()).config
    if not named and config.settings.cli_server not in (None, LOCAL):
        return str(config.settings.cli_server)
    _ensure(config, file)
    return local_address(config)


def local_address(config: Config) -> str:
    """Where this machine's server listens, by its configuration."""
    host, port = config.settings.server_host, _port(config)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _port(config: Config) -> int:
    """The port in the settings, or, where any would do, the one that the daemon found."""
    known = daemon.known(config)
    return config.settings.server_port or (known.port if known else 0)


def _access(file: Path | None, named: str | None) -> Access | None:
    if named:
        return None  # the environment alone: no configuration is read for a named server
    return resolve(where(file), environment()).config.settings.cli_auth


def _ensure(config: Config, file: Path | None) -> None:
    """Start a server here, when none listens and it is wished for."""
    wish = config.settings.cli_autostart
    if wish == "never" or _listens(config.settings.server_host, _port(config)):
        return
    if wish == "ask":
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return
        _ask(config, file)
    started = daemon.start(config, file)
    click.echo(f"server started, pid {started.pid}, log {daemon.log_of(config)}", err=True)


def _ask(config: Config, file: Path | None) -> None:
    """Ask whether to start a server, and remember a yes or a no. Unreachable when it is a no."""
    question = (
        f"No server answers at {local_address(config)}. Start one in the background?\n"
        "yes and no are remembered; once: only now"
    )
    answer = click.prompt(question, "yes", err=True, type=click.Choice(["yes", "no", "once"]))
    if answer in REMEMBERED:
        _remember(REMEMBERED[answer], file)
    if answer == "no":
        raise Unreachable("without a server nothing can be asked: scripthut daemon start")


def _remember(wish: str, file: Path | None) -> None:
    place = where(file)
    held = next(iter(place.files()), place.home / ".config" / "scripthut" / "scripthut.yaml")
    try:
        write_setting(held, "cli_autostart", wish)
    except Refused as error:
        click.echo(f"not remembered: {error}", err=True)
    else:
        click.echo(f"remembered: settings.cli_autostart: {wish}, in {held}", err=True)


def _listens(host: str, port: int) -> bool:
    if port == 0:
        return False
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True
