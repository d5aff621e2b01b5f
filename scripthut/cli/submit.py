"""Read a document, post it to a running server, say where its run is."""

import json
import sys
from pathlib import Path

from scripthut.cli.client import Client
from scripthut.core.errors import Invalid, Unreachable


def read(file: Path) -> object:
    """The document in a file, or on standard input for `-`. Raises Invalid."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        document: object = json.loads(text)
    except OSError as error:
        raise Invalid(str(file), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Invalid(str(file), [f"is not UTF-8 text: {error.reason}"]) from error
    except json.JSONDecodeError as error:
        raise Invalid(str(file), [f"is not JSON: {error}"]) from error
    return document


def name_of(file: Path, document: object) -> str:
    """What a run is called when nobody says: its document's title, else its file's name."""
    title = document.get("title") if isinstance(document, dict) else None
    if isinstance(title, str) and title:
        return title
    return "workflow" if str(file) == "-" else file.stem


def post(base: str, backend: str, name: str, document: object) -> str:
    """Start a run on the server at `base`; the link of its page.

    Raises Invalid when the server refuses the document, Unreachable when nothing sensible answers.
    """
    client = Client(base)
    run = client.start("runs", {"backend": backend, "name": name, "document": document})
    run_id = run.get("id")
    if not isinstance(run_id, str):
        raise Unreachable(f"what answers at {client.base} is not a scripthut server")
    return client.page(run_id)
