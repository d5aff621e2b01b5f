"""The configuration as it holds now: every process follows the files by their content.

A file that cannot be used changes nothing: what was read before goes on, and `problem` says why.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeAlias

from scripthut.config.file import Config
from scripthut.config.layers import Resolved, Where, fingerprint, resolve
from scripthut.core.errors import Invalid

LOOK = 1.0  # seconds between two looks at the files
PLACES = ("server_host", "server_port", "data_dir", "database_url")  # which one may not have
# What a process is made with; a new value holds once the processes have begun anew.
FIXED = (*PLACES, "workers", "threads", "engine", "trusted_proxies")

Admit: TypeAlias = Callable[[Config], Mapping[str, str]]
"""Says of a configuration which of its PLACES cannot be had, and why, in the end of a sentence."""


@dataclass(frozen=True)
class News:
    """What a look at the files found. `changed` and `restart` are words for people."""

    changed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()  # settings that hold once the processes have begun anew
    problem: Invalid | None = None


@dataclass
class Live:
    """A configuration that follows its files. For many threads."""

    config: Config
    generation: str = ""
    where: Where | None = None  # None: it never changes
    environment: Mapping[str, str] = field(default_factory=dict)
    has_files: bool = False
    news: News = field(default_factory=News)  # of the last change
    overridden: frozenset[str] = frozenset()  # settings of which the command line says another
    refused: Mapping[str, str] = field(default_factory=dict)  # what could not be had, and why
    _refused: str | None = None  # the text that could not be used, by its digest
    _fresh: str | None = None  # a text seen once: an editor may not have written all of it
    _looked: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, config: "Config | Live") -> "Live":
        """What was given, if it follows its files; else a configuration that never changes."""
        return config if isinstance(config, Live) else cls(config)

    @classmethod
    def begin(cls, found: Resolved, where: Where, environment: Mapping[str, str]) -> Self:
        """Follow the files from what was read of them."""
        return cls(found.config, found.digest, where, environment, bool(found.files))

    @property
    def problem(self) -> Invalid | None:
        """Why the files, as they are now, are not used; None: they are."""
        return self.news.problem

    def look(self, at_once: bool = False) -> News | None:
        """Look at the files, at most once a second; what is new, or None.

        A text is taken when two looks found the same, `at_once` when one did.
        """
        if self.where is None:
            return None
        with self._lock:
            now = time.monotonic()
            if not at_once and now < self._looked + LOOK:
                return None
            self._looked = now
            return self._look(self.where, at_once)

    def reread(self, admit: Admit) -> None:
        """Take the files as they are, for processes that begin anew; what is not admitted stays."""
        if self.where is None:
            return
        with self._lock:
            try:
                found = resolve(self.where, self.environment)
            except Invalid as error:
                self.news = News(self.news.changed, self.news.restart, error)
                return
            self.refused = admit(found.config)
            self._take(found, self.refused)

    def _look(self, where: Where, at_once: bool) -> News | None:
        try:
            seen = self._fingerprint(where)
            if seen == self.generation:
                return self._recovered()
            if seen == self._refused and not at_once:
                return None
            if seen != self._fresh and not at_once:
                self._fresh = seen
                return None
            found = resolve(where, self.environment)
        except Invalid as error:
            return self._broken(error, at_once)
        return self._take(found, FIXED)

    def _fingerprint(self, where: Where) -> str:
        if self.has_files and not where.files():
            problem = "there is none any more: what was read before goes on"
            raise Invalid("the configuration", [problem])
        return fingerprint(where, self.environment)

    def _broken(self, error: Invalid, at_once: bool) -> News | None:
        seen = self._fresh
        is_known = str(error) == str(self.problem)
        self._refused = seen
        if is_known and not at_once:
            return None
        self.news = News(self.news.changed, self.news.restart, error)
        return self.news

    def _recovered(self) -> News | None:
        """The files say again what holds."""
        self._fresh = self._refused = None
        if self.problem is None:
            return None
        self.news = News(("the file is as it was",), self.news.restart)
        return self.news

    def _take(self, found: Resolved, fixed: Iterable[str]) -> News:
        """Become what was found, but for the settings that this process cannot change any more."""
        old, new = self.config.settings, found.config.settings
        kept = {name: getattr(old, name) for name in fixed if name not in self.overridden}
        late = tuple(self._late(k) for k, v in kept.items() if v != getattr(new, k))
        settings = new.model_copy(update=kept)
        config = found.config.model_copy(update={"settings": settings})
        self.news = News(tuple(differences(self.config, config)), late)
        self.config, self.generation = config, found.digest
        self.has_files = bool(found.files)
        self._fresh = self._refused = None
        return self.news

    def _late(self, key: str) -> str:
        why = self.refused.get(key)
        return f"settings.{key} ({why})" if why else f"settings.{key}"


def differences(old: Config, new: Config) -> Iterable[str]:
    """What differs between two configurations, in words; values, which may be secret, are not said.

    >>> from scripthut.config.file import parse
    >>> local = {"type": "local", "name": "a", "max_concurrent": 1}
    >>> old = parse({"backends": [local], "settings": {"poll_interval": 5}})
    >>> new = parse({"backends": [{**local, "max_concurrent": 2}, {"type": "local", "name": "b"}]})
    >>> list(differences(old, new))
    ['backend a: max_concurrent', 'backend b: added', 'settings.poll_interval']
    """
    yield from _named("backend", _by_name(old.backends), _by_name(new.backends))
    yield from _named("source", _by_name(old.sources), _by_name(new.sources))
    for key in ("env", "env_groups"):
        if getattr(old, key) != getattr(new, key):
            yield key
    settings = old.settings.model_dump(), new.settings.model_dump()
    yield from (f"settings.{key}" for key in _differing(*settings))
    yield from _differing(old.later, new.later)


def _by_name(parts: Iterable[object]) -> dict[str, dict[str, object]]:
    found = [part.model_dump() for part in parts if hasattr(part, "model_dump")]
    return {str(one["name"]): one for one in found}


def _named(
    what: str, old: Mapping[str, dict[str, object]], new: Mapping[str, dict[str, object]]
) -> Iterable[str]:
    for name, one in old.items():
        if name not in new:
            yield f"{what} {name}: removed"
        elif one != new[name]:
            yield f"{what} {name}: {', '.join(_differing(one, new[name]))}"
    yield from (f"{what} {name}: added" for name in new if name not in old)


def _differing(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]
