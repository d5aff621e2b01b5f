"""The mark of a directory: what it says of a maker that lives, that died, and of another one's."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from scripthut.backends.sent import place as node_place
from scripthut.backends.sent.apart import DEAD
from scripthut.backends.sent.drop import drop, hold
from scripthut.backends.sent.place import Where, step


@pytest.fixture
def wish(tmp_path: Path) -> dict[str, object]:
    return {"root": str(tmp_path), "name": "n", "archive": None, "size": 0, "data": "", "offset": 0}


def mark(wish: dict[str, object], text: str, age: float) -> Path:
    where = Where(wish)
    file = Path(where.mark)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    then = file.stat().st_mtime - age
    os.utime(file, (then, then))
    return file


def test_a_maker_that_shows_signs_of_life_is_waited_for(wish: dict[str, object]) -> None:
    file = mark(wish, "", age=DEAD - 10)
    Path(Where(wish).log).write_text("first\nlast line\n")
    assert step(Where(wish), wish) == {"placed": "working", "why": "last line"}
    assert file.exists()


def test_a_maker_that_died_is_not_waited_for(wish: dict[str, object]) -> None:
    """Its machine went down in the middle: nothing says how far it came, so all is made anew."""
    file = mark(wish, "", age=DEAD + 10)
    assert step(Where(wish), wish)["placed"] == "wanted"
    assert not file.exists()


@pytest.mark.parametrize("age", [0, 10**6])
def test_a_directory_that_is_marked_is_used_however_old(wish: dict[str, object], age: int) -> None:
    mark(wish, json.dumps({"is": "ready"}), age)
    assert step(Where(wish), wish)["placed"] == "wanted"  # somebody has deleted it
    mark(wish, json.dumps({"is": "ready"}), age)
    Path(Where(wish).final).mkdir()
    assert step(Where(wish), wish) == {"placed": "ready"}


def test_a_failure_is_told_once_and_then_tried_again(wish: dict[str, object]) -> None:
    mark(wish, json.dumps({"is": "failed", "why": "no make"}), 0)
    assert step(Where(wish), wish) == {"placed": "failed", "why": "no make"}
    assert step(Where(wish), wish)["placed"] == "wanted"


def test_of_two_that_begin_one_is_the_maker(wish: dict[str, object]) -> None:
    where = Where(wish)
    Path(where.hidden).mkdir()
    assert node_place.begin(where)
    assert not node_place.begin(where)


@pytest.mark.parametrize("why", [None, "postclone ended with exit code 1"])
def test_a_maker_that_slept_and_was_taken_for_dead_leaves_what_another_made(
    wish: dict[str, object], tmp_path: Path, why: str | None
) -> None:
    """A file system that hangs for a minute is enough; jobs may be in the other's by then."""
    wish = {**wish, "archive": "a" * 64, "postclone": None, "keep": True}
    sleeper, other = Where(wish), Where(wish)
    Path(sleeper.hidden).mkdir()
    (tmp_path / "x.txt").write_text("the sleeper's")
    with tarfile.open(sleeper.archive, "w:gz") as tar:
        tar.add(tmp_path / "x.txt", "x.txt")
    assert node_place.begin(sleeper)
    os.utime(sleeper.mark, (0, 0))
    assert node_place.read_mark(other) is None
    assert node_place.begin(other)
    assert node_place.make(other, wish) is None
    node_place.end(other, wish, None)
    (Path(other.final) / "x.txt").write_text("a job's")

    assert node_place.make(sleeper, wish) is None
    node_place.end(sleeper, wish, why)

    assert (Path(other.final) / "x.txt").read_text() == "a job's"
    assert step(Where(wish), wish) == {"placed": "ready"}
    assert not list(Path(sleeper.hidden).glob("*.new"))


@pytest.mark.parametrize("is_made", [True, False])
def test_pieces_that_another_server_took_meanwhile_fail_nothing(
    wish: dict[str, object], is_made: bool
) -> None:
    """It brings the same commit: it has made the archive of them, or found that they make none."""
    where = Where({**wish, "archive": "a" * 64})
    Path(where.hidden).mkdir()
    if is_made:
        Path(where.archive).write_bytes(b"whole")
    assert node_place.is_whole(where, "a" * 64) is is_made


def test_a_root_that_cannot_be_made_fails_in_words(wish: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[dict[str, object]] = []
    node_place.place({**wish, "root": str(tmp_path / "file" / "x")}, told.append)
    (record,) = told
    assert record["placed"] == "failed"
    assert "Not a directory" in str(record["why"])


def test_a_directory_that_is_held_is_not_dropped(wish: dict[str, object]) -> None:
    mark(wish, json.dumps({"is": "ready"}), age=10**6)
    Path(Where(wish).final).mkdir()
    hold([{"root": wish["root"], "name": "never there"}, wish])
    assert drop(Where(wish), idle=3600) == "another server uses it, or has lately"
    assert Path(Where(wish).final).is_dir()
