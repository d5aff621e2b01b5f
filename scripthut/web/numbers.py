"""Numbers in addresses: none is larger than a database holds, and programs hear of wrong ones."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import IntegerConverter
from werkzeug.utils import cached_property

from scripthut.core.errors import Refused

# Of rows and versions: PostgreSQL's INTEGER has one number more; asking for another is an error.
MOST = 2**31 - 2
MOST_BYTES = 2**53 - 2
LONGEST = 200  # characters that are searched for
BYTES = frozenset({"at", "from", "length", "seen", "start", "tail"})  # places in files, and sizes
LEAST: Mapping[str, int] = {"limit": 1, "length": 1, "since": -1}  # of the others 0


def number(text: str, most: int) -> int:
    """A whole number as near to the one that is written as can be asked for."""
    if len(text) > 1000:
        raise ValueError("too long for a number")
    return min(max(int(text), -most), most)


def _reader(key: str, type: Callable[[str], Any] | None) -> Any:
    """What reads an argument: a number in the bounds of its kind."""
    return partial(number, most=MOST_BYTES if key in BYTES else MOST) if type is int else type


class Numbers(ImmutableMultiDict[str, str]):
    """An address's arguments, whose numbers are held in bounds."""

    def get(  # type: ignore[override]
        self, key: str, default: Any = None, type: Callable[[str], Any] | None = None
    ) -> Any:
        return super().get(key, default, _reader(key, type))

    def getlist(self, key: str, type: Callable[[str], Any] | None = None) -> list[Any]:
        return super().getlist(key, _reader(key, type))


class ToldNumbers(Numbers):
    """The same for programs: what is no such number is refused instead of left out."""

    def get(  # type: ignore[override]
        self, key: str, default: Any = None, type: Callable[[str], Any] | None = None
    ) -> Any:
        text = super().get(key, "")
        if type is not int or not text:
            return super().get(key, default, type)
        least = LEAST.get(key, 0)
        try:
            found = _reader(key, int)(text)
        except ValueError:
            found = least - 1
        if found < least:
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            raise Refused(f"{key}={shown} is not a whole number of at least {least}.")
        return found


class Asked(Request):
    """A request whose arguments are read so."""

    @cached_property
    def args(self) -> ImmutableMultiDict[str, str]:
        kind = ToldNumbers if self.path.startswith("/api/") else Numbers
        return kind(super().args)


class Number(IntegerConverter):
    """`<int:…>` of an address, in the same bounds: what is not there is said to be not there."""

    def to_python(self, value: str) -> int:
        return MOST if len(value) > 15 else min(int(value), MOST)
