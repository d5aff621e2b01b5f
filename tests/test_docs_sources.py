"""What docs/sources.md says is what the program does."""

import re
from pathlib import Path

import pytest
import yaml

from scripthut.config import GitSource, PathSource, parse

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "sources.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("text", [DOCS, README], ids=["docs", "readme"])
def test_a_configuration_that_is_shown_can_be_used(text: str) -> None:
    shown = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.S) if "sources:" in b]
    assert shown
    for block in shown:
        data = yaml.safe_load(block)
        data.setdefault("backends", [{"type": "local", "name": "hpc"}])
        assert len(parse(data).sources) == 2


def test_every_key_of_a_source_is_explained() -> None:
    keys = GitSource.model_fields.keys() | PathSource.model_fields.keys()
    table = "\n".join(line.split("|")[1] for line in DOCS.splitlines() if line.startswith("| `"))
    assert {key for key in keys if f"`{key}`" not in table} == set()
