"""Read a document, post it to a running server, say where its run is."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from scripthut.cli.client import Client
from scripthut.cli.reach import server_option
from scripthut.core.errors import Invalid, Missing, Unreachable
from scripthut.core.workflow import document


def text_of(file: Path) -> str:
    """The text of a file, or of standard input for `-`. Raises Invalid."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Missing(str(file)) from error
    except OSError as error:
        raise Invalid(called(file), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Invalid(called(file), [f"is not UTF-8 text: {error.reason}"]) from error


def called(file: Path) -> str:
    """How a file is called in a sentence."""
    return "standard input" if str(file) == "-" else str(file)


def start(
    client: Client,
    file: Path,
    backend: str | None,
    name: str | None,
    params: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Start a run of a document; the run. Its name: else its title, else its file's name.

    Raises Invalid when the document or the server's answer to it names problems.
    """
    text = text_of(file)
    parsed = document.parse_text(text, called(file), params)
    stem = "workflow" if str(file) == "-" else file.stem
    body: dict[str, object] = {
        "backend": backend,
        "name": name or parsed.title or stem,
        "document_text": text,
        "params": dict(params or {}),
    }
    run = client.start("runs", body)
    if not isinstance(run.get("id"), str):
        raise Unreachable(f"what answers at {client.base} is not a scripthut server")
    return run


@click.command("submit")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--backend", required=True, metavar="NAME", help="Where the tasks run.")
@click.option("--name", help="The run's name; else the document's title, else the file's name.")
@server_option
def submit_command(file: Path, backend: str, name: str | None, base: str) -> None:
    """Start a run of a workflow FILE (JSON or YAML) and print the link of its page."""
    client = Client(base)
    click.echo(client.page(start(client, file, backend, name)["id"]))
