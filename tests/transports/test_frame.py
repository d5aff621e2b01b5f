"""The frame around a command: a part of an answer is never taken for the whole."""

import subprocess

import pytest

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer
from scripthut.transports.frame import NOISE, SCRIPT, Frame

MARK = "5ca1ab1e"
COMMAND = ["sh", "-c", "echo one; echo oops >&2; exit 12"]
WHOLE = Answer(12, "one\n", "oops\n")


def a_frame(limit: int = 1000) -> Frame:
    return Frame(COMMAND, limit, MARK)


def said() -> tuple[bytes, bytes]:
    done = subprocess.run(a_frame().words, capture_output=True, check=True)
    return done.stdout, done.stderr


def test_an_answer_cut_at_any_byte_is_no_answer() -> None:
    out, err = said()
    for cut in range(len(out)):
        frame = a_frame()
        frame.feed(out[:cut], err)
        assert not frame.is_complete
        for is_over in (False, True):
            with pytest.raises(Unreachable):
                frame.answer("there", is_over)
    frame = a_frame()
    frame.feed(out, err)
    assert frame.is_complete
    assert frame.answer("there", is_over=False) == WHOLE


def test_an_error_output_cut_at_any_byte_is_no_answer_either() -> None:
    out, err = said()
    for cut in range(len(err)):
        frame = a_frame()
        frame.feed(out, err[:cut])
        with pytest.raises(Unreachable):
            frame.answer("there", is_over=False)


def test_bytes_may_come_one_by_one() -> None:
    out, err = said()
    frame = a_frame()
    for byte in out:
        frame.feed(out=bytes([byte]))
    for byte in err:
        frame.feed(err=bytes([byte]))
    assert frame.answer("there", is_over=False) == WHOLE


def test_what_stands_around_the_marks_is_not_part_of_the_answer() -> None:
    out, err = said()
    frame = a_frame()
    frame.feed(b"Welcome! no newline" + out + b"logout\n", b"\x1b[31mwarning" + err + b"bye")
    assert frame.answer("there", is_over=False) == WHOLE


def test_the_end_mark_of_another_command_ends_nothing() -> None:
    frame = Frame(["true"], 1000, MARK)
    frame.feed(f"{MARK}:begin\n0ther:end:0\n{MARK}:end:x\n".encode())
    with pytest.raises(Unreachable):
        frame.answer("there", is_over=True)


def test_every_command_has_a_mark_of_its_own() -> None:
    assert len({Frame(["true"], 1).words[4] for _ in range(100)}) == 100


def test_a_login_shell_that_runs_nothing_is_quoted() -> None:
    frame = a_frame()
    frame.feed(b"This account is currently not available.\n")
    with pytest.raises(Unreachable, match=r"there did not run .* is currently not available"):
        frame.answer("there", is_over=True)


def test_noise_is_bounded_too() -> None:
    frame = a_frame(limit=10)
    frame.feed(b"x" * NOISE)
    with pytest.raises(Unreachable, match="longer"):
        frame.feed(b"x" * 100)


def test_the_script_survives_every_login_shell() -> None:
    assert SCRIPT.isascii()
    assert not set("!'\\\n") & set(SCRIPT)
