"""What is remembered of the commands on a machine, and what never is."""

import base64

import pytest

from scripthut.backends.asking import MOST, Node, Ring
from scripthut.core.commands import Command
from scripthut.core.errors import Unreachable
from scripthut.transports.local import Local

SECRET = "hunter22-hunter22"


@pytest.fixture
def ring() -> Ring:
    return Ring()


@pytest.fixture
def login(ring: Ring) -> Node:
    return Node(Local(), ring)


def submission(tmp_path, argv, script):
    return {
        "token": "abcdefgh.0.1",
        "argv": argv,
        "script": base64.b64encode(script.encode()).decode(),
        "file": None,
        "directories": [str(tmp_path / "logs")],
        "state": str(tmp_path / "state"),
        "timeout": 20,
    }


def test_a_command_is_remembered_with_its_parts_and_numbers(login: Node, ring: Ring) -> None:
    argv = ["sh", "-c", "echo no such queue >&2; exit 3"]
    login.ask({"commands": [{"key": "queue", "argv": argv, "timeout": 20}]}, 30)
    (command,) = ring.news(is_looked_at=True)
    assert command.what == "The queue"
    assert command.code == 0 and command.is_bad
    assert command.sent > 10_000 and 0 < command.received < 1000 and command.milliseconds > 0
    (part,) = command.parts
    assert part.command == "sh -c 'echo no such queue >&2; exit 3'"
    assert (part.code, part.error) == (3, "no such queue")


def test_the_constant_script_is_named_and_not_printed(login: Node, ring: Ring) -> None:
    login.ask({}, 30)
    (command,) = ring.news(is_looked_at=True)
    assert command.command.startswith("the node script (constant") and "import" not in repr(command)
    assert command.what == "Whether it answers"


def test_a_job_script_and_its_secrets_are_in_no_memory(tmp_path, login: Node, ring: Ring) -> None:
    """Not even when the scheduler says all of it back."""
    asked = submission(tmp_path, ["sh", "-c", "cat >&2; exit 1"], f"x={SECRET}\nMY_KEY=abc\n")
    login.ask({"submits": [asked]}, 30, [{"HF_TOKEN": SECRET}])
    (command,) = ring.news(is_looked_at=True)
    assert SECRET not in repr(command) and "abc" not in repr(command)
    assert command.parts[0].error == "x=***\nMY_KEY=***"


def test_words_are_masked_before_they_are_joined_and_clipped(login: Node, ring: Ring) -> None:
    given = f"--export=ALL,HF_TOKEN={SECRET} {'s' * 3000}tail"
    asked = ["true", given, "-v", f"A=1,MY_KEY={SECRET}", "--token", SECRET, f"x{SECRET}22"]
    request = {"commands": [{"key": "queue", "argv": asked, "timeout": 20}]}
    login.ask(request, 30, [{"A_PASSWORD": f"{SECRET}22"}])
    said = ring.news(is_looked_at=True)[0].parts[0].command
    assert SECRET not in said and "tail" not in said
    assert "HF_TOKEN=***" in said and "MY_KEY=***" in said and said.endswith("'x***'")


def test_a_variable_that_the_settings_name_is_masked_too(login: Node, ring: Ring) -> None:
    ring.secret_names = frozenset({"PIN"})
    argv = ["sh", "-c", "echo PIN=1234 >&2; exit 1"]
    login.ask({"commands": [{"key": "cancel", "argv": argv, "timeout": 20}]}, 30)
    assert "1234" not in repr(ring.news(is_looked_at=True))


def test_no_answer_is_remembered_with_its_reason() -> None:
    ring, way = Ring(), Local()
    way.close()
    with pytest.raises(Unreachable):
        Node(way, ring).ask({"commands": []}, 30)
    (command,) = ring.news(is_looked_at=False)
    assert command.code is None and command.is_bad and command.sent == 0
    assert command.error == "The connection to this machine was closed."
    assert command.command == "nothing was sent"


def test_what_may_fail_is_no_failure(login: Node, ring: Ring) -> None:
    """Not every cluster has quotas: that would fill the list of failures."""
    login.ask({"commands": [{"key": "facts quota", "argv": ["false"], "timeout": 20}]}, 30)
    assert not ring.news(is_looked_at=False)
    assert ring.news(is_looked_at=True)[0].parts[0].code == 1


def test_a_long_error_is_clipped_at_both_ends(login: Node, ring: Ring) -> None:
    argv = ["sh", "-c", "seq 1000 3000 >&2; exit 1"]
    login.ask({"commands": [{"key": "queue", "argv": argv, "timeout": 20}]}, 30)
    error = ring.news(is_looked_at=True)[0].parts[0].error
    assert len(error) < 2100 and error.startswith("1000") and "characters left out" in error


def command(at, code=0) -> Command:
    return Command(at, "x", "x", code, 1, 1, 1)


def test_the_ring_holds_the_last_and_gives_each_once() -> None:
    ring = Ring()
    for n in range(MOST + 5):
        ring.add(command(n))
    news = ring.news(is_looked_at=True)
    assert [one.at for one in news] == list(range(5, MOST + 5))
    ring.written(news)
    ring.add(command(999))
    assert [one.at for one in ring.news(is_looked_at=True)] == [999]


def test_while_nobody_looks_only_failures_are_news() -> None:
    ring = Ring()
    ring.add(command(1))
    assert not ring.news(is_looked_at=False)
    ring.add(command(2, code=1))
    bad = ring.news(is_looked_at=False)
    assert [one.at for one in bad] == [2]
    ring.written(bad)
    assert not ring.news(is_looked_at=False)
    assert [one.at for one in ring.news(is_looked_at=True)] == [1]
