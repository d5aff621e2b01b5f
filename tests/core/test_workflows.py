"""What a source holds: names, titles, problems, and its own rules."""

import json

import pytest

from scripthut.core.errors import Invalid, NotFound, Refused
from scripthut.core.workflow.workflows import find, look, overlay, run_name

PATHS = ("a/fit.json", "b/fit.json", "b/plot.yaml", "plot.json.json")


def test_a_workflow_is_found_by_its_path_or_by_a_name_that_one_has() -> None:
    assert find(PATHS, "a/fit.json") == "a/fit.json"
    assert find(PATHS, "b/fit") == "b/fit.json"
    assert find(PATHS, "plot") == "b/plot.yaml"
    with pytest.raises(Refused, match=r"'fit' may be any of a/fit\.json, b/fit\.json"):
        find(PATHS, "fit")
    with pytest.raises(NotFound, match="no workflow 'none'"):
        find(PATHS, "none")


def test_runs_of_files_of_one_name_have_different_names() -> None:
    glob = ".hut/workflows/**/*.json"
    names = [run_name("s", f".hut/workflows/{p}", glob) for p in ("fit.json", "a/fit.json")]
    assert names == ["s/fit", "s/a/fit"]
    assert run_name("s", "fit.txt", "*.txt") == "s/fit.txt"


def test_a_document_shows_its_title_its_tasks_and_its_parameters() -> None:
    document = {
        "title": "Fit",
        "params": {"size": {"type": "number"}, "kind": ["a", "b"]},
        "tasks": [{"id": "x", "command": "fit ${params.size}"}],
    }
    found = look("fit.json", json.dumps(document).encode())
    assert (found.title, found.tasks, found.problem) == ("Fit", 1, None)
    assert found.params["size"]["default"] is None
    assert found.params["kind"]["choices"] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "line 1, column 2: is not JSON"),
        (b"\xff", "is not UTF-8"),
        (b'{"tasks": [{"id": "a b", "command": "x"}]}', "tasks[0].id"),
        (b'{"tasks": []}', "nothing to run"),
    ],
)
def test_what_is_wrong_with_a_document_is_said_by_place(content: bytes, says: str) -> None:
    assert says in (look("x.json", content).problem or "")


def test_a_repository_s_file_may_hold_rules_for_the_environment_alone() -> None:
    layer = overlay("study", b"env:\n  - set: {A: b}\nenv_groups: {g: []}\nstacks: []\n")
    assert layer.source == "source:study"
    assert layer.rules[0].set == {"A": "b"}
    assert overlay("study", None).rules == ()
    assert overlay("study", b"").rules == ()
    with pytest.raises(Invalid, match="settings: a repository's file may hold env, env_groups"):
        overlay("study", b"settings: {}\n")
    with pytest.raises(Invalid, match="is not YAML"):
        overlay("study", b"env: [\n")
    with pytest.raises(Invalid, match=r"env\[0\]\.sett"):
        overlay("study", b"env:\n  - sett: {A: b}\n")
