"""Backends as the pages show them: what the engine last knew of each, and whether it acts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from sqlalchemy import select
from sqlalchemy.orm import Session

from scripthut.store.lease import leader
from scripthut.store.machines import pauses
from scripthut.store.machines.pauses import Kind
from scripthut.store.models import BackendRow, PauseRow


@dataclass(frozen=True)
class Health:
    """Whether a run can go on: its backend, as last known, and whether an engine acts."""

    backend: BackendRow | None  # None: no engine has asked it anything yet
    has_engine: bool
    pause: PauseRow | None = None  # None: it is not paused

    @property
    def is_failing(self) -> bool:
        return self.backend is not None and self.backend.failing_since is not None

    @property
    def mark(self) -> str:
        """A short fingerprint of what the page says about it."""
        b = self.backend
        said = (b.failing_since, b.message, b.notice) if b else ()
        return mark(self.has_engine, said, self.pause.at if self.pause else None)


def mark(has_engine: bool, said: tuple[object, ...], paused_at: datetime | None) -> str:
    """The fingerprint of whether an engine acts, of what is said of a backend, and its pause."""
    return f"{crc32(repr((has_engine, said, paused_at)).encode()):08x}"


def every(session: Session) -> Sequence[BackendRow]:
    """All backends that an engine has asked, by name."""
    return session.scalars(select(BackendRow).order_by(BackendRow.name)).all()


def health(session: Session, name: str) -> Health:
    """What can be said about a backend now."""
    pause = pauses.of(session, Kind.BACKEND, name)
    return Health(session.get(BackendRow, name), leader(session) is not None, pause)
