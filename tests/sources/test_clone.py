"""The server's copy of a repository, against real repositories."""

import shutil
from pathlib import Path

import pytest

from scripthut.core.errors import Refused, Unreachable
from scripthut.sources.clone import Clone
from scripthut.sources.git import Access, Git
from tests.repository import WORKFLOW, Repository

PATH = ".hut/workflows/hello.json"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "theirs")
    made.commit({PATH: WORKFLOW, "data.txt": "1\n"})
    return made


@pytest.fixture
def clone(repository: Repository, tmp_path: Path) -> Clone:
    return Clone(Git(Access(repository.url)), tmp_path / "ours" / "copy")


def test_a_branch_is_brought_and_its_files_are_read(clone: Clone, repository: Repository) -> None:
    found = clone.fetch("main")
    assert (found.sha, found.ref) == (repository.git("rev-parse", "HEAD"), "main")
    assert sorted(clone.files(found.sha)) == [PATH, "data.txt"]
    assert clone.read(found.sha, ["data.txt", "absent", "a\nb"]) == {"data.txt": b"1\n"}


def test_a_force_push_is_followed(clone: Clone, repository: Repository) -> None:
    repository.commit({"data.txt": "2\n"})
    clone.fetch("main")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    forced = repository.commit({"data.txt": "3\n"})
    found = clone.fetch("main")
    assert found.sha == forced
    assert clone.read(forced, ["data.txt"]) == {"data.txt": b"3\n"}


def test_a_tag_a_commit_and_the_beginning_of_one_are_found(
    clone: Clone, repository: Repository
) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "-a", "v1", "-m", "one")
    repository.commit({"data.txt": "2\n"})
    assert clone.fetch("main").sha != first
    for name in ("v1", first, first[:10]):
        found = clone.fetch(name)
        assert (found.sha, found.ref, found.is_branch) == (first, name, False)


def test_a_branch_that_was_deleted_is_named_and_the_copy_stays(
    clone: Clone, repository: Repository
) -> None:
    repository.git("branch", "feature/x")
    kept = clone.fetch("feature/x")
    repository.git("branch", "-D", "feature/x")
    with pytest.raises(Refused, match="no branch or tag 'feature/x'"):
        clone.fetch("feature/x")
    assert clone.kept("feature/x") == kept
    assert clone.kept("never") is None


def test_a_remote_that_is_gone_leaves_the_copy(clone: Clone, repository: Repository) -> None:
    kept = clone.fetch("main")
    shutil.rmtree(repository.path)
    with pytest.raises(Refused, match="does not appear to be a git repository"):
        clone.fetch("main")
    assert clone.kept("main") == kept
    assert clone.read(kept.sha, ["data.txt"])


def test_a_remote_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    clone = Clone(Git(Access("ssh://git@127.0.0.1:9/x")), tmp_path / "copy")
    with pytest.raises(Unreachable, match="Connection refused"):
        clone.fetch("main")


@pytest.mark.parametrize("hurt", ["HEAD", "shallow.lock", "objects"])
def test_a_copy_that_a_crash_broke_is_made_anew(
    clone: Clone, repository: Repository, hurt: str
) -> None:
    clone.fetch("main")
    if hurt == "objects":
        shutil.rmtree(clone.place / hurt)
    elif hurt == "HEAD":
        (clone.place / hurt).write_text("")
    else:
        (clone.place / hurt).write_text("")
    second = repository.commit({"data.txt": "2\n"})
    assert clone.fetch("main").sha == second


def test_nothing_that_git_would_take_for_an_option_reaches_it(clone: Clone, tmp_path: Path) -> None:
    for name in ("--upload-pack=touch x", "-x", "a b", "a..b", "", "x^{commit}"):
        with pytest.raises(ValueError, match="cannot be the name"):
            clone.fetch(name)
    evil = Clone(Git(Access(f"ext::touch {tmp_path}/ran")), tmp_path / "evil")
    with pytest.raises(Refused, match="transport 'ext' not allowed"):
        evil.fetch("main")
    assert not (tmp_path / "ran").exists()


def test_a_working_copy_is_taken_as_it_stands(clone: Clone, repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    assert clone.adopt(repository.path).sha == head
    assert clone.adopt(repository.path).base is None
    (repository.path / "data.txt").write_text("changed\n")
    (repository.path / "new file.txt").write_text("new\n")
    (repository.path / ".gitignore").write_text("*.big\n")
    (repository.path / "x.big").write_text("ignored\n")
    before = repository.git("status", "--porcelain"), repository.git("count-objects")
    found = clone.adopt(repository.path)
    assert found.base == head
    assert found.ref == "main"
    assert clone.read(found.sha, ["data.txt", "new file.txt", "x.big"]) == {
        "data.txt": b"changed\n",
        "new file.txt": b"new\n",
    }
    assert clone.adopt(repository.path) == found  # the same content is the same commit
    assert (repository.git("status", "--porcelain"), repository.git("count-objects")) == before


def test_what_is_no_working_copy_is_refused(clone: Clone, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not a directory of this machine"):
        clone.adopt(tmp_path / "nowhere")
    (tmp_path / "plain").mkdir()
    with pytest.raises(Refused, match="not a git repository"):
        clone.adopt(tmp_path / "plain")
