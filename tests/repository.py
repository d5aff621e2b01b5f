"""A real git repository that a test writes commits into."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scratch import scratch

WORKFLOW = {"tasks": [{"id": "hello", "command": "cat data.txt"}]}
WHO = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": "1700000000 +0000"}


@dataclass
class Repository:
    """A repository with a working tree. `owner`: the user it is given to after each change."""

    path: Path
    owner: str | None = None

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "-b", "main")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *words: str) -> str:
        """Run git in it."""
        trusting = self.path.parent / "trusting.gitconfig"
        trusting.write_text('[safe]\ndirectory = *\n[protocol "file"]\nallow = always\n')
        names = {f"GIT_{one}_{k}": v for one in ("AUTHOR", "COMMITTER") for k, v in WHO.items()}
        done = subprocess.run(
            ["git", *words],
            cwd=self.path,
            env={"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": str(trusting), **names},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, object] | None = None, *words: str) -> str:
        """Write files (JSON, unless they are text) and commit everything; the commit's id."""
        for name, content in (files or {}).items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content if isinstance(content, str) else json.dumps(content))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", *(words or ("-m", "A change")))
        if self.owner is not None:
            subprocess.run(["chown", "-R", self.owner, str(self.path)], check=True)
        return self.git("rev-parse", "HEAD")


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A directory that other users may read, unlike what pytest gives."""
    with scratch() as place:
        place.chmod(0o755)
        yield place
