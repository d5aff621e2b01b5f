"""Numbers in addresses: none is larger than a database holds, and programs hear of wrong ones."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import IntegerConverter
from werkzeug.utils import cached_property

from scripthut.core.errors import Refused

MOST = 2**53 - 1  # and one more of them is still no number too large
LEAST: Mapping[str, int] = {"limit": 1, "length": 1, "since": -1}  # of the others 0


def number(text: str) -> int:
    """A whole number as near to the one that is written as a database can hold."""
    if len(text) > 1000:
        raise ValueError("too long for a number")
    return min(max(int(text), -MOST), MOST)


class Numbers(ImmutableMultiDict[str, str]):
    """An address's arguments, whose numbers are held in bounds."""

    def get(  # type: ignore[override]
        self, key: str, default: Any = None, type: Callable[[str], Any] | None = None
    ) -> Any:
        return super().get(key, default, number if type is int else type)  # type: ignore[arg-type]

    def getlist(self, key: str, type: Callable[[str], Any] | None = None) -> list[Any]:
        return super().getlist(key, number if type is int else type)  # type: ignore[arg-type]


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
            found = number(text)
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
        return MOST if len(value) > 15 else int(value)
