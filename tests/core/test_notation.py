"""Texts of documents: JSON and YAML, with lines where something is wrong."""

import pytest

from scripthut.core.errors import Invalid
from scripthut.core.workflow.document import parse_text
from scripthut.core.workflow.notation import read

YAML = """\
# a study
tasks:
  - id: a
    command: |
      echo a
    memory: 4 bananas
  - id: b
    command: "true"
    deps: [nope]
    env:
      - set:
          A: true
"""
JSON = """\
[
\t{"id": "a",
\t "command": "true"},
\t{"id": "b", "command": "true",
\t "cpus": 0}
]
"""


def problems(text: str, name: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        parse_text(text, name)
    return caught.value.problems


def test_problems_of_yaml_have_their_lines() -> None:
    found = problems(YAML, "study.yaml")
    assert [p.split(": ")[:2] for p in found] == [
        ["line 6", "tasks[0].memory"],
        ["line 12", "tasks[1].env[0].set.A"],
        ["line 9", "tasks[1].deps[0]"],
    ]


def test_problems_of_json_have_their_lines() -> None:
    (found,) = problems(JSON, "study.json")
    assert found.startswith("line 5: tasks[1].cpus: ")


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ('{"tasks": [,]}', "x.json", "line 1, column 12: is not JSON"),
        ("", "x.json", "line 1, column 1: is not JSON: it is empty"),
        ("tasks:\n\t- id: a", "x.yaml", "line 2, column 1: is not YAML"),
        ("tasks: [a\n", "x", "is not YAML"),
        ("!!python/object:os.system x", "x.yaml", "is not YAML"),
        ("a: &a [x]\nb: *c", "x.yaml", "line 2, column 4: is not YAML: found undefined alias"),
        ("[" * 100_000, "x.json", "nested too deeply"),
        ("[" * 5_000, "x.yaml", "nested too deeply"),
        ("9" * 5_000, "x.json", "a whole number of thousands of digits"),
        (
            '{"tasks": [{"name": "x\\ud800"}]}',
            "x.json",
            "tasks[0].name: holds \\ud800, which is half",
        ),
        ('{"k\\udfff": 1}', "x.json", "holds \\udfff, which is half a character"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, name: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(text, name)
    assert said in caught.value.problems[0]


def test_two_halves_are_one_character() -> None:
    assert read('["\\ud83d\\ude00"]', "x.json") == ["\N{GRINNING FACE}"]


def test_so_much_yaml_that_it_would_take_minutes_is_refused() -> None:
    with pytest.raises(Invalid, match="more than 8 MiB of YAML: write so much as JSON"):
        read("# " + "x" * 8 * 1024**2, "large.yaml")


def test_a_text_that_stands_for_more_than_anybody_wrote_is_refused() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(Invalid, match="more than 5000000 values"):
        read("\n".join(lines), "bomb.yaml")


def test_plain_words_of_yaml_mean_what_they_look_like() -> None:
    words = "on: yes\nlimit: 2:00:00\nday: 2026-01-31\nid: 007\nn: 12\nx: 1.5e3\nt: true\nz: null"
    assert read(words, "x.yaml") == {
        "on": "yes",
        "limit": "2:00:00",
        "day": "2026-01-31",
        "id": "007",
        "n": 12,
        "x": 1500.0,
        "t": True,
        "z": None,
    }
    assert read("a: &x {b: 1}\nc:\n  <<: *x", "x.yaml") == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_time_limit_of_yaml_is_no_number_of_minutes() -> None:
    text = "- {id: a, command: x, time_limit: 2:00:00, retry: {on: timeout}}"
    (spec,) = parse_text(text, "x.yaml").tasks
    assert spec.time_limit == 7200


def test_a_text_without_a_name_that_tells_is_read_by_its_first_sign() -> None:
    assert read(' {"a": 1}', "the document") == {"a": 1}
    assert read("a: 1", "the document") == {"a": 1}
    assert read("\ufeffa: 1", "the document") == {"a": 1}
    assert read("{a: 1}", "x.yaml") == {"a": 1}
