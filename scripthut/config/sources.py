"""Where workflows come from: a git repository, or a directory on a backend."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from scripthut.config.part import Part
from scripthut.core import globs
from scripthut.core.refs import check_ref, check_url

GLOB = ".hut/workflows/*.json"


def _name(name: str) -> str:
    if "/" in name or not name.isprintable() or name in (".", ".."):
        raise ValueError(f"{name!r} cannot be a name: leave out slashes and control characters")
    return name


def _absolute(path: str) -> str:
    if not path.startswith(("/", "~/")) and path != "~":
        raise ValueError("must be an absolute path, or begin with ~/")
    return path


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_name)]
Glob = Annotated[str, Field(min_length=1), AfterValidator(globs.check)]
Absolute = Annotated[str, AfterValidator(_absolute)]


class GitSource(Part):
    """A repository: copied here to find its workflows, and pushed to the backend to run them."""

    type: Literal["git"]
    name: Name
    url: Annotated[str, AfterValidator(check_url)]
    branch: Annotated[str, AfterValidator(check_ref)] = "main"  # or a tag, or a commit
    deploy_key: Path | None = None
    known_hosts: Path | None = None  # None: the user's own and the machine's
    local_path: Path | None = None  # a working copy on this machine, run as it stands
    workflows_glob: Glob = GLOB
    clone_dir: Absolute | None = None  # on the backend; None: the backend's own
    workspace: Literal["shared", "run"] = "shared"  # a folder of a commit, or of each run
    submodules: bool = True
    postclone: str | None = None  # bash, run in a new folder
    keep_commits: int | None = Field(None, ge=1)  # folders on a backend; None: all
    keep_days: int | None = Field(None, ge=1)  # since a run last used one; None: for ever
    max_concurrent: int | None = Field(None, ge=1)
    description: str = ""
    backend: str | None = None  # where it runs when nobody says


class PathSource(Part):
    """A directory on a backend."""

    type: Literal["path"]
    name: Name
    path: Absolute
    backend: str
    workflows_glob: Glob = GLOB
    max_concurrent: int | None = Field(None, ge=1)
    description: str = ""


AnySource = Annotated[GitSource | PathSource, Field(discriminator="type")]
