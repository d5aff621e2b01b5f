"""Documents: what is understood, and what is refused and how."""

import json

import pytest

from scripthut.core.errors import Invalid
from scripthut.core.workflow.document import TaskSpec, parse
from scripthut.core.workflow.env import resolve
from scripthut.core.workflow.rules import Layer


def problems(data: object) -> list[str]:
    with pytest.raises(Invalid) as caught:
        parse(data)
    return caught.value.problems


def task(**fields: object) -> dict[str, object]:
    return {"id": "a", "name": "a", "command": "true", **fields}


def test_a_bare_list_is_a_document() -> None:
    document = parse([task()])
    (spec,) = document.tasks
    assert (spec.cpus, spec.memory, spec.time_limit) == (1, 4 * 1024**3, 3600)
    assert spec.working_dir == "~"
    assert spec.partition is None


def test_sizes_and_times_become_numbers() -> None:
    (spec,) = parse({"tasks": [task(memory="512M", time_limit="1-12")]}).tasks
    assert (spec.memory, spec.time_limit) == (512 * 1024**2, 36 * 3600)


def test_every_problem_is_named_by_its_place() -> None:
    found = problems(
        {
            "tasks": [
                task(id="ok"),
                task(id="b", cpus="lots"),
                {"name": "nameless"},
                task(id="c", memory="4 bananas"),
                task(id="d", time_limit="soon"),
                task(id="e", memroy="4G"),
                "not a task",
            ]
        }
    )
    text = "\n".join(found)
    assert 'tasks[3].memory: "4 bananas" is not a size' in text
    assert "tasks[1].cpus: " in text
    assert "tasks[2].id: is required" in text
    assert "tasks[2].command: is required" in text
    assert "tasks[4].time_limit: " in text
    assert "tasks[5].memroy: is not a known field: did you mean 'memory'?" in text
    assert "tasks[6]: is not a mapping with id, name and command" in text
    assert not any("ok" in line for line in found)


def test_wrong_tasks_do_not_hide_what_is_wrong_between_tasks() -> None:
    found = problems([task(cpus=0), task(id="b", deps=["a", "nope"]), task(id="b"), 7])
    assert found[0].startswith("tasks[0].cpus: ")
    assert found[1] == "tasks[3]: is not a mapping with id, name and command"
    assert found[2:] == [
        'tasks[2].id: "b" is the id of tasks[1] already',
        'tasks[1].deps[1]: there is no task "nope"',
    ]


@pytest.mark.parametrize(
    "bad", ["", "a b", "../x", "a/b", "_run", "-x", ".x", "x@2", "a\nb", "x" * 200, "é"]
)
def test_an_id_that_could_leave_its_place_is_refused(bad: str) -> None:
    assert problems([task(id=bad)])[0].startswith("tasks[0].id: ")


def test_old_spellings_are_understood() -> None:
    older = task(id="b", dependencies=["a"], cache=False, inputs=["x"], image="img")
    document = parse([task(), older])
    assert document.deps == ((), ("a",))


def test_null_is_no_value_but_where_it_means_no_limit() -> None:
    nulls = dict.fromkeys(("deps", "env", "partition", "inputs", "retry", "cpus", "env_vars"))
    (spec,) = parse([task(**nulls, memory=None, time_limit=None)]).tasks
    assert (spec.deps, spec.cpus, spec.memory, spec.time_limit) == ([], 1, None, None)


def test_deps_win_over_dependencies() -> None:
    assert parse([task(), task(id="b", deps=[], dependencies=["a"])]).deps == ((), ())


def test_what_would_change_the_meaning_is_refused_and_not_ignored() -> None:
    assert "was removed long ago" in problems([task(environment={"A": "1"})])[0]


def test_variables_are_set_by_rules_and_the_tasks_own_win() -> None:
    document = parse(
        {
            "env": [{"set": {"A": "1", "B": "1"}}],
            "tasks": [task(env=[{"set": {"B": "2"}}, {"set": {"C": "it's $HOME `x` \n"}}])],
        }
    )
    given = resolve({}, [document.layer, Layer("task", document.tasks[0].env)])
    assert given.values == {"A": "1", "B": "2", "C": "it's $HOME `x` \n"}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([{"sett": {}}], "tasks[0].env[0].sett: is not a known field: did you mean 'set'?"),
        (
            [{"set": {"A B": "1"}}],
            'tasks[0].env[0].set.A B: "A B" cannot be the name of a variable',
        ),
        (
            [{"set": {"UID": "1"}}],
            "tasks[0].env[0].set.UID: UID: bash lets nobody set this variable",
        ),
        ([{"set": {"A": True}}], "tasks[0].env[0].set.A: True is not a text: put it in quotes"),
        (
            [{"init": "a\0b"}],
            "tasks[0].env[0].init: holds a NUL character, which no shell can carry",
        ),
    ],
)
def test_a_rule_that_is_not_understood_is_refused(rules: object, said: str) -> None:
    assert problems([task(env=rules)]) == [said]


def test_groups_that_include_each_other_are_refused_with_the_path() -> None:
    groups = {"a": [{"include": ["b"]}], "b": [{"include": ["a"]}]}
    (found,) = problems({"tasks": [task()], "env": [{"include": "a"}], "env_groups": groups})
    assert found == "env_groups: the groups include each other in a circle: a → b → a"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, 'must be {"tasks": [...]} or a list of tasks'),
        ("x", 'must be {"tasks": [...]} or a list of tasks'),
        ({"tasks": []}, "tasks: is empty, there is nothing to run"),
    ],
)
def test_what_is_no_document_is_refused(data: object, said: str) -> None:
    assert problems(data) == [said]


def test_a_nul_in_a_command_is_refused() -> None:
    assert "NUL" in problems([task(command="a\x00b")])[0]


def test_ten_thousand_tasks_with_a_fan_in_are_a_document() -> None:
    tasks = [task(id=f"sim.{i}") for i in range(10_000)]
    document = parse([*tasks, task(id="merge", deps=["sim.*"])])
    assert len(document.deps[-1]) == 10_000


def test_a_kept_spec_means_what_it_meant() -> None:
    (spec,) = parse([task(memory="512M", time_limit="2:00:00", env={"A": "1"})]).tasks
    assert TaskSpec.stored(json.loads(json.dumps(spec.kept()))) == spec


@pytest.mark.parametrize("sign", ["\n", "\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_to_some_reader_is_in_no_path(sign: str) -> None:
    with pytest.raises(Invalid, match="holds a line break"):
        parse([{"id": "a", "command": "true", "working_dir": f"/d/x{sign}code=0"}])


def test_a_variable_that_no_program_can_be_started_with_is_refused_with_its_place() -> None:
    (said,) = problems([task(), task(id="b", env={"LONG": "x" * 3_000_000})])
    assert said.startswith("tasks[1].env[0].set: LONG holds 3000006 bytes")
    fits = "x" * (128 * 1024 - len("LONG") - 2)
    parse([task(env={"LONG": fits})])
    assert problems([task(env={"LONG": fits + "x"})])


def test_variables_that_are_too_much_together_are_refused() -> None:
    many = {f"V{n:02}": "x" * 100_000 for n in range(20)}
    (said,) = problems({"env": [{"set": many}], "tasks": [task(), task(id="b", env={"V00": ""})]})
    assert said.startswith("tasks[0].env: its variables hold 2000100 bytes")
    parse({"env": [{"if": {"A": "b"}, "set": many}], "tasks": [task()]})
