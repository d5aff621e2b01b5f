"""The published schema: equal to its file, and of one mind with the parser."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from scripthut.core.errors import Invalid
from scripthut.core.workflow import schema
from scripthut.core.workflow.document import parse

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "schema" / "workflow.json"
VALIDATOR = Draft202012Validator(schema.schema())
TASK = {"id": "a", "command": "true"}


def test_the_file_is_the_schema() -> None:
    assert FILE.read_text() == schema.text(), "scripthut.core.workflow.schema.text() writes it anew"
    Draft202012Validator.check_schema(json.loads(FILE.read_text()))


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.json")), ids=lambda p: p.name)
def test_the_examples_are_valid(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(json.loads(path.read_text()))) == []


GOOD = {
    "a list": [TASK],
    "all fields": {
        "title": "x",
        "params": {"seed": 7, "size": ["s", "l"], "n": {"type": "number", "default": 1}},
        "env": [{"if": {"A": ["1", "2"]}, "set": {"B": 1}, "append": {"PATH": "x"}, "init": "y"}],
        "env_groups": {"g": [{"include": "h"}], "h": []},
        "tasks": [
            {
                "id": 7,
                "command": "true",
                "dependencies": [],
                "cpus": 2,
                "memory": 512,
                "time_limit": 90,
                "timeout": "5m",
                "retry": {"count": 1, "on": "timeout", "wait": "0s", "max_memory": "8G"},
                "env": {"A": "1"},
                "image": "x",
                "cache_scope": "inputs",
                "generates_source": "more.json",
                "x-mine": 1,
            }
        ],
    },
    "a parameter in the place of a number": {
        "params": {"cpus": 4, "memory": "4G"},
        "tasks": [{**TASK, "cpus": "${params.cpus}", "memory": "${params.memory}", "retry": 2}],
    },
}
BAD = {
    "no tasks": {"title": "x"},
    "an empty list": [],
    "no command": [{"id": "a"}],
    "an unknown field": [{**TASK, "memroy": "4G"}],
    "an unknown cause": [{**TASK, "retry": {"on": ["bad luck"]}}],
    "an unknown rule": [{**TASK, "env": [{"sett": {}}]}],
    "no cpus": [{**TASK, "cpus": 0}],
    "an odd id": [{**TASK, "id": "../x"}],
    "a truth for a number": {"params": {"a": {"type": "truth"}}, "tasks": [TASK]},
}


@pytest.mark.parametrize("name", GOOD)
def test_what_the_parser_takes_the_schema_takes(name: str) -> None:
    parse(GOOD[name])
    assert [e.message for e in VALIDATOR.iter_errors(GOOD[name])] == []


@pytest.mark.parametrize("name", BAD)
def test_what_the_schema_refuses_the_parser_refuses(name: str) -> None:
    assert list(VALIDATOR.iter_errors(BAD[name])) != []
    with pytest.raises(Invalid):
        parse(BAD[name])
