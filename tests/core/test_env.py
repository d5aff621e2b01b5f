"""Environment rules: what they yield, and that a real bash gets exactly that."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripthut.core.errors import Refused
from scripthut.core.jobs import Own
from scripthut.core.workflow.env import Op, Resolved, flatten, resolve, shown
from scripthut.core.workflow.rules import EnvRule, Layer
from tests.core.scripts import Node


def rules(*some: Mapping[str, object], groups: Mapping[str, object] | None = None) -> list[Layer]:
    made = {
        name: [EnvRule.model_validate(rule) for rule in group]  # type: ignore[attr-defined]
        for name, group in (groups or {}).items()
    }
    return [Layer("server", [EnvRule.model_validate(rule) for rule in some], made)]


def values(*some: Mapping[str, object], **seed: str) -> dict[str, object]:
    return dict(resolve(seed, rules(*some)).values)


def test_later_rules_win_and_know_what_came_before() -> None:
    found = values({"set": {"A": "1", "B": "${A}2"}}, {"set": {"A": "3"}}, {"append": {"B": "4"}})
    assert found == {"A": "3", "B": "12:4"}


def test_what_no_rule_knows_is_the_jobs_own() -> None:
    found = values({"set": {"A": "${HOME}/x"}}, {"append": {"PATH": "${A}/bin"}})
    assert found["A"] == (Own("HOME"), "/x")
    assert found["PATH"] == (Own("PATH", ":"), Own("HOME"), "/x/bin")
    assert shown(found["PATH"]) == "${PATH}:${HOME}/x/bin"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ({"SITE": "a"}, True),
        ({"SITE": "b"}, False),
        ({"SITE": ["b", "a"]}, True),
        ({"SITE": "a", "KIND": "slurm"}, True),
        ({"SITE": "a", "KIND": "pbs"}, False),
        ({"NOBODY": ""}, False),
        ({"OWN": "${HOME}"}, False),
        ({"params.model": "large"}, True),
    ],
)
def test_a_rule_counts_where_all_its_conditions_hold(
    condition: Mapping[str, object], is_met: bool
) -> None:
    layers = rules({"set": {"OWN": "${HOME}"}}, {"if": condition, "set": {"MET": "yes"}})
    found = resolve({"SITE": "a", "KIND": "slurm"}, layers, {"model": "large"})
    assert ("MET" in found.values) == is_met


def test_groups_are_put_in_under_the_conditions_of_those_that_include_them() -> None:
    groups = {
        "outer": [{"include": "inner"}, {"set": {"OUTER": "1"}}],
        "inner": [{"if": {"SITE": "a"}, "set": {"INNER": "1"}}],
    }
    layers = rules({"if": {"KIND": "slurm"}, "include": ["outer"]}, groups=groups)
    assert set(resolve({"SITE": "a", "KIND": "slurm"}, layers).values) >= {"OUTER", "INNER"}
    assert set(resolve({"SITE": "b", "KIND": "slurm"}, layers).values) == {"SITE", "KIND", "OUTER"}
    assert set(resolve({"SITE": "a", "KIND": "pbs"}, layers).values) == {"SITE", "KIND"}


def test_of_groups_of_one_name_the_last_layers_counts() -> None:
    first = rules({"include": "site"}, groups={"site": [{"set": {"A": "server"}}]})
    last = Layer("workflow-doc", (), {"site": [EnvRule(set={"A": "document"})]})
    assert resolve({}, [*first, last]).values == {"A": "document"}


def test_where_a_value_came_from_is_told() -> None:
    groups = {"gpu": [{"append": {"A": "2"}}]}
    found = resolve({"A": "0"}, rules({"set": {"A": "1"}}, {"include": "gpu"}, groups=groups))
    assert found.variables["A"].ops == (
        Op("seed", "seed", "0"),
        Op("server", "set", "1"),
        Op("server via group:gpu", "append", "2"),
    )
    assert Resolved.of(found.kept()) == found


def test_groups_in_a_circle_are_refused_with_the_path() -> None:
    groups = {"a": [{"include": "b"}], "b": [{"include": "c"}], "c": [{"include": "b"}]}
    with pytest.raises(Refused, match="b → c → b"):
        resolve({}, rules({"include": "a"}, groups=groups))


def test_groups_that_include_each_other_manifold_are_refused_in_no_time() -> None:
    groups = {f"g{n}": [{"include": [f"g{n + 1}"] * 2}] * 2 for n in range(40)}
    groups["g40"] = [{"set": {"A": "1"}}]
    with pytest.raises(Refused, match="more than 20000 rules"):
        resolve({}, rules({"include": "g0"}, groups=groups))


def test_what_a_rule_does_not_do_is_said() -> None:
    notices: list[str] = []
    layers = rules(
        {"include": "nobody", "stacks": ["torch"], "set": {"SCRIPTHUT_X": "1"}},
        {"set": {"A": "$HOME/x", "B": "costs 5$", "C": "`date`"}},
    )
    flatten(layers, notices)
    assert notices == [
        "server: there is no env group 'nobody': it is left out.",
        "server: stacks (torch) are kept, and not used by this version.",
        "server: SCRIPTHUT_X is left as it is: names beginning with SCRIPTHUT_ are set by the "
        "server.",
        "server: A holds $HOME, which reaches the job as written: write ${HOME} for the job's own.",
        "server: C holds `, which reaches the job as written.",
    ]
    assert "SCRIPTHUT_X" not in resolve({}, layers).values


# --- in a real bash ---


def reached(node: Node, found: Resolved) -> dict[bytes, bytes]:
    """The environment in which a job's command really ran."""
    command = '/usr/bin/env -0 >"$SCRIPTHUT_OUTPUT_DIR/env"'
    job = replace(node.job(command), env=found.values, init=found.script)
    ended = node.run(job)
    assert ended.code == 0, ended.err
    pairs = (Path(job.paths.outputs) / "env").read_bytes().split(b"\0")
    return dict(pair.split(b"=", 1) for pair in pairs if pair)


HARD = "'\"$`\\\n\r\t !*?[]{}()<>|&;#~%^=:é\u2028\U0001f40d"
LITERAL = st.text(
    st.one_of(st.sampled_from(HARD), st.characters(exclude_categories=["Cs"], min_codepoint=1)),
    min_size=1,
    max_size=12,
).filter(lambda text: not re.search(r"\$\{|\$$", text))
OWN = ("HOME", "OWN_A", "OWN_B", "NOT_THERE")
SET = ("A", "B", "PATH", "OWN_A")


@dataclass(frozen=True)
class Change:
    """A rule of one variable, with the parts of its text: words, and names that it refers to."""

    name: str
    is_append: bool
    parts: tuple[tuple[bool, str], ...]

    @property
    def rule(self) -> dict[str, object]:
        text = "".join("${" + part + "}" if is_name else part for is_name, part in self.parts)
        return {"append" if self.is_append else "set": {self.name: text}}


WORDS = st.tuples(st.just(False), LITERAL)
PARTS = st.one_of(
    st.tuples(WORDS),
    st.tuples(WORDS, st.tuples(st.just(True), st.sampled_from(SET + OWN)), WORDS),
)
CHANGES = st.lists(st.builds(Change, st.sampled_from(SET), st.booleans(), PARTS), max_size=8)


def model(changes: Sequence[Change], own: Mapping[str, str]) -> dict[str, str]:
    """What every variable should be, worked out on its own."""
    known: dict[str, str] = {}
    for change in changes:
        text = "".join(
            (known[part] if part in known else own.get(part, "")) if is_name else part
            for is_name, part in change.parts
        )
        before = known.get(change.name, own.get(change.name, "")) if change.is_append else ""
        known[change.name] = f"{before}:{text}" if before else text
    return known


ALL_HARD = [Change(name, False, ((False, HARD),)) for name in ("A", "B")]


@settings(max_examples=60, deadline=None)
@example(changes=ALL_HARD, own={"OWN_A": HARD, "OWN_B": ""})
@example(
    changes=[
        Change("A", False, ((False, HARD), (True, "OWN_A"), (False, HARD))),
        Change("PATH", True, ((False, HARD), (True, "A"), (False, HARD))),
        Change("OWN_A", True, ((False, HARD), (True, "PATH"), (False, HARD))),
    ],
    own={"OWN_A": HARD, "OWN_B": ""},
)
@given(changes=CHANGES, own=st.fixed_dictionaries({"OWN_A": LITERAL, "OWN_B": LITERAL}))
def test_a_real_bash_gets_every_value_exactly(changes: list[Change], own: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        node = Node(Path(directory), own)
        found = reached(node, resolve({}, rules(*(change.rule for change in changes))))
        mine = {"HOME": directory, "PATH": found_path(node), **own}
        for name, text in model(changes, mine).items():
            assert found[name.encode()] == text.encode("utf-8"), name


def found_path(node: Node) -> str:
    return reached(node, Resolved())[b"PATH"].decode()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_append_extends_the_jobs_own_path(node: Node) -> None:
    found = reached(node, resolve({}, rules({"append": {"PATH": "/my tools"}})))
    assert found[b"PATH"] == f"{found_path(node)}:/my tools".encode()


def test_append_to_what_the_job_does_not_have_begins_it(node: Node) -> None:
    found = reached(node, resolve({}, rules({"append": {"NOBODYS": "/x"}})))
    assert found[b"NOBODYS"] == b"/x"


def test_init_runs_before_the_variables_are_set_and_they_win(node: Node) -> None:
    layers = rules(
        {"set": {"TOOL": "gcc"}},
        {"init": "export LOADED=${TOOL} WINS=init HOMES=${HOME}\nPLAIN=1"},
        {"set": {"WINS": "rule"}, "append": {"LOADED": "more"}},
    )
    found = reached(node, resolve({}, layers))
    assert (found[b"LOADED"], found[b"WINS"]) == (b"gcc:more", b"rule")
    assert (found[b"HOMES"], found[b"PLAIN"]) == (str(node.home).encode(), b"1")


def test_what_init_defines_reaches_the_command(node: Node) -> None:
    init = "module() { echo loaded $1; }\nset -e"
    ended = node.run(replace(node.job("module gcc; false; echo after"), init=init))
    assert ended.out.endswith("\nloaded gcc\n")
    assert ended.code == 1


@pytest.mark.parametrize("init", ["echo 'half", "if true", ")", "}\n}"])
def test_an_init_that_is_no_bash_fails_the_task_and_says_so(node: Node, init: str) -> None:
    ended = node.run(replace(node.job("echo ran"), init=init))
    assert ended.code == 1
    assert "not valid bash" in ended.note["why"]
    assert "\nran" not in ended.out


def test_an_init_that_exits_ends_the_task_with_its_code(node: Node) -> None:
    ended = node.run(replace(node.job("echo ran"), init="exit 7"))
    assert (ended.code, ended.note["code"]) == (7, "7")
    assert "\nran" not in ended.out
