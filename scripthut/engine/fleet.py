"""The backends as configured: built, replaced when their section changes, let go when it is gone.

A backend that was taken out of the configuration is watched until nothing of it lives; nothing
more is submitted there.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from scripthut.backends import build
from scripthut.backends.base import Backend
from scripthut.config import AnyBackend, Config, Settings
from scripthut.engine.asking import Asker
from scripthut.engine.cycle import Cycle
from scripthut.engine.lead import Lead
from scripthut.engine.pace import Pace
from scripthut.engine.upkeep import Upkeep
from scripthut.store.files.kept import Kept

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """One backend, and what acts on it."""

    part: AnyBackend
    backend: Backend
    cycle: Cycle
    pace: Pace
    reach: tuple[object, ...]  # the settings that it was built with
    is_leaving: bool = False


class Fleet:
    """All backends of one engine."""

    def __init__(
        self, lead: Lead, kept: Kept, given: Mapping[str, Backend], upkeep: Upkeep
    ) -> None:
        """`given` are backends that exist already, by name."""
        self._upkeep = upkeep
        self._lead = lead
        self._kept = kept
        self._given = dict(given)
        self.members: dict[str, Member] = {}

    def begin(self, config: Config, busy: Collection[str]) -> None:
        """Begin a leadership: nothing that was known in an earlier one counts."""
        self.follow(config, busy, None)
        for name, one in self.members.items():
            anew = self._member(one.part, config.settings, one.backend, one.is_leaving)
            self.members[name] = replace(anew, reach=one.reach)

    @property
    def is_leaving(self) -> bool:
        """Whether any backend is watched that the configuration no longer has."""
        return any(one.is_leaving for one in self.members.values())

    def follow(self, config: Config, busy: Collection[str], alive: Collection[str] | None) -> None:
        """Become what the configuration says; a backend that is busy now changes the next time.

        `alive`: the backends of which something lives or is to be collected; None: nobody knows.
        """
        wanted = {part.name: part for part in config.backends}
        for name in {**self.members, **wanted}:
            if name not in busy:
                self._settle(name, wanted.get(name), config.settings, alive)

    def close(self) -> None:
        """Leave all machines; one that hangs is not waited for."""
        for one in self.members.values():
            one.backend.close()

    def _settle(
        self,
        name: str,
        part: AnyBackend | None,
        settings: Settings,
        alive: Collection[str] | None,
    ) -> None:
        one = self.members.get(name)
        if part is None:
            if one is not None:
                self._let_go(one, settings, alive)
        elif one is None:
            self.members[name] = self._member(part, settings)
        elif one.is_leaving or one.part != part or one.reach != _reach(settings):
            one.backend.close()
            self.members[name] = self._member(part, settings)
            log.info("backend built anew backend=%s", name)

    def _let_go(self, one: Member, settings: Settings, alive: Collection[str] | None) -> None:
        name = one.part.name
        if alive is not None and name not in alive:
            one.backend.close()
            del self.members[name]
            log.info("backend let go backend=%s", name)
        elif not one.is_leaving:
            log.info("backend leaves, watched until its tasks end backend=%s", name)
            self.members[name] = self._member(one.part, settings, one.backend, is_leaving=True)

    def _member(
        self,
        part: AnyBackend,
        settings: Settings,
        backend: Backend | None = None,
        is_leaving: bool = False,
    ) -> Member:
        backend = (
            backend
            or self._given.pop(part.name, None)
            or build(part, settings, Asker(self._lead, part.name))
        )
        limits, names = settings.outputs.limits(), frozenset(settings.secret_names)
        hands = self._lead.hands(backend, self._kept, limits, names, part.type)
        cycle = Cycle(hands, part.type, 0 if is_leaving else part.max_concurrent, self._upkeep)
        quick = 0.5 if part.type == "local" else 2.0
        pace = Pace(quick, float(settings.poll_interval))
        return Member(part, backend, cycle, pace, _reach(settings), is_leaving)


def _reach(settings: Settings) -> tuple[object, ...]:
    """What of the settings goes into a backend."""
    return settings.outputs, settings.secret_names, settings.poll_interval
