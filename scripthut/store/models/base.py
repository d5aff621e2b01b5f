"""What all tables share: their base, and how times and words are kept."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, Index, MetaData, text
from sqlalchemy import DateTime as SADateTime
from sqlalchemy import Enum as SAEnum
from sqlalchemy import Text as SAText
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from scripthut.core.jobs import Area
from scripthut.core.states import State

NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime; kept as UTC, given back as UTC. A naive one is refused."""

    impl = SADateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse what has no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """SQLite forgets the zone; what went in was UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Text(TypeDecorator[str]):
    """A text of any length. What no database takes, a NUL or half a character, becomes U+FFFD.

    Machines say such things, and a sentence about one of them may repeat its words.
    """

    impl = SAText
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """Put a sign in the place of what cannot be kept."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return UNSTORABLE.sub("\ufffd", value)


def _words(of: type[StrEnum]) -> SAEnum:
    """A column of an enumeration's words, kept as plain text."""
    return SAEnum(
        of, native_enum=False, length=16, values_callable=lambda e: [member.value for member in e]
    )


class Base(DeclarativeBase):
    """All tables' base."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UTCDateTime(),
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[dict[str, Any]]: JSON,
        State: _words(State),
        Area: _words(Area),
    }


def where(name: str, column: str, only: str) -> Index:
    """An index of those rows alone that a condition holds for."""
    return Index(name, column, sqlite_where=text(only), postgresql_where=text(only))
