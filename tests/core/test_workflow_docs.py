"""docs/workflows.md: every document and every piece of one in it is understood."""

import json
import re
from pathlib import Path

import pytest

from scripthut.core.workflow.document import parse, parse_text

TEXT = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text()
BLOCKS = re.findall(r"```(yaml|json)\n(.*?)```", TEXT, re.DOTALL)
SHORT = re.findall(r"`(\"retry\": \d+|\{\"if\".*?\}\})`", TEXT)
TASK = {"id": "a", "command": "true"}


@pytest.mark.parametrize(("kind", "text"), BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_is_a_document_or_a_part_of_one(kind: str, text: str) -> None:
    if kind == "yaml":
        assert parse_text(text, "study.yaml").title == "A study of seeds"
        return
    part = json.loads(text)
    if "retry" in part:
        (spec,) = parse([{**TASK, **part}]).tasks
        (plain,) = parse([{**TASK, "retry": {}}]).tasks
        assert spec.retry == plain.retry, "the defaults are others"
    else:
        parse({"tasks": [TASK], **part}, given={"data": "x"})


@pytest.mark.parametrize("short", SHORT)
def test_what_stands_in_a_sentence_is_understood_too(short: str) -> None:
    part = json.loads(short if short.startswith("{") else f"{{{short}}}")
    parse([{**TASK, **part}] if "retry" in part else [{**TASK, "env": [part]}])


def test_there_are_blocks_and_sentences() -> None:
    assert {kind for kind, _ in BLOCKS} == {"yaml", "json"}
    assert len(SHORT) == 2
