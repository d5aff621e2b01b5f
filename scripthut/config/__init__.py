"""scripthut.yaml -> typed settings; errors name the path: `backends[0].ssh.host`."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self

import yaml
from pydantic import ValidationError, model_validator

from scripthut.config.backends import PBS, SSH, AnyBackend, Local, Slurm
from scripthut.config.env import EnvGroups, EnvRule, EnvRules
from scripthut.config.part import Part
from scripthut.config.settings import LOOPBACK, Outputs, Settings
from scripthut.config.sources import AnySource, GitSource, PathSource
from scripthut.config.words import place, say
from scripthut.core.errors import Invalid

__all__ = [
    "LATER",
    "LOOPBACK",
    "PBS",
    "SSH",
    "AnyBackend",
    "AnySource",
    "Config",
    "EnvGroups",
    "EnvRule",
    "EnvRules",
    "GitSource",
    "Local",
    "Outputs",
    "PathSource",
    "Settings",
    "Slurm",
    "load",
    "parse",
    "poll_interval",
]

# Sections of later versions: read, kept, and named once at start-up, never an error.
LATER = ("stacks", "agent", "pricing", "cache")


class Config(Part):
    """A whole scripthut.yaml."""

    backends: list[AnyBackend] = []
    sources: list[AnySource] = []
    env: EnvRules = []
    env_groups: EnvGroups = {}
    settings: Settings = Settings()
    later: Mapping[str, object] = {}  # the sections of LATER, as they were read

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _unique("backends", (one.name for one in self.backends))
        _unique("sources", (one.name for one in self.sources))
        return self

    @model_validator(mode="after")
    def _backends_of_sources_exist(self) -> Self:
        names = [one.name for one in self.backends]
        for n, one in enumerate(self.sources):
            if one.backend is not None and one.backend not in names:
                raise ValueError(
                    f"sources[{n}].backend: {one.backend!r} is not one of {', '.join(names)}"
                )
        return self

    @property
    def data_dir(self) -> Path:
        """Where the server keeps its database and what it collected; absolute."""
        return self.settings.data_dir.expanduser().absolute()

    @property
    def sources_dir(self) -> Path:
        """Where the server keeps its copies of repositories; absolute."""
        place = self.settings.sources_cache_dir or self.data_dir / "sources"
        return place.expanduser().absolute()

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.settings.database_url or f"sqlite:///{self.data_dir / 'scripthut.db'}"


def load(path: Path) -> Config:
    """Read a configuration file. Invalid names every problem by its place."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(str(path), [f"cannot be read: {error.strerror}"]) from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(str(path), [f"is not YAML: {error}"]) from error
    return parse({} if data is None else data, str(path))


def parse(data: object, what: str = "the configuration") -> Config:
    """Make a Config of plain data; without backends, there is one named `local`."""
    if not isinstance(data, dict):
        raise Invalid(what, ["must be a mapping with keys like `backends` and `settings`"])
    now = {str(k): v for k, v in data.items() if k not in LATER}
    now["later"] = {k: v for k, v in data.items() if k in LATER}
    if not now.get("backends"):
        now["backends"] = [{"type": "local", "name": "local"}]
    try:
        return Config.model_validate(now)
    except ValidationError as error:
        raise Invalid(what, [f"{place(e['loc'])}: {say(e)}" for e in error.errors()]) from None


def poll_interval(config: Config) -> timedelta:
    """The slowest pace at which a backend is asked."""
    return timedelta(seconds=config.settings.poll_interval)


def _unique(section: str, names: Iterable[str]) -> None:
    known: set[str] = set()
    for name in names:
        if name in known:
            raise ValueError(f"{section}: the name {name!r} is used twice")
        known.add(name)
