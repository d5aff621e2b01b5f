"""The section `sources`: what may stand in it, and what is wrong by place."""

from pathlib import Path

import pytest

from scripthut.config import GitSource, PathSource, parse
from scripthut.core.errors import Invalid

GIT = {"type": "git", "name": "study", "url": "git@forge.example:group/study.git"}
PATH = {"type": "path", "name": "scratch", "path": "~/study", "backend": "here"}


def parsed(*sources: object) -> list[GitSource | PathSource]:
    return parse(
        {"backends": [{"type": "local", "name": "here"}], "sources": list(sources)}
    ).sources


def test_a_git_source_needs_a_name_and_an_address() -> None:
    (found,) = parsed(GIT)
    assert isinstance(found, GitSource)
    assert (found.branch, found.workflows_glob) == ("main", ".hut/workflows/*.json")
    assert (found.clone_dir, found.postclone, found.workspace) == (None, None, "shared")
    assert (found.deploy_key, found.max_concurrent, found.backend) == (None, None, None)


def test_a_path_source_needs_a_directory_and_its_backend() -> None:
    (found,) = parsed(PATH)
    assert isinstance(found, PathSource)
    assert (found.path, found.backend, found.description) == ("~/study", "here", "")


def test_copies_stand_in_the_data_directory_unless_said_otherwise() -> None:
    assert parse({"settings": {"data_dir": "/d"}}).sources_dir == Path("/d/sources")
    assert parse({"settings": {"sources_cache_dir": "/c"}}).sources_dir == Path("/c")


WRONG = {
    "sources[0].backend: 'mars' is not one of here": {**GIT, "backend": "mars"},
    "sources[0].url: is not an address of a repository": {**GIT, "url": "ext::sh -c id"},
    "sources[0].url: begins with a dash": {**GIT, "url": "--upload-pack=id"},
    "sources[0].url: has a host that begins with a dash": {
        **GIT,
        "url": "ssh://git@-oProxy=id/x",
    },
    "sources[0].branch: '--help' cannot be the name": {**GIT, "branch": "--help"},
    "sources[0].workflows_glob: must be relative": {**GIT, "workflows_glob": "../*.json"},
    "sources[0].name: 'a/b' cannot be a name": {**GIT, "name": "a/b"},
    "sources[0].workspace: 'mine' is not one of": {**GIT, "workspace": "mine"},
    "sources[0].clone_dir: must be an absolute path": {**GIT, "clone_dir": "clones"},
    "sources[0].path: must be an absolute path": {**PATH, "path": "study"},
    "sources[0].backend: is required": {k: v for k, v in PATH.items() if k != "backend"},
    "sources[0].postclon: is not a known key: did you mean postclone?": {**GIT, "postclon": "x"},
}


@pytest.mark.parametrize(("says", "source"), WRONG.items(), ids=lambda _: "")
def test_what_is_wrong_is_named_by_its_place(says: str, source: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refusal:
        parsed(source)
    assert refusal.value.problems[0].startswith(says)


def test_a_name_is_used_once() -> None:
    with pytest.raises(Invalid, match="sources: the name 'study' is used twice"):
        parsed(GIT, GIT)
