"""Text in lines: colours of terminals and of languages, and nothing that takes long."""

import time

import pytest

from scripthut.core.files.lines import LINES, WIDE, Lines, lines
from scripthut.core.files.source import tokens


def text(found: Lines) -> list[str]:
    return ["".join(part for _, part in line.parts) for line in found.lines]


def parts(data: bytes, path: str = "x.log") -> list[tuple[str, str]]:
    return lines(data, path).lines[0].parts


def test_lines_are_numbered_from_where_they_begin() -> None:
    found = lines(b"a\nb\n", "x.txt", first=41)

    assert [line.number for line in found.lines] == [41, 42]
    assert (text(found), found.after) == (["a", "b"], 4)


def test_colours_become_classes() -> None:
    assert parts(b"\x1b[1;31mbad\x1b[0m \x1b[92mgood\x1b[39m ok") == [
        ("fg1 bold", "bad"),
        ("", " "),
        ("fg10", "good"),
        ("", " ok"),
    ]


def test_other_colours_become_the_nearest() -> None:
    assert parts(b"\x1b[38;5;208mx") == [("fg3", "x")]
    assert parts(b"\x1b[38;2;250;10;10;1mx") == [("fg9 bold", "x")]
    assert parts(b"\x1b[48;5;232mx") == [("bg0", "x")]


def test_colours_go_on_in_the_next_line() -> None:
    assert lines(b"\x1b[32ma\nb\x1b[0m", "x.log").lines[1].parts == [("fg2", "b")]


def test_what_a_progress_bar_wrote_over_is_gone() -> None:
    assert text(lines(b"10%\r50%\r99%\r\ndone\r\n", "x.log")) == ["99%", "done"]


def test_other_escapes_are_gone() -> None:
    assert text(lines(b"\x1b]0;title\x07a\x1b[2Kb\x1b(Bc\x07\x00\x1b", "x.log")) == ["abc"]


def test_a_class_is_never_the_texts_own() -> None:
    found = lines(b'\x1b[31;"><script>m x \x1b[999;-1m y', "x.log").lines[0].parts

    assert {name for name, _ in found} <= {"", "fg1"}


def test_source_has_its_classes() -> None:
    assert tokens("a.py", 'if x == "a#b": # why\n') == [
        ("k", "if"),
        ("", " x == "),
        ("s", '"a#b"'),
        ("", ": "),
        ("c", "# why"),
        ("", "\n"),
    ]


def test_a_token_of_many_lines_is_coloured_in_each() -> None:
    found = lines(b'x = """one\ntwo"""\n', "a.py").lines

    assert found[0].parts[-1] == ("s", '"""one')
    assert found[1].parts == [("s", 'two"""')]


def test_a_long_line_is_cut_and_says_so() -> None:
    line = lines(b"x" * (WIDE + 7), "x.txt").lines[0]

    assert (len(line.parts[0][1]), line.cut) == (WIDE, 7)


def test_a_cut_line_is_left_for_the_next_piece() -> None:
    found = lines(b"one\ntwo\nthr", "x.txt", is_end=False)

    assert (text(found), found.after) == (["one", "two"], 8)


def test_a_page_has_so_many_lines() -> None:
    found = lines(b"x\n" * (LINES + 5), "x.txt")

    assert (len(found.lines), found.after) == (LINES, 2 * LINES)


SUFFIXES = "log py c sh jl lua js sql f90 yaml ini tex css diff"
PIECE = 512 * 1024
HOSTILE = {
    "quotes": b'"' * PIECE,
    "triple quotes": b'"""' * (PIECE // 3),
    "apostrophes": b"'a\\" * (PIECE // 3),
    "comments": b"/*" * (PIECE // 2),
    "stars": b"/*" + b"*" * PIECE,
    "brackets": b"--[[]" * (PIECE // 5),
    "digits": b"1" * PIECE,
    "points": b"1.1e" * (PIECE // 4),
    "underscores": b"0x_" * (PIECE // 3),
    "escapes": b"\x1b[31mx" * (PIECE // 6),
    "open escapes": b"\x1b[" * (PIECE // 2),
    "titles": b"\x1b]0;" * (PIECE // 4),
    "semicolons": b"\x1b[" + b";" * PIECE + b"m",
    "carriage returns": b"\r" * PIECE,
    "line ends": b"\n" * PIECE,
    "backslashes": b'"' + b"\\" * PIECE,
    "blanks": b" \t" * (PIECE // 2),
    "no text": bytes(range(256)) * (PIECE // 256),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_holds_a_worker(name: str) -> None:
    for path in map("x.{}".format, SUFFIXES.split()):
        start = time.process_time()
        lines(HOSTILE[name], path, is_end=False)
        lines(HOSTILE[name].replace(b"\n", b" ").replace(b"x", b"\n"), path)
        assert time.process_time() - start < 2, path
