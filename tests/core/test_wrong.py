"""What is wrong with a document's value is a sentence of ours, with its place."""

import pytest

from scripthut.core.errors import Invalid
from scripthut.core.workflow.document import parse
from scripthut.core.workflow.workflows import OVERLAY, overlay


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "must not be empty"),
        ("command", 3, "3 is not text: put it into quotes"),
        ("command", ["a"], "['a'] is not text"),
        ("deps", "b", "must be a list"),
        ("cpus", "x", '"x" is not a whole number'),
        ("array", "maybe", '"maybe" is neither true nor false'),
    ],
)
def test_a_wrong_field_is_said_in_a_sentence(field: str, value: object, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse([{"id": "a", "command": "true", field: value}])
    assert refused.value.problems == [f"tasks[0].{field}: {said}"]


def test_a_wrong_kind_of_parameter_is_said_in_a_sentence() -> None:
    document = {"params": {"n": {"type": "banana"}}, "tasks": [{"id": "a", "command": "true"}]}
    with pytest.raises(Invalid) as refused:
        parse(document)
    kinds = "'string', 'number', 'boolean' or 'choice'"
    assert refused.value.problems == [f"params.n.type: 'banana' is not one of {kinds}"]


def test_of_a_repositorys_rules_no_value_is_said() -> None:
    with pytest.raises(Invalid) as refused:
        overlay("study", b"env:\n- set: {HF_TOKEN: [hunter22]}\n")
    assert refused.value.what == OVERLAY
    assert refused.value.problems == ["env[0].set.HF_TOKEN: what stands there is not text"]
