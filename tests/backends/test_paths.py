"""Every hostile tree of payloads/paths.json on a real disk, through a real look and a real fetch.

What happens to a tree while it is read is in test_node.py; what the web answers to a path, in
tests/web/test_outputs.py.
"""

# Paths are bytes here, and go through os:
# ruff: noqa: PTH101, PTH103, PTH118, PTH120, PTH123, PTH211

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from scripthut.backends.local import LocalBackend
from scripthut.core.jobs import Job, Observation, OutputLimits, Watch
from tests.backends.conftest import Place

CASES = json.loads((Path(__file__).parents[1] / "payloads" / "paths.json").read_text("utf-8"))
MIB = 1024 * 1024
MANY = 1000  # what a million would cost is bounded in test_node.py
CANARY = b"CANARY of another user"
Op = Mapping[str, object]


def literal(payload: str) -> bytes:
    return unquote_to_bytes(payload.partition("?")[0].partition("#")[0])


def is_a_name(case: Mapping[str, str]) -> bool:
    """Whether a file below the directory can be called so."""
    name = literal(case["payload"])
    parts = name.split(b"/")
    odd = {b"", b".", b".."} & set(parts)
    return bool(name) and not odd and b"\0" not in name and max(map(len, parts)) < 256


def is_still(case: Mapping[str, object]) -> bool:
    ops = case.get("setup") or []
    assert isinstance(ops, list)
    return not {op["op"] for op in ops} & {"race", "fault"}


TREES = [c for c in CASES if c.get("setup") and is_still(c)]
NAMES = [c for c in CASES if not c.get("setup") and "serve" in c["expectation"] and is_a_name(c)]


class Tree:
    """A task's output directory among what it must not reach."""

    def __init__(self, job: Job, outside: Path) -> None:
        self.out, self.fragment = Path(job.paths.outputs), Path(job.paths.fragment)
        self.outside = outside
        outside.mkdir()
        (outside / "secret.txt").write_bytes(CANARY)
        for place in (self.out, self.fragment.parent, self.out.parent / "T2"):
            place.mkdir(parents=True)
        (self.out.parent / "T2" / "secret.txt").write_bytes(CANARY)

    def path(self, op: Op) -> bytes:
        return os.path.join(os.fsencode(self.out), unquote_to_bytes(str(op["path"])))

    def target(self, op: Op) -> str:
        words = {"$SECRETDIR": self.outside, "$SECRET": self.outside / "secret.txt"}
        words |= {"$OUT": self.out, "$HOME": Path.home()}
        text = str(op["target"])
        for word, place in words.items():
            text = text.replace(word, str(place))
        return text

    def file(self, op: Op) -> None:
        data = unquote_to_bytes(str(op.get("content", "")))
        size = op.get("size")
        path = self.path(op)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
            if isinstance(size, int):
                try:
                    file.truncate(size)
                except OSError:  # larger than a disk may have it
                    file.truncate(2**40)
        if isinstance(when := op.get("mtime"), int):
            os.utime(path, (when, when))
        if isinstance(mode := op.get("mode"), int):
            os.chmod(path, mode)

    def many(self, op: Op) -> None:
        for n in range(min(MANY, int(str(op["n"])))):
            (self.out / (str(op["pattern"]) % n)).write_bytes(b"x")

    def deep(self, op: Op) -> None:
        here = os.open(self.out, os.O_RDONLY)
        for _ in range(int(str(op["n"]))):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)

    def many_directories(self, op: Op) -> None:
        for n in range(min(MANY, int(str(op["n"])))):
            (self.out / f"d{n}").mkdir()

    def many_large(self, op: Op) -> None:
        for n in range(int(str(op["n"]))):
            with (self.out / f"large{n}").open("wb") as file:
                file.truncate(int(str(op["size"])))

    def socket(self, op: Op) -> None:
        os.chdir(self.out)  # the name of a socket must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(op["path"]))

    def replace_out(self, op: Op) -> None:
        self.out.rmdir()
        self.out.symlink_to(self.target(op))

    def replace_parent(self, op: Op) -> None:
        self.out.parent.rename(self.outside.with_name("moved"))
        self.out.parent.symlink_to(self.target(op))

    def file_instead(self, _op: Op) -> None:
        self.out.rmdir()
        self.out.write_bytes(b"x")

    def link(self, op: Op) -> None:
        os.symlink(os.fsencode(self.target(op)), self.path(op))

    def mode(self, op: Op) -> None:
        os.chmod(self.path(op), int(str(op["mode"])))


def _mkdir(tree: Tree, op: Op) -> None:
    os.makedirs(tree.path(op), exist_ok=True)


MAKERS: Mapping[str, Callable[[Tree, Op], None]] = {
    "file": Tree.file,
    "sparse": Tree.file,
    "asset": Tree.file,  # what it holds is a matter of how it is shown
    "many": Tree.many,
    "sparse-many": Tree.many_large,
    "mkdir": _mkdir,
    "manydirs": Tree.many_directories,
    "deep": Tree.deep,
    "chmod": Tree.mode,
    "symlink": Tree.link,
    "symlink-abs": lambda tree, op: tree.fragment.symlink_to(tree.target(op)),
    "hardlink": lambda tree, op: os.link(tree.target(op), tree.path(op)),
    "fifo": lambda tree, op: os.mkfifo(tree.path(op)),
    "socket": Tree.socket,
    "mknod-c": lambda tree, op: os.mknod(tree.path(op), 0o20666, os.makedev(1, 5)),
    "replace-out": Tree.replace_out,
    "replace-parent": Tree.replace_parent,
    "out-is-file": Tree.file_instead,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    command = tmp_path / "bin" / "TOUCH_MARK"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\n: >'{tmp_path}/mark'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    limits = OutputLimits(file_bytes=10 * MIB, listed=300)
    yield Place(LocalBackend("here", limits), lambda limits: LocalBackend("here", limits))
    subprocess.run(["rm", "-rf", str(tmp_path / "home")], check=True)  # too deep for pytest's own


def seen_and_fetched(place: Place, job: Job) -> tuple[Observation, dict[bytes, bytes]]:
    seen = place.backend.observe([Watch(job, live=False)])
    listed = seen.listings[job.token].files
    got = {file.path: data for file, data in place.backend.fetch([(job, f) for f in listed])}
    got |= {path: data for (_, _, path), data in seen.contents.items()}
    return seen, got


@pytest.mark.parametrize("case", TREES, ids=lambda c: c["name"])
def test_nothing_of_a_hostile_tree_is_followed(
    here: Place, tmp_path: Path, case: Mapping[str, object]
) -> None:
    job = here.job(0, "true")
    tree = Tree(job, tmp_path / "outside")
    ops = case["setup"]
    assert isinstance(ops, list)
    if case["class"] == "listing":
        here.reopen(OutputLimits(file_bytes=5 * MIB))
    for op in ops:
        if op["op"] == "mknod-c" and os.geteuid() != 0:
            pytest.skip("needs root")
        if op["op"] == "hardlink" and os.geteuid() == 0 and "$SECRET" in op["target"]:
            os.chown(tree.outside / "secret.txt", 1, 1)  # another user's
        MAKERS[str(op["op"])](tree, op)

    seen, got = seen_and_fetched(here, job)

    assert [path for path, data in got.items() if CANARY in data or b"root:x:" in data] == []
    assert not (tmp_path / "mark").exists()
    made = {op.get("path"): op for op in ops if op["op"] == "file"}
    own = made.get(case["payload"])
    if case["expectation"] == "serve" and own is not None:
        path = unquote_to_bytes(str(own["path"]))
        assert got[path].startswith(unquote_to_bytes(str(own.get("content", ""))))
    if case["expectation"] == "refuse-large":
        (file,) = seen.listings[job.token].files
        assert "larger than the limit" in str(file.note)
        assert got == {}


@pytest.mark.parametrize("case", NAMES, ids=lambda c: c["name"])
def test_a_file_of_any_name_is_listed_and_fetched(
    here: Place, tmp_path: Path, case: Mapping[str, str]
) -> None:
    job = here.job(0, "true")
    tree = Tree(job, tmp_path / "outside")
    name = literal(case["payload"])
    path = os.path.join(os.fsencode(tree.out), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(b"INSIDE")

    _, got = seen_and_fetched(here, job)

    assert got == {name: b"INSIDE"}
    assert not (tmp_path / "mark").exists()
