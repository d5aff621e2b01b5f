"""The backends as configured: built, replaced when their section changes, let go when it is gone.

What a change does not reach is kept: a connection may have cost a person a second factor. A backend
that was taken out of the configuration is watched until nothing of it lives; nothing more is
submitted there.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from scripthut.backends import build
from scripthut.backends.base import Backend
from scripthut.config import AnyBackend, Config, Settings
from scripthut.config.backends import Local
from scripthut.engine.asking import Asker
from scripthut.engine.cycle import Cycle
from scripthut.engine.lead import Lead
from scripthut.engine.pace import Pace
from scripthut.engine.upkeep import Upkeep
from scripthut.store.files.kept import Kept

log = logging.getLogger(__name__)
BESIDE = frozenset({"max_concurrent", "prices", "env", "env_groups"})  # no cluster is built of it


@dataclass(frozen=True)
class Member:
    """One backend, and what acts on it."""

    part: AnyBackend
    backend: Backend
    cycle: Cycle
    pace: Pace
    reach: tuple[object, ...]  # what the backend was built of
    tuning: tuple[object, ...]  # the settings that its cycle and pace were made of
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
            self.members[name] = self._member(one.part, config.settings, one, one.is_leaving)

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
        elif one.reach != _reach(part, settings):
            one.backend.close()
            self.members[name] = self._member(part, settings)
            log.info("backend built anew backend=%s", name)
        elif one.is_leaving or one.part != part or one.tuning != _tuning(settings):
            self.members[name] = self._member(part, settings, one)
            log.info("backend goes on otherwise backend=%s", name)

    def _let_go(self, one: Member, settings: Settings, alive: Collection[str] | None) -> None:
        name = one.part.name
        if alive is not None and name not in alive:
            one.backend.close()
            del self.members[name]
            log.info("backend let go backend=%s", name)
        elif not one.is_leaving or one.tuning != _tuning(settings):
            log.info("backend leaves, watched until its tasks end backend=%s", name)
            self.members[name] = self._member(one.part, settings, one, is_leaving=True)

    def _member(
        self,
        part: AnyBackend,
        settings: Settings,
        former: Member | None = None,
        is_leaving: bool = False,
    ) -> Member:
        """A member with a backend of its own, or with the former one's."""
        if former is not None:
            backend, reach = former.backend, former.reach
            backend.ring.secret_names = frozenset(settings.secret_names)
        else:
            given = self._given.pop(part.name, None)
            backend = given or build(part, settings, Asker(self._lead, part.name))
            reach = _reach(part, settings)
        limits, names = settings.outputs.limits(), frozenset(settings.secret_names)
        hands = self._lead.hands(backend, self._kept, limits, names, part.type)
        if isinstance(part, Local):
            hands = replace(hands, beyond=part.beyond)
        cycle = Cycle(hands, part.type, 0 if is_leaving else part.max_concurrent, self._upkeep)
        quick = 0.5 if part.type == "local" else 2.0
        pace = Pace(quick, float(settings.poll_interval))
        return Member(part, backend, cycle, pace, reach, _tuning(settings), is_leaving)


def _reach(part: AnyBackend, settings: Settings) -> tuple[object, ...]:
    """What a backend is built of. This machine's has room for as many jobs as may run at once."""
    beside = BESIDE if part.type != "local" else BESIDE - {"max_concurrent"}
    return part.model_dump(exclude=set(beside)), settings.outputs.limits()


def _tuning(settings: Settings) -> tuple[object, ...]:
    """What of the settings goes into a cycle and its pace."""
    return settings.outputs, settings.secret_names, settings.poll_interval
