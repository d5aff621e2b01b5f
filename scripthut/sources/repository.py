"""A git source of the configuration: its newest commit, its workflows, a commit packed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scripthut.config import GitSource
from scripthut.core import globs
from scripthut.core.errors import NotFound, Refused
from scripthut.core.workflow.workflows import OVERLAY
from scripthut.sources.archive import Archive, forget_old, pack
from scripthut.sources.clone import Clone, Commit
from scripthut.sources.git import Access, Git
from scripthut.sources.keys import private

MOST = 500  # workflows of a source
_DIRTY = "-dirty."


@dataclass(frozen=True)
class Repository:
    """A git source; `cache` holds the copies of all of them.

    What the server's own disk does not let it do is Refused, too.
    """

    part: GitSource
    cache: Path

    def newest(self, ref: str | None = None) -> Commit:
        """The newest commit of a branch, a tag, or of what is configured. Unreachable; Refused."""
        with self._on_disk():
            if ref is None and self.part.local_path is not None:
                return self._clone().adopt(self.part.local_path)
            return self._clone().fetch(ref or self.part.branch)

    def kept(self) -> Commit | None:
        """The commit that was brought last for what is configured; None: none was."""
        with self._on_disk():
            return self._clone().kept(self.part.branch)

    def paths(self, commit: Commit) -> Sequence[str]:
        """The workflows of a commit, by path."""
        pattern = globs.pattern(self.part.workflows_glob)
        with self._on_disk():
            found = sorted(p for p in self._clone().files(commit.sha) if pattern.fullmatch(p))
        return [path for path in found if path.isprintable()]

    def read(self, commit: Commit, paths: Sequence[str]) -> Mapping[str, bytes]:
        """What files of a commit hold, and its own configuration if it has one."""
        with self._on_disk():
            return self._clone().read(commit.sha, [*paths, OVERLAY])

    def packed(self, label: str, ref: str) -> Archive:
        """A commit, by its label, as a file. Unreachable; Refused."""
        with self._on_disk():
            clone = self._clone()
            sha = label.partition(_DIRTY)[2] or label
            found = clone.known(sha)
            commit = clone.commit(found, ref) if found else clone.fetch(sha)
            archives = self._place("archives")
            forget_old(archives)
            return pack(clone, commit, self.part.submodules, archives)

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """A full disk, or a directory of somebody else's, is a sentence."""
        try:
            yield
        except OSError as error:
            raise Refused(
                f"The server cannot work with its copy of {self.part.name} in {self.cache}: "
                f"{error}. Look whether the disk is full, and whose the directory is."
            ) from error

    def _clone(self) -> Clone:
        part, key = self.part, None
        if part.deploy_key is not None:
            key = private(part.deploy_key, self.cache / "keys", quote(part.name, safe=""))
        hosts = part.known_hosts.expanduser() if part.known_hosts else None
        return Clone(Git(Access(part.url, key, hosts)), self._place("git"))

    def _place(self, kind: str) -> Path:
        return self.cache / f"{quote(self.part.name, safe='')}.{kind}"


def label_of(commit: Commit) -> str:
    """What a run says of its commit: the id; for a changed working copy, the one it stands on.

    The beginning of the commit that was made of the changes follows, so that it is found again.
    """
    return f"{commit.base}{_DIRTY}{commit.sha[:12]}" if commit.base else commit.sha


def git_source(parts: Sequence[object], name: str) -> GitSource:
    """A git source by its name; NotFound."""
    for part in parts:
        if isinstance(part, GitSource) and part.name == name:
            return part
    raise NotFound(f"The configuration has no git source {name!r} any more.")
