"""Which configuration file holds, and what is said about a wrong one."""

from pathlib import Path

import pytest

from scripthut.cli.configuration import settle, where
from scripthut.config import Where
from scripthut.core.errors import Invalid


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SCRIPTHUT_CONFIG", raising=False)


def test_the_named_file_is_taken_even_when_it_is_missing(tmp_path: Path) -> None:
    touch(tmp_path / "scripthut.yaml")
    named = tmp_path / "other.yaml"
    assert where(named).files() == (named,)
    with pytest.raises(Invalid, match="there is nothing of that name"):
        settle(named)


def test_the_variable_names_a_file_when_the_command_line_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTHUT_CONFIG", "x.yaml")
    assert where(None).files() == (tmp_path / "x.yaml",)
    assert where(Path("y.yaml")).files() == (tmp_path / "y.yaml",)


def test_the_nearest_file_above_is_the_projects(tmp_path: Path) -> None:
    above = touch(tmp_path / "work/scripthut.yml")
    here = tmp_path / "work/a/b"
    here.mkdir(parents=True)
    assert Where(None, here, tmp_path / "home").files() == (above,)
    nearer = touch(here / "scripthut.yaml")
    assert Where(None, here, tmp_path / "home").files() == (nearer,)


def test_yaml_is_tried_before_yml(tmp_path: Path) -> None:
    touch(tmp_path / "scripthut.yml")
    yaml = touch(tmp_path / "scripthut.yaml")
    assert where(None).files() == (yaml,)


def test_a_directory_of_that_name_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "scripthut.yaml").mkdir()
    assert where(None).files() == ()


def test_without_a_file_this_machine_is_the_only_backend() -> None:
    assert [(b.type, b.name) for b in settle(None).config.backends] == [("local", "local")]
