"""How a terminal is told things: JSON, states in colour, times of here."""

import json
from datetime import datetime

import click
from rich.console import Console
from rich.text import Text

from scripthut.core.states import State

COLOURS = {
    "completed": "green",
    "failed": "red",
    "dep_failed": "yellow",
    "lost": "yellow",
    "stalled": "yellow",
    "running": "blue",
    "cancelled": "bright_black",
}
WORDS = {State.DEP_FAILED.value: "dependency failed", State.SETTLING.value: "finishing"}


def console(is_error: bool = False) -> Console:
    """The terminal; without colours when it is none."""
    return Console(stderr=is_error, soft_wrap=False, emoji=False)


def print_json(found: object) -> None:
    """Print for programs."""
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def state(word: str) -> Text:
    """A state as people say it, in its colour."""
    return Text(WORDS.get(word, word), COLOURS.get(word, ""))


def when(iso: str | None) -> str:
    """A time of the API as it is here; nothing for none."""
    if iso is None:
        return ""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
