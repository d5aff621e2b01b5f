"""A configuration that follows its files by their content."""

from pathlib import Path

import pytest

from scripthut.config import Live, Where, live, resolve
from scripthut.core.errors import Invalid

ONE = "backends: [{type: local, name: a}]\nsettings: {poll_interval: 30, server_port: 8001}\n"
TWO = ONE.replace("name: a", "name: b")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scripthut.yaml"
    path.write_text(ONE)
    return path


@pytest.fixture
def following(file: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    monkeypatch.setattr(live, "LOOK", 0.0)  # as if a second had passed between two looks
    where = Where(file, file.parent, file.parent)
    return Live.begin(resolve(where, {}), where, {})


def names(following: Live) -> list[str]:
    return [backend.name for backend in following.config.backends]


def test_a_changed_file_is_taken_when_two_looks_found_the_same(file: Path, following: Live) -> None:
    before = following.generation
    assert following.look() is None
    file.write_text("")  # an editor has opened it
    assert following.look() is None
    file.write_text(TWO)
    assert following.look() is None
    assert names(following) == ["a"]
    news = following.look()
    assert news is not None
    assert news.changed == ("backend a: removed", "backend b: added")
    assert names(following) == ["b"]
    assert following.generation not in ("", before)
    assert following.look() is None


def test_told_to_look_it_looks_once(file: Path, following: Live) -> None:
    file.write_text(TWO)
    assert following.look(at_once=True) is not None
    assert names(following) == ["b"]


def test_a_broken_file_changes_nothing_and_is_told_of_once(file: Path, following: Live) -> None:
    file.write_text(TWO + "bakends: []\n")
    assert following.look() is None
    news = following.look()
    assert news is not None
    assert news.problem is not None
    assert news.problem.problems == ["bakends: is not a known key: did you mean backends? (line 3)"]
    assert names(following) == ["a"]
    assert following.look() is None
    assert following.problem is news.problem
    file.write_text(ONE)
    news = following.look()
    assert news is not None
    assert following.problem is None


def test_a_file_that_vanishes_is_a_problem_and_not_an_empty_configuration(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK", 0.0)
    where = Where(None, file.parent, file.parent / "home")
    following = Live.begin(resolve(where, {}), where, {})
    file.unlink()
    following.look()
    following.look()
    assert isinstance(following.problem, Invalid)
    assert names(following) == ["a"]
    file.write_text(TWO)
    following.look()
    following.look()
    assert following.problem is None
    assert names(following) == ["b"]


def test_what_a_process_is_made_with_waits_for_its_next_start(file: Path, following: Live) -> None:
    file.write_text(ONE.replace("8001", "8002").replace("30", "40"))
    news = following.look(at_once=True)
    assert news is not None
    assert (news.changed, news.restart) == (
        ("settings.poll_interval",),
        ("settings.server_port",),
    )
    assert following.config.settings.server_port == 8001
    assert following.config.settings.poll_interval == 40


def test_a_configuration_without_files_never_changes() -> None:
    fixed = Live.of(resolve(Where(None, Path("/"), Path("/none")), {}).config)
    assert fixed.look(at_once=True) is None
    assert Live.of(fixed) is fixed
