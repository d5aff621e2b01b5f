"""Directories that hold a commit, on every kind of place: whole or not used."""

import hashlib
import io
import tarfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from scripthut.core.errors import Refused
from scripthut.core.folders import Folder, Placed, Stage
from tests.backends.conftest import Place


def packed(files: Mapping[str, str]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return whole.getvalue()


FILES = {".hut/workflows/a b.json": "[]", ".hut/workflows/deep/c.json": "{}", "x.txt": "é"}
ARCHIVE = packed(FILES)


@pytest.fixture
def folder(place: Place) -> Folder:
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    return Folder(f"~/clones {place.run_id}", "0123456789ab", digest, len(ARCHIVE))


def until_settled(place: Place, folder: Folder) -> Placed:
    deadline = time.monotonic() + 30
    while (placed := place.backend.place(folder)).stage is Stage.WORKING:
        assert time.monotonic() < deadline, placed
        time.sleep(0.05)
    return placed


def test_an_archive_comes_in_pieces_and_becomes_a_directory(place: Place, folder: Folder) -> None:
    unpacked = replace(folder, archive=None, size=0)
    assert place.backend.place(unpacked).stage is Stage.WANTED
    assert place.backend.place(folder, 0, ARCHIVE[:100]).offset == 100
    assert place.backend.place(folder, 0, ARCHIVE[:100]).offset == 100  # sent twice, taken once
    assert place.backend.place(folder).offset == 100  # after a crash: where to go on
    assert place.backend.place(folder, 100, ARCHIVE[100:]).stage is Stage.WORKING
    done = until_settled(place, folder)
    assert done.stage is Stage.READY
    assert done.path == str(place.backend.home() / folder.root[2:] / folder.name)
    found = place.backend.find(done.path, "**/*.json", ["x.txt", "absent"])
    assert found.files == {
        ".hut/workflows/a b.json": b"[]",
        ".hut/workflows/deep/c.json": b"{}",
        "x.txt": "é".encode(),
    }
    assert place.backend.place(unpacked) == done  # the next run of the commit asks only this


def test_pieces_that_do_not_make_the_archive_are_thrown_away(place: Place, folder: Folder) -> None:
    wrong = bytes(len(ARCHIVE))
    answer = place.backend.place(folder, 0, wrong)
    assert (answer.stage, answer.offset) == (Stage.WANTED, 0)
    place.backend.place(folder, 0, ARCHIVE)
    assert until_settled(place, folder).stage is Stage.READY


def test_postclone_runs_once_in_its_place(place: Place, folder: Folder) -> None:
    wish = replace(folder, postclone="pwd > where; echo once >> ../count\n# no newline at the end")
    place.backend.place(wish, 0, ARCHIVE)
    done = until_settled(place, wish)
    assert place.backend.place(wish).stage is Stage.READY
    found = place.backend.find(str(place.backend.home() / folder.root[2:]), "count", [])
    assert found.files == {"count": b"once\n"}
    assert place.backend.find(done.path, "where").files == {"where": f"{done.path}\n".encode()}


def test_a_directory_whose_postclone_failed_is_never_used(place: Place, folder: Folder) -> None:
    wish = replace(folder, postclone="echo no such module >&2; exit 3")
    place.backend.place(wish, 0, ARCHIVE)
    failed = until_settled(place, wish)
    assert failed.stage is Stage.FAILED
    assert failed.why == "postclone ended with exit code 3: no such module"
    with pytest.raises(Refused, match="is not a directory there"):
        place.backend.find(failed.path, "*")
    assert place.backend.place(wish).stage is Stage.WANTED  # who asks again wants a new attempt


def test_what_is_no_archive_fails_in_a_sentence(place: Place, folder: Folder) -> None:
    data = b"this is no archive"
    wish = replace(folder, archive=hashlib.sha256(data).hexdigest(), size=len(data))
    place.backend.place(wish, 0, data)
    failed = until_settled(place, wish)
    assert failed.why is not None
    assert failed.why.startswith("The repository cannot be unpacked: ")


def test_a_directory_that_is_not_ours_is_not_used(place: Place, folder: Folder) -> None:
    """One that was cut off before its mark was written, or that somebody else made."""
    half = replace(folder, name="half")
    place.backend.place(half, 0, ARCHIVE)
    path = until_settled(place, half).path
    place.until_ended(place.submit(place.job(0, f"rm '{path}/../.scripthut/half.state'")))
    assert place.backend.place(replace(half, archive=None)).stage is Stage.WANTED
    place.until_ended(place.submit(place.job(1, f"echo changed > '{path}/x.txt'")))
    place.backend.place(half, 0, ARCHIVE)
    assert until_settled(place, half).stage is Stage.READY
    assert place.backend.find(path, "x.txt").files == {"x.txt": "é".encode()}


def test_a_kept_archive_makes_a_directory_for_each_run(place: Place, folder: Folder) -> None:
    first = replace(folder, name="c-run-1", keep=True, postclone="echo 1 > own")
    second = replace(first, name="c-run-2", postclone="echo 2 > own")
    place.backend.place(first, 0, ARCHIVE)
    until_settled(place, first)
    assert place.backend.place(second).stage is Stage.WORKING  # nothing is sent again
    paths = [until_settled(place, each).path for each in (first, second)]
    owned = [place.backend.find(path, "own").files["own"] for path in paths]
    assert owned == [b"1\n", b"2\n"]


def test_a_directory_goes_whole_and_can_be_made_again(place: Place, folder: Folder) -> None:
    place.backend.place(folder, 0, ARCHIVE)
    path = until_settled(place, folder).path
    day, none = timedelta(days=1), timedelta(0)
    (why,) = place.backend.drop([folder], day)
    assert why == "another server uses it, or has lately"
    assert place.backend.find(path, "*.txt").files == {"x.txt": "é".encode()}
    never = replace(folder, name="of-nobody")
    assert place.backend.drop([folder, never], none) == [None, None]
    with pytest.raises(Refused):
        place.backend.find(path, "*.txt")
    deadline = time.monotonic() + 30
    while place.backend.find(f"{folder.root}/.scripthut", "**/*.txt").files:
        assert time.monotonic() < deadline, "what is out of sight is deleted"
        time.sleep(0.05)
    assert place.backend.place(replace(folder, archive=None, size=0)).stage is Stage.WANTED
    place.backend.place(folder, 0, ARCHIVE)
    assert until_settled(place, folder).stage is Stage.READY
