"""Where workflows come from: a git repository, or a directory on a backend."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from scripthut.config.part import Part

GLOB = ".hut/workflows/*.json"


class GitSource(Part):
    """A repository: cloned here to find its workflows, and on the backend to run them."""

    type: Literal["git"]
    name: str = Field(min_length=1)
    url: str = Field(min_length=1)
    branch: str = "main"
    deploy_key: Path | None = None
    workflows_glob: str = GLOB
    clone_dir: str = "~/scripthut-repos"  # on the backend
    postclone: str | None = None  # bash, run in a new clone
    max_concurrent: int | None = Field(None, ge=1)
    description: str = ""
    backend: str | None = None  # where it runs when nobody says


class PathSource(Part):
    """A directory on a backend."""

    type: Literal["path"]
    name: str = Field(min_length=1)
    path: str = Field(min_length=1)
    backend: str
    workflows_glob: str = GLOB
    max_concurrent: int | None = Field(None, ge=1)
    description: str = ""


AnySource = Annotated[GitSource | PathSource, Field(discriminator="type")]
