"""A commit as one file that a backend can unpack: its tree, its submodules and a shallow `.git`.

The server has the commit already, so the cluster needs neither the internet, nor a key, nor git.
"""

import gzip
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripthut.core.errors import Refused
from scripthut.sources.clone import Clone, Commit
from scripthut.sources.git import NETWORK_SECONDS

KEEP = 7 * 24 * 3600.0  # seconds that an archive nobody asked for stays
PIECE = 1024 * 1024
_PASSWORD = re.compile(rb"(?<=://)[^/@\s]*@")


@dataclass(frozen=True)
class Archive:
    """A packed commit on the server's disk."""

    path: Path
    size: int
    sha256: str


def pack(clone: Clone, commit: Commit, submodules: bool, into: Path) -> Archive:
    """Pack a commit, or find the archive that holds it already. Unreachable; Refused."""
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    head = re.sub(r"[^A-Za-z0-9._-]", "_", commit.ref) if commit.is_branch else "detached"
    path = into / f"{commit.sha}-{head[:60]}{'' if submodules else '-plain'}.tar.gz"
    if not path.exists():
        with tempfile.TemporaryDirectory(prefix=".packing-", dir=into) as room:
            tree = Path(room) / "tree"
            _check_out(clone, commit, submodules, tree)
            whole = Path(room) / "whole.tar.gz"
            try:
                _write(tree, whole)
            except OSError as error:
                raise Refused(f"The repository cannot be packed: {error}.") from error
            whole.rename(path)
    os.utime(path)
    return Archive(path, path.stat().st_size, _digest(path))


def forget_old(into: Path) -> None:
    """Delete the archives that nobody asked for in a week before the newest one was."""
    times = {path: path.stat().st_mtime for path in into.glob("*.tar.gz")}
    newest = max(times.values(), default=0.0)
    for path, asked_at in times.items():
        if newest - asked_at > KEEP:
            path.unlink(missing_ok=True)


def _check_out(clone: Clone, commit: Commit, submodules: bool, tree: Path) -> None:
    git = clone.git
    git.run("init", "--quiet", "--", str(tree))
    words = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--")
    from_here = {"GIT_ALLOW_PROTOCOL": "file"}
    place = f"file://{clone.place}"
    refspec = f"+{commit.sha}:refs/remotes/origin/scripthut"
    git.run(*words, place, refspec, cwd=tree, extra=from_here, timeout=NETWORK_SECONDS)
    branch = ("-B", commit.ref) if commit.is_branch else ("--detach",)
    git.run("checkout", "--quiet", *branch, commit.sha, cwd=tree, timeout=NETWORK_SECONDS)
    git.run("remote", "add", "--", "origin", clone.url, cwd=tree)
    if submodules and (tree / ".gitmodules").is_file():
        update = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
        git.run(*update, cwd=tree, timeout=NETWORK_SECONDS)
    for config in (tree / ".git").rglob("config"):
        config.write_bytes(_PASSWORD.sub(b"", config.read_bytes()))
    shutil.rmtree(tree / ".git" / "hooks", ignore_errors=True)


def _write(tree: Path, to: Path) -> None:
    """Pack a directory; who owns its files here is nobody's business there."""

    def nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    with (
        gzip.open(to, "wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        tar.add(tree, arcname=".", filter=nobodys)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
