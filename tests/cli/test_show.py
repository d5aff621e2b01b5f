"""What a pipe is told is not cut: whoever reads it wants whole words."""

import os
import subprocess
import sys

PROGRAM = """
from rich.table import Table
from scripthut.cli.show import console

table = Table("Path", "Why")
table.add_row("p" * 150, "w" * 150)
console().print(table)
console(is_prose=True).print("a word " * 40)
"""


def lines(**env: str) -> list[str]:
    ours = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-c", PROGRAM]
    told = subprocess.run(command, env=ours | env, capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def test_a_table_in_a_pipe_is_as_wide_as_it_needs_to_be() -> None:
    found = lines()
    assert any("p" * 150 in line and "w" * 150 in line for line in found)
    assert len(found[-1]) <= 80


def test_whoever_names_a_width_has_it() -> None:
    assert max(map(len, lines(COLUMNS="100"))) <= 100
