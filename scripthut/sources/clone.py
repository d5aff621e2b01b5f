"""The server's copy of a repository: what its workflows are read from, kept across restarts.

It is bare and shallow: one commit of whatever was asked for, so a force-push is nothing special,
and a repository of any age costs what its files cost. A remote that is down leaves it as it is.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from scripthut.core.errors import Refused
from scripthut.core.refs import ABBREVIATED, COMMIT, check_ref, shown
from scripthut.sources.git import NETWORK_SECONDS, Git

LARGEST = 64 * 1024 * 1024  # bytes of a document that is read
_OURS = "refs/scripthut"
_URL = "scripthut-url"  # a file in the copy: of which repository it is
_HEADS, _TAGS, _COMMITS = (f"{_OURS}/{kind}/" for kind in ("heads", "tags", "commits"))
_KINDS = {_HEADS: "refs/heads/", _TAGS: "refs/tags/"}  # where we keep it: what it is there
_BROKEN = re.compile(
    r"not a git repository|\.lock'|corrupt|bad object|unable to read|invalid object|missing blob|"
    r"is not a valid object|shallow file has changed",
    re.I,
)
_FORMAT = "%H%x00%ct%x00%s"


@dataclass(frozen=True)
class Commit:
    """A commit, and under which name it was asked for."""

    sha: str
    ref: str  # branch, tag or commit; the branch that is checked out for a working copy
    at: datetime
    subject: str
    is_branch: bool = False
    base: str | None = None  # of a working copy with changes: the commit that was changed


class Clone:
    """One repository's copy in a directory of its own. Any thread; they take turns."""

    def __init__(self, git: Git, place: Path) -> None:
        """`place` is made when first needed."""
        self.git = git
        self.place = place
        url = git.access.url
        self.url = str(Path(url).expanduser()) if url.startswith("~") else url

    def fetch(self, ref: str) -> Commit:
        """Bring the newest commit of a branch or tag, or a commit. Unreachable; Refused."""
        check_ref(ref)
        with self._alone():
            self._make()
            try:
                return self._fetch(ref)
            except Refused as error:
                if not _BROKEN.search(str(error)):
                    raise
            shutil.rmtree(self.place)  # a copy that a crash broke is made anew
            self._make()
            return self._fetch(ref)

    def kept(self, ref: str) -> Commit | None:
        """The commit that was brought last under a name; None: none was."""
        if not self.place.is_dir():
            return None
        for kind in (*_KINDS, _COMMITS):
            try:
                return self._commit(self._resolve(f"{kind}{ref}"), ref, kind == _HEADS)
            except Refused:
                continue
        return None

    def known(self, sha: str) -> str | None:
        """A commit's whole id, from its beginning; None when it is not here."""
        try:
            return self._resolve(sha) if (self.place / "HEAD").exists() else None
        except Refused:
            return None

    def commit(self, sha: str, ref: str) -> Commit:
        """A commit that is here; `ref` counts as a branch where it is one of those brought."""
        return self._commit(sha, ref, self.known(f"{_HEADS}{ref}") is not None)

    def files(self, sha: str) -> Sequence[str]:
        """The paths of all files of a commit; names that are not UTF-8 are left out."""
        listed = self._run("ls-tree", "-r", "-z", "--full-tree", sha)
        found = []
        for entry in listed.split(b"\0"):
            head, _, path = entry.partition(b"\t")
            if head.startswith((b"100644", b"100755")):
                try:
                    found.append(path.decode())
                except UnicodeDecodeError:
                    continue
        return found

    def read(self, sha: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """The contents of files of a commit; those that are not there, or too large, are absent."""
        named = [path for path in paths if "\n" not in path]
        asked = "".join(f"{sha}:{path}\n" for path in named).encode()
        sizes = self._run("cat-file", "--batch-check", stdin=asked).splitlines()
        wanted = [p for p, size in zip(named, sizes, strict=True) if _is_small_blob(size)]
        asked = "".join(f"{sha}:{path}\n" for path in wanted).encode()
        return dict(zip(wanted, _blobs(self._run("cat-file", "--batch", stdin=asked)), strict=True))

    def adopt(self, working_copy: Path) -> Commit:
        """Make a commit of a working copy as it stands, files that git does not ignore included.

        Nothing is written into the working copy. Refused when it is none.
        """
        with self._alone():
            self._make()
            return self._adopt(working_copy.expanduser())

    def _adopt(self, there: Path) -> Commit:
        if not there.is_dir():
            raise Refused(f"The working copy {there} is not a directory of this machine.")
        git = self.git
        top = git.says("rev-parse", "--show-toplevel", cwd=there)
        head = git.says("rev-parse", "--verify", "HEAD^{commit}", cwd=there)
        objects = git.says(
            "rev-parse", "--path-format=absolute", "--git-path", "objects", cwd=there
        )
        own = self.place / "objects"
        (own / "info" / "alternates").write_text(f"{objects}\n")
        index = self.place / f"index.{os.getpid()}"
        extra = {
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": str(own),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        try:
            git.run("read-tree", head, cwd=Path(top), extra=extra)
            git.run("add", "--all", cwd=Path(top), extra=extra, timeout=NETWORK_SECONDS)
            tree = git.run("write-tree", cwd=Path(top), extra=extra).decode().strip()
        finally:
            index.unlink(missing_ok=True)
        branch = git.says("rev-parse", "--abbrev-ref", "HEAD", cwd=there)
        made = self._commit(head, branch, branch != "HEAD")
        if tree == self._run("rev-parse", f"{head}^{{tree}}").decode().strip():
            return made
        stamp = f"{int(made.at.timestamp())} +0000"
        who = {"NAME": "scripthut", "EMAIL": "scripthut@localhost", "DATE": stamp}
        names = {f"GIT_{one}_{key}": v for one in ("AUTHOR", "COMMITTER") for key, v in who.items()}
        words = ("commit-tree", tree, "-m", f"Changes on {made.subject}"[:200])
        sha = self.git.run(*self._here(), *words, extra=names).decode().strip()
        self._run("update-ref", f"{_OURS}/working-copy", sha)
        return replace(made, sha=sha, base=head)

    def _fetch(self, ref: str) -> Commit:
        """Bring what a name means: a branch, else a tag, else a commit."""
        for kind, there in self._there(ref).items():
            if self._points_at(f"{kind}{ref}") != there:
                self._bring(f"+{_KINDS[kind]}{ref}:{kind}{ref}")
            return self._commit(self._resolve(f"{kind}{ref}"), ref, kind == _HEADS)
        if COMMIT.fullmatch(ref):
            if not self._has(ref):
                self._bring(f"+{ref}:{_COMMITS}{ref}")
            return self._commit(ref, ref)
        if ABBREVIATED.fullmatch(ref):
            everything = [f"+{theirs}*:{_OURS}/all/{theirs}*" for theirs in _KINDS.values()]
            self._bring(*everything, depth=2**31 - 1)
            return self._commit(self._resolve(ref), ref)
        raise Refused(f"{shown(self.url)} has no branch or tag {ref!r}.")

    def _there(self, ref: str) -> Mapping[str, str]:
        """As what the remote has a name, the branch first, and at what each points."""
        wanted = [f"{theirs}{ref}" for theirs in _KINDS.values()]
        words = ("ls-remote", "--", self.url, *wanted)
        said = self.git.run(*words, timeout=NETWORK_SECONDS).decode("utf-8", "replace")
        named = [line.partition("\t") for line in said.splitlines()]
        there = {name: sha for sha, _, name in named}
        found = {kind: there.get(f"{theirs}{ref}") for kind, theirs in _KINDS.items()}
        return {kind: sha for kind, sha in found.items() if sha is not None}

    def _points_at(self, name: str) -> str | None:
        """At what a name of ours points, if what it leads to is here whole."""
        try:
            self._run("cat-file", "-e", f"{name}^{{tree}}")
            return self._run("rev-parse", "--verify", "--quiet", name).decode().strip()
        except Refused:
            return None

    def _bring(self, *refspecs: str, depth: int = 1) -> None:
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", f"--depth={depth}")
        self._run(*words, "--", self.url, *refspecs, timeout=NETWORK_SECONDS)

    def _has(self, sha: str) -> bool:
        try:
            self._run("cat-file", "-e", f"{sha}^{{commit}}")
        except Refused:
            return False
        return True

    def _resolve(self, name: str) -> str:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        try:
            return self._run(*words).decode().strip()
        except Refused as error:
            raise Refused(f"{shown(self.url)} has no commit {name!r}.") from error

    def _commit(self, sha: str, ref: str, is_branch: bool = False) -> Commit:
        said = self._run("log", "-1", f"--format={_FORMAT}", sha).decode("utf-8", "replace")
        whole, seconds, subject = said.strip().split("\0", 2)
        at = datetime.fromtimestamp(int(seconds), UTC)
        return Commit(whole, ref, at, subject, is_branch)

    def _here(self) -> tuple[str, str]:
        return "--git-dir", str(self.place)

    def _run(self, *words: str, stdin: bytes = b"", timeout: float = 60.0) -> bytes:
        return self.git.run(*self._here(), *words, stdin=stdin, timeout=timeout)

    def _make(self) -> None:
        """Make the empty copy, beside its place first: a half one is never found there.

        One of another repository, which had the name before, is no use.
        """
        told = self.place / _URL
        if (self.place / "HEAD").exists() and told.exists() and told.read_text() == self._told():
            return
        part = self.place.with_name(f"{self.place.name}.{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)
        self.git.run("init", "--quiet", "--bare", "--", str(part))
        shutil.rmtree(self.place, ignore_errors=True)
        part.rename(self.place)
        self._run("config", "uploadpack.allowAnySHA1InWant", "true")
        told.write_text(self._told())

    def _told(self) -> str:
        return shown(self.url)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process and one thread at a time, were there an engine that should have ended."""
        self.place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.place.with_name(f"{self.place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_small_blob(said: bytes) -> bool:
    words = said.split()
    return len(words) == 3 and words[1] == b"blob" and int(words[2]) <= LARGEST


def _blobs(told: bytes) -> Iterator[bytes]:
    """The contents in what `cat-file --batch` says: a line with the size, the bytes, a newline."""
    at = 0
    while at < len(told):
        end = told.index(b"\n", at)
        size = int(told[at:end].split()[2])
        yield told[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
