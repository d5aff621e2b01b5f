"""What a backend's cycle does for sources and for the disk: directories of commits, what goes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from scripthut.backends.base import Backend
from scripthut.backends.node_work import Found
from scripthut.config import Live, PathSource
from scripthut.core.errors import HutError, Invalid, Unreachable
from scripthut.core.workflow.workflows import OVERLAY, Workflow, look, overlay
from scripthut.engine.base import Hands
from scripthut.engine.commits.placing import place
from scripthut.engine.commits.retiring import hold, retire
from scripthut.engine.commits.serving import Kitchen, Material, refuse, serve
from scripthut.engine.disk import tend
from scripthut.engine.tries import Tries
from scripthut.store import source_orders, sources
from scripthut.store.making.create import Source
from scripthut.store.models import SourceOrder
from scripthut.store.source_orders import What
from scripthut.store.sources import Look

RETIRE = timedelta(hours=1)  # between two looks for directories in use, and for those that are not


@dataclass(frozen=True)
class Upkeep:
    """The sources of a configuration, as the cycles of its backends see to them."""

    live: Live
    backend: Callable[[str], Backend | None]  # the one of a name, if there is
    homes: dict[str, PurePosixPath] = field(default_factory=dict)  # of those that have answered
    retired: dict[str, datetime] = field(default_factory=dict)  # when old directories last went
    held: dict[str, datetime] = field(default_factory=dict)  # when those in use were last held
    tries: Tries = field(default_factory=Tries)  # of disks that do not answer

    @property
    def caps(self) -> Mapping[str, int]:
        """How many tasks of a source may be live on one backend at once, where it is limited."""
        parts = self.live.config.sources
        return {one.name: one.max_concurrent for one in parts if one.max_concurrent is not None}

    def run(self, hands: Hands, now: datetime) -> int:
        """Do what is to be done on one backend; how many things were."""
        config = self.live.config
        name = hands.backend.name
        if name not in self.held or self.held[name] < now - RETIRE:
            hold(hands, now)  # of a backend or a source that leaves, too: jobs are still there
            self.held[name] = now
        if not config.sources:
            return 0
        if all(one.name != name for one in config.backends):
            return 0  # it leaves, and nothing more begins there
        parts = [p for p in config.sources if isinstance(p, PathSource) and p.backend == name]
        with hands.reading() as session:
            orders = source_orders.to_do(session, [part.name for part in parts])
        for part in parts:
            own = [order for order in orders if order.source == part.name]
            if own:
                self._look(hands, part, own, now)
        done = place(hands, config, now) + len(orders)
        if name not in self.retired or self.retired[name] < now - RETIRE:
            retire(hands, config, now)
            self.retired[name] = now
        if done or name not in self.homes:
            self.homes[name] = hands.backend.home()
        return done

    def tend(self, hands: Hands, now: datetime) -> int:
        """Do what is asked of a backend's disk, once it has answered; how many things."""
        return tend(hands, self.live.config, self.tries, now)

    def _look(
        self, hands: Hands, part: PathSource, orders: list[SourceOrder], now: datetime
    ) -> None:
        """Look at a directory, in one command, and serve what is asked of it."""
        try:
            self.homes[hands.backend.name] = hands.backend.home()
            found = hands.backend.find(part.path, part.workflows_glob, [OVERLAY])
        except HutError as error:
            with hands.writing() as session:
                sources.failed(session, part.name, part.type, str(error), now)
            for order in orders:
                refuse(hands.writing, order, [str(error)], now)
            if isinstance(error, Unreachable):
                raise
            return
        files = {path: data for path, data in found.files.items() if path != OVERLAY}
        self._write(hands, part, found, files, now)
        material = self._material(hands, part, found, files)
        kitchen = Kitchen(self.live.config, hands.writing, self.backend, self.homes)
        for order in orders:
            if order.what != What.SYNC:
                serve(kitchen, order, material, now)
                continue
            with hands.writing() as session:
                source_orders.serve(session, order.id, now)

    def _write(
        self,
        hands: Hands,
        part: PathSource,
        found: Found,
        files: Mapping[str, bytes],
        now: datetime,
    ) -> None:
        listed = [look(path, data) for path, data in files.items()]
        listed += [Workflow(path, problem=f"{path}: {why}") for path, why in found.problems.items()]
        notice, own = found.notice, found.files.get(OVERLAY)
        try:
            overlay(part.name, own)
        except Invalid as error:
            notice = str(error)
        with hands.writing() as session:
            sources.looked(
                session, part.name, part.type, Look(listed, notice=notice, overlay=own), now
            )

    def _material(
        self, hands: Hands, part: PathSource, found: Found, files: Mapping[str, bytes]
    ) -> Material:
        folder = part.path.replace("~", str(hands.backend.home()), 1)
        return Material(
            source=Source(name=part.name),
            glob=part.workflows_glob,
            paths=tuple(files),
            read=lambda path: {p: d for p, d in found.files.items() if p in (path, OVERLAY)},
            folder=folder if part.path.startswith("~") else part.path,
        )
