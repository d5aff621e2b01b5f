"""How a terminal is told things: JSON, states in colour, times of here."""

import json
import os
from datetime import datetime

import click
from rich.console import Console
from rich.text import Text

from scripthut.core.states import State

WIDE = 10_000  # columns of what is no terminal: whoever reads a pipe wants whole words
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


def console(is_error: bool = False, is_prose: bool = False) -> Console:
    """The terminal; without colours when it is none, and then lines are cut nowhere.

    `is_prose`: what is written in paragraphs has a width all the same.
    """
    made = Console(stderr=is_error, soft_wrap=False, emoji=False)
    if not (made.is_terminal or is_prose or "COLUMNS" in os.environ):
        made.width = WIDE
    return made


def some(count: int, noun: str) -> str:
    """A number of things, in words.

    >>> some(1, "task"), some(20, "task")
    ('1 task', '20 tasks')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


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
