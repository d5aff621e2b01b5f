"""A file is written anew whole or not at all, by one at a time, as what it was."""

import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripthut.config.writing import digest, put, replace_text, why_not
from scripthut.core.errors import Conflict, HutError, Refused

NOBODY = 65534


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "scripthut.yaml"
    file.write_text("a: 1\n")
    file.chmod(0o640)
    return file


def test_mode_and_owner_stay_and_the_former_text_stands_beside_it(file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file, NOBODY, NOBODY)
    owner = file.stat().st_uid, file.stat().st_gid
    replace_text(file, "a: 2\n", digest("a: 1\n"))
    assert file.read_text() == "a: 2\n"
    former = file.with_name("scripthut.yaml.before")
    assert former.read_text() == "a: 1\n"
    for one in (file, former):
        assert stat.S_IMODE(one.stat().st_mode) == 0o640
        assert (one.stat().st_uid, one.stat().st_gid) == owner
    assert sorted(p.name for p in file.parent.iterdir()) == [file.name, former.name]


def test_what_changed_meanwhile_is_not_written_over(file: Path) -> None:
    known = digest(file.read_text())
    file.write_text("a: by hand\n")
    with pytest.raises(Conflict, match="changed by somebody else"):
        replace_text(file, "a: 2\n", known)
    assert file.read_text() == "a: by hand\n"


def test_of_two_editors_one_wins(file: Path) -> None:
    known = digest(file.read_text())

    def save(n: int) -> str:
        try:
            replace_text(file, f"a: {n}\n", known)  # none is what was there
        except HutError as error:
            return type(error).__name__
        return "written"

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(save, range(2, 10)))
    assert sorted(said) == ["Conflict"] * 7 + ["written"]
    assert file.read_text() == f"a: {said.index('written') + 2}\n"


def test_a_link_is_followed_and_stays_one(file: Path, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "scripthut.yaml"
    link.symlink_to(file)
    replace_text(link, "a: 2\n", digest("a: 1\n"))
    assert link.is_symlink() and file.read_text() == "a: 2\n"
    assert [p.name for p in link.parent.iterdir()] == ["scripthut.yaml"]


def test_a_write_that_fails_leaves_what_was_there(file: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        put(file, "a: \ud800", file)
    assert [p.name for p in file.parent.iterdir()] == [file.name]
    assert file.read_text() == "a: 1\n"


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    assert why_not(tmp_path) == "is no file"
    with pytest.raises(Refused, match="is no file"):
        replace_text(tmp_path, "", "")


def test_a_file_that_cannot_be_held_is_said(file: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # as with too many connections
    try:
        with pytest.raises(Refused, match="cannot be held"):
            replace_text(file, "a: 2\n", digest("a: 1\n"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert file.read_text() == "a: 1\n"
