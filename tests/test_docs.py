"""Every command and every configuration in the documentation, run against a real server."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripthut import config
from scripthut.config import reading
from scripthut.core.errors import Invalid
from scripthut.core.workflow import document
from tests.serving import ROOT, local, serving, surroundings

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "bash", "console"}
# The clusters that the texts speak of: here, this machine under their names.
BACKENDS = [{"type": "local", "name": name, "max_concurrent": 4} for name in ("local", "hpc")]
STAYS = re.compile(r"^scripthut (serve|engine)\b")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, and its text."""

    page: str
    line: int
    language: str
    words: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        indent, language, words, body = found.groups()
        line = text[: found.start()].count("\n") + 1
        lines = [one.removeprefix(indent) for one in body.splitlines()]
        yield Block(page.name, line, language, words.strip(), "\n".join(lines) + "\n")


ALL = [block for page in PAGES for block in blocks(page)]
DATA = [block for block in ALL if block.language in {"yaml", "json"}]


@pytest.mark.parametrize("block", DATA, ids=str)
def test_what_is_shown_as_a_file_is_a_good_one(block: Block) -> None:
    data: object = json.loads(block.text) if block.language == "json" else _data(block)
    if block.words == "error":
        with pytest.raises(Invalid):
            config.parse(data)
    elif isinstance(data, dict) and data.keys() <= set(config.Config.model_fields):
        whole = {"backends": BACKENDS, **data}
        names = {one["name"] for one in whole["backends"]}
        whole["backends"] = [*whole["backends"], *(b for b in BACKENDS if b["name"] not in names)]
        config.parse(whole)
    elif isinstance(data, list) or (isinstance(data, dict) and "tasks" in data):
        document.parse_text(block.text, f"{block}.{block.language}")
    else:
        assert isinstance(data, dict), f"{block} is nothing that a test knows"
        document.parse(around(data), str(block), {"data": "a value that has no default"})


def around(part: dict[str, object]) -> dict[str, object]:
    """A document around a part of one: some of its sections, or some fields of a task."""
    task = {"id": "a", "command": "true"}
    if part.keys() <= set(document.WRITTEN):
        return {"params": {"data": "x"}, **part, "tasks": [task]}
    return {"params": {"data": "x"}, "tasks": [{**task, **part}]}


def _data(block: Block) -> object:
    """YAML as it is read here; a list is a document of tasks."""
    if block.text.lstrip().startswith("-"):
        return []
    return reading.read(block.text, str(block)).data


def commands(page: Path) -> str:
    """A page's shell lines, in their order, as one script. What is only shown is left out."""
    script = []
    for block in blocks(page):
        if block.language not in SHELLS or block.words == "by-hand":
            continue
        text = block.text
        if block.language == "console":
            shown = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
            text = "\n".join(shown) + "\n"
        script.append(text)
    return "".join(script)


def tools(directory: Path) -> str:
    """A PATH on which `scripthut` is this one; what would stay for ever only has to begin."""
    folder = directory / "bin"
    folder.mkdir()
    (folder / "scripthut").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m scripthut.cli "$@"\n', encoding="utf-8"
    )
    (folder / "scripthut").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_does_what_it_is_shown_for(page: Path, tmp_path: Path) -> None:
    script = commands(page)
    if not script:
        return
    there = json.loads(local(tmp_path / "site"))
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    with serving(tmp_path / "site", config=json.dumps({**there, "backends": BACKENDS})) as site:
        lines = [line for line in script.splitlines(keepends=True) if not STAYS.match(line)]
        text = "".join(lines).replace("127.0.0.1:8000", f"{site.host}:{site.port}")
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", text],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={
                **surroundings(tmp_path),
                "PATH": tools(tmp_path),
                "SCRIPTHUT_SERVER": site.url,
                "SCRIPTHUT_SETTINGS_SERVER_PORT": "0",
                "SCRIPTHUT_SETTINGS_DATA_DIR": str(tmp_path / "daemon"),
            },
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Traceback" not in done.stderr


def test_every_block_is_of_a_kind_that_a_test_runs() -> None:
    fences = sum(
        line.lstrip().startswith("```")
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
    )
    assert fences == 2 * len(ALL)  # none without a language, and none that is not closed
    assert {block.language for block in ALL} <= SHELLS | {"yaml", "json"}
    assert {block.words for block in ALL} <= {"", "error", "by-hand"}


def test_no_shell_block_is_left_out_without_a_reason() -> None:
    """`by-hand` is for what sets up a machine, and stands in the README alone."""
    by_hand = [b for b in ALL if b.words == "by-hand"]
    assert {b.page for b in by_hand} <= {"README.md"}
    assert all("make " in b.text for b in by_hand)
