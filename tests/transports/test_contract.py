"""What every transport does, tried on each."""

import hashlib
import os
import pwd
import random
import threading
import time
from pathlib import PurePosixPath

import pytest

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer
from scripthut.transports.local import Local
from scripthut.transports.ssh import SSH

Any = Local | SSH
BIG = 5_000_000


def test_an_answer_has_the_code_and_both_outputs(transport: Any) -> None:
    answer = transport.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert answer == Answer(7, "out\n", "err\n")


@pytest.mark.parametrize("text", ["", "no newline", "\n", "one\n\ntwo\n\n"])
def test_output_arrives_to_the_byte(transport: Any, text: str) -> None:
    assert transport.run(["printf", "%s", text]).out == text


@pytest.mark.parametrize(
    "word",
    [
        "",
        "two words",
        "it's",
        '"double"',
        "$HOME `id` $(id)",
        "a;b|c&d>e<f",
        "--dash",
        "~",
        "*",
        "wow!",
        "!!",
        "line\nbreak\n",
        "\n\n",
        "tab\there",
        "back\\slash\\n\\0101",
        "100%s",
        "+plus",
        "%percent",
        "grün 中",
        "# not a comment",
    ],
)
def test_a_word_arrives_as_it_is(transport: Any, word: str) -> None:
    assert transport.run(["printf", "<%s>", word, "last"]).out == f"<{word}><last>"


def test_a_word_may_hold_bytes_that_are_no_utf8(transport: Any) -> None:
    answer = transport.run(["sh", "-c", 'printf %s "$1" | od -An -tx1', "x", os.fsdecode(b"a\xe9")])
    assert answer.out.split() == ["61", "e9"]


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["no-such-command"], 127), (["/etc/passwd"], 126), (["sh", "-c", "kill -9 $$"], 137)],
)
def test_the_code_is_what_a_shell_says(transport: Any, argv: list[str], code: int) -> None:
    assert transport.run(argv).code == code


def test_standard_input_arrives_untouched(transport: Any) -> None:
    data = bytes(range(256)) * 10 + b"\n\0 end of file?\n" + random.Random(1).randbytes(BIG)
    answer = transport.run(["sha256sum"], stdin=data)
    assert answer.out.split()[0] == hashlib.sha256(data).hexdigest()


def test_without_standard_input_a_command_reads_the_end(transport: Any) -> None:
    assert transport.run(["cat"], timeout=10) == Answer(0, "", "")


def test_megabytes_go_both_ways_at_once(transport: Any) -> None:
    answer = transport.run(["sh", "-c", "tee /dev/stderr"], stdin=b"x" * BIG)
    assert (len(answer.out), len(answer.err)) == (BIG, BIG)


def test_a_command_need_not_read_what_it_is_given(transport: Any) -> None:
    assert transport.run(["echo", "done"], stdin=b"x" * BIG).out == "done\n"


def test_bytes_that_are_no_utf8_are_replaced(transport: Any) -> None:
    answer = transport.run(["printf", r"caf\351 \377\000 ok"])
    assert answer.out == "caf� �\0 ok"
    assert transport.run(["echo", "still here"]).out == "still here\n"


def test_a_background_child_does_not_hold_up_the_answer(transport: Any) -> None:
    begun = time.monotonic()
    assert transport.run(["sh", "-c", "sleep 20 & echo started"]).out == "started\n"
    assert time.monotonic() - begun < 5


def test_a_command_that_takes_too_long_is_unreachable_in_time(transport: Any) -> None:
    transport.run(["true"])
    begun = time.monotonic()
    with pytest.raises(Unreachable, match=r"within 0\.5 seconds"):
        transport.run(["sleep", "20"], timeout=0.5)
    assert time.monotonic() - begun < 3
    assert transport.run(["echo", "next"]).out == "next\n"


def test_more_output_than_the_limit_is_unreachable(transport: Any) -> None:
    with pytest.raises(Unreachable, match="longer than the 1000 bytes"):
        transport.run(["yes"], limit=1000)
    with pytest.raises(Unreachable, match="longer than the 1000 bytes"):
        transport.run(["printf", "%1001s", "x"], limit=1000)
    assert len(transport.run(["printf", "%1000s", "x"], limit=1000).out) == 1000


def test_a_shell_that_is_killed_gives_no_answer(transport: Any) -> None:
    with pytest.raises(Unreachable, match="did not show its end"):
        transport.run(["sh", "-c", "echo half; kill -9 $PPID"])


def test_the_home_and_the_user_are_those_of_the_machine(transport: Any) -> None:
    account = pwd.getpwnam(transport.user)
    assert transport.home == PurePosixPath(account.pw_dir)
    assert transport.run(["pwd"]).out == f"{account.pw_dir}\n"
    assert transport.run(["id", "-un"]).out == f"{account.pw_name}\n"


def test_commands_are_counted(transport: Any) -> None:
    before = transport.commands
    for _ in range(3):
        transport.run(["true"])
    assert transport.commands == before + 3


@pytest.mark.parametrize("argv", [[], ["a\0b"], ["echo", "x" * 200_000]])
def test_words_that_cannot_be_sent_are_a_mistake(transport: Any, argv: list[str]) -> None:
    with pytest.raises(ValueError, match=r"word|too long"):
        transport.run(argv)


def test_closing_ends_a_running_call_and_is_for_good(transport: Any) -> None:
    transport.run(["true"])
    failures: list[Exception] = []
    begun = threading.Event()

    def call() -> None:
        begun.set()
        try:
            transport.run(["sleep", "20"], timeout=30)
        except Unreachable as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    before = transport.commands
    thread.start()
    begun.wait()
    while transport.commands == before:
        time.sleep(0.01)
    transport.close()
    thread.join(10)
    assert len(failures) == 1
    with pytest.raises(Unreachable, match="was closed"):
        transport.run(["true"])
    transport.close()
