"""A whole scripthut.yaml, and how plain data become one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator

from scripthut.config import later
from scripthut.config.backends import AnyBackend, Local
from scripthut.config.env import EnvGroups, EnvRules
from scripthut.config.later import LaterBackend
from scripthut.config.notifications import AnyChannel
from scripthut.config.part import Part
from scripthut.config.settings import Settings
from scripthut.config.sources import AnySource
from scripthut.config.words import Loc, bare, place, say
from scripthut.core.errors import Invalid
from scripthut.core.workflow.rules import Layer
from scripthut.core.workflow.spec import TaskSpec

LATER = tuple(later.SECTIONS)

Where = Callable[[Loc], tuple[str, str]]
"""A place in the whole -> how it is called where it stands, and where that is, ` (line 4)`."""


class Config(Part):
    """A whole scripthut.yaml."""

    backends: list[AnyBackend] = []
    sources: list[AnySource] = []
    env: EnvRules = []
    env_groups: EnvGroups = {}
    notifications: list[AnyChannel] = []
    settings: Settings = Settings()
    later: Mapping[str, object] = {}  # the sections of LATER, as they were read
    later_backends: list[LaterBackend] = []

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _unique("backends", (one.name for one in (*self.backends, *self.later_backends)))
        _unique("sources", (one.name for one in self.sources))
        _unique("notifications", (one.name for one in self.notifications))
        return self

    @model_validator(mode="after")
    def _backends_of_sources_exist(self) -> Self:
        names = [one.name for one in (*self.backends, *self.later_backends)]
        for n, one in enumerate(self.sources):
            if one.backend is not None and one.backend not in names:
                raise ValueError(
                    f"sources[{n}].backend: {one.backend!r} is not one of {', '.join(names)}"
                )
        return self

    def layers(self, backend: str) -> tuple[Layer, ...]:
        """The environment rules of a backend and of the server, in their order."""
        own = [
            Layer(f"backend:{one.name}", one.env, one.env_groups)
            for one in self.backends
            if one.name == backend
        ]
        return (*own, Layer("server", self.env, self.env_groups))

    def beyond(self, backend: str, tasks: Sequence[TaskSpec]) -> list[str]:
        """Sentences for what tasks ask for, and this machine does not have."""
        local = (one for one in self.backends if one.name == backend and isinstance(one, Local))
        return [sentence for one in local for sentence in one.beyond(tasks)]

    def unusable(self, backend: str | None) -> str | None:
        """Why nothing can run on a backend that is kept; None: it can, or there is none."""
        kept = (one for one in self.later_backends if one.name == backend)
        said = [f"{one.name} is kept, but {later.BACKENDS[one.type]}" for one in kept]
        return said[0] if said else None

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

    @property
    def site_url(self) -> str | None:
        """How people reach the pages; None: nobody said, and the port is not known before."""
        settings = self.settings
        if settings.site_url or not settings.server_port:
            return settings.site_url
        host = f"[{settings.server_host}]" if ":" in settings.server_host else settings.server_host
        return f"http://{host}:{settings.server_port}"

    @property
    def notes(self) -> list[str]:
        """One sentence about each thing that is read and not used by this version."""
        settings = [k for k in later.SETTINGS if getattr(self.settings, k) is not None]
        return later.notes(self.later, self.later_backends, settings)


def plainly(loc: Loc) -> tuple[str, str]:
    """The place alone, for data of which nobody knows where they stand."""
    return place(loc), ""


def parse(data: object, what: str = "the configuration", where: Where = plainly) -> Config:
    """Make a Config of plain data; without backends, there is one named `local`.

    Invalid names every problem by its place.
    """
    if not isinstance(data, Mapping):
        raise Invalid(what, ["must be a mapping with keys like `backends` and `settings`"])
    ours = [str(key) for key in data if not str(key).startswith("x-")]  # x-: for anchors
    now: dict[str, object] = {key: data[key] for key in ours if key not in LATER}
    now["later"] = {k: v for k, v in data.items() if k in LATER and v is not None}
    for reserved in ("later", "later_backends"):
        if reserved in data:
            raise Invalid(what, [f"{reserved}: is not a known key"])
    entries = now.get("backends") or [{"type": "local", "name": "local"}]
    places = {}
    if isinstance(entries, list):
        usable = [n for n, entry in enumerate(entries) if not later.is_later(entry)]
        places = dict(enumerate(usable))
        now["later_backends"] = [entry for entry in entries if later.is_later(entry)]
        entries = [entries[n] for n in usable]
    now["backends"] = entries
    for section in ("sources", "env", "env_groups", "notifications", "settings"):
        if now.get(section, "") is None:
            del now[section]  # a section with nothing in it
    try:
        return Config.model_validate(now)
    except ValidationError as error:
        raise Invalid(what, [_problem(dict(e), places, where) for e in error.errors()]) from None


def _problem(error: dict[str, object], places: Mapping[int, int], where: Where) -> str:
    loc = error["loc"]
    loc = bare(loc) if isinstance(loc, tuple) else ()
    if loc[:1] == ("backends",) and len(loc) > 1 and isinstance(loc[1], int):
        loc = ("backends", places.get(loc[1], loc[1]), *loc[2:])
    named, origin = where(loc)
    return f"{named}: {say(error, Config)}{origin}" if loc else say(error, Config)


def _unique(section: str, names: Iterable[str]) -> None:
    known: set[str] = set()
    for name in names:
        if name in known:
            raise ValueError(f"{section}: the name {name!r} is used twice")
        known.add(name)
