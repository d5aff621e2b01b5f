"""Which configuration file holds, and what is said about a wrong one."""

from pathlib import Path

import pytest

from scripthut.cli.configuration import find, settle
from scripthut.core.errors import Invalid


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_the_named_file_is_taken_even_when_it_is_missing(tmp_path: Path) -> None:
    touch(tmp_path / "scripthut.yaml")
    named = tmp_path / "other.yaml"
    assert find(named, tmp_path, tmp_path) == named
    with pytest.raises(Invalid, match="cannot be read"):
        settle(named)


def test_the_nearest_file_above_wins_over_the_users_own(tmp_path: Path) -> None:
    own = touch(tmp_path / "home/.config/scripthut/scripthut.yaml")
    above = touch(tmp_path / "work/scripthut.yml")
    here = tmp_path / "work/a/b"
    here.mkdir(parents=True)
    assert find(None, here, tmp_path / "home") == above
    nearer = touch(here / "scripthut.yaml")
    assert find(None, here, tmp_path / "home") == nearer
    above.unlink()
    nearer.unlink()
    assert find(None, here, tmp_path / "home") == own


def test_yaml_is_tried_before_yml(tmp_path: Path) -> None:
    touch(tmp_path / "scripthut.yml")
    yaml = touch(tmp_path / "scripthut.yaml")
    assert find(None, tmp_path, tmp_path) == yaml


def test_a_directory_of_that_name_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "scripthut.yaml").mkdir()
    assert find(None, tmp_path, tmp_path / "home") is None


def test_without_a_file_this_machine_is_the_only_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [(b.type, b.name) for b in settle(None).backends] == [("local", "local")]
