"""A commit as one file."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from scripthut.core.errors import Refused
from scripthut.sources.archive import forget_old, pack
from scripthut.sources.clone import Clone
from scripthut.sources.git import Access, Git
from tests.repository import Repository


def unpack(archive: Path, to: Path) -> Path:
    to.mkdir()
    with tarfile.open(archive) as tar:
        tar.extractall(to, filter="fully_trusted")
    return to


def status(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    library = Repository(tmp_path / "library")
    library.commit({"code.py": "x = 1\n"})
    made = Repository(tmp_path / "theirs")
    made.commit({"data.txt": "1\n", "bin/go": "#!/bin/sh\n"})
    (made.path / "bin" / "go").chmod(0o755)
    (made.path / "link").symlink_to("data.txt")
    made.git("submodule", "--quiet", "add", "../library", "lib")
    made.commit()
    return made


def test_an_archive_is_a_whole_repository_with_its_submodules(
    repository: Repository, tmp_path: Path
) -> None:
    clone = Clone(Git(Access(repository.url)), tmp_path / "copy")
    archive = pack(clone, clone.fetch("main"), True, tmp_path / "archives")
    tree = unpack(archive.path, tmp_path / "there")
    assert (tree / "lib" / "code.py").read_text() == "x = 1\n"
    assert (tree / "link").readlink() == Path("data.txt")
    assert (tree / "bin" / "go").stat().st_mode & 0o111
    assert status(tree, "rev-parse", "HEAD") == repository.git("rev-parse", "HEAD")
    assert status(tree, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert status(tree, "status", "--porcelain") == ""
    assert status(tree, "remote", "get-url", "origin") == repository.url
    assert archive.size == archive.path.stat().st_size
    again = pack(clone, clone.fetch("main"), True, tmp_path / "archives")
    assert again == archive


def test_submodules_can_be_left_out(repository: Repository, tmp_path: Path) -> None:
    clone = Clone(Git(Access(repository.url)), tmp_path / "copy")
    archive = pack(clone, clone.fetch("main"), False, tmp_path / "archives")
    assert list((unpack(archive.path, tmp_path / "there") / "lib").iterdir()) == []


def test_a_submodule_may_not_name_the_server_s_files(tmp_path: Path) -> None:
    secret = Repository(tmp_path / "secret")
    secret.commit({"secret.txt": "x"})
    evil = Repository(tmp_path / "evil")
    evil.git("submodule", "--quiet", "add", secret.url, "lib")
    evil.commit()
    clone = Clone(Git(Access("https://forge.example/evil")), tmp_path / "copy")
    Clone(Git(Access(evil.url)), tmp_path / "copy").fetch("main")  # as if it came from there
    found = clone.kept("main")
    assert found is not None
    with pytest.raises(Refused, match="transport 'file' not allowed"):
        pack(clone, found, True, tmp_path / "archives")


def test_no_password_travels_with_an_archive(repository: Repository, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    Clone(Git(Access(repository.url)), copy).fetch("main")
    clone = Clone(Git(Access("https://ada:secret@forge.example/x")), copy)
    found = clone.kept("main")
    assert found is not None
    archive = pack(clone, found, False, tmp_path / "archives")
    tree = unpack(archive.path, tmp_path / "there")
    assert status(tree, "remote", "get-url", "origin") == "https://forge.example/x"


def test_an_archive_that_nobody_asks_for_is_forgotten(
    repository: Repository, tmp_path: Path
) -> None:
    clone = Clone(Git(Access(repository.url)), tmp_path / "copy")
    archive = pack(clone, clone.fetch("main"), False, tmp_path / "archives")
    forget_old(tmp_path / "archives")
    assert archive.path.exists()
    asked_at = archive.path.stat().st_mtime
    os.utime(archive.path, (asked_at, asked_at - 8 * 24 * 3600))
    repository.commit({"data.txt": "2\n"})
    newer = pack(clone, clone.fetch("main"), False, tmp_path / "archives")
    forget_old(tmp_path / "archives")
    assert not archive.path.exists()
    assert newer.path.exists()
