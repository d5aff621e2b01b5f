"""Whose turn it is first, from look to look: an answer may not have room for all."""

from collections.abc import Sequence
from typing import TypeVar

One = TypeVar("One")

STEP = 0.618034  # of the whole: begins everywhere before long, however many there are


class Turns:
    """Lets each of many begin in turn."""

    def __init__(self) -> None:
        """The first of all begins."""
        self._at = 0.0

    def next(self, some: Sequence[One]) -> list[One]:
        """The same ones, in their order, from another beginning."""
        first = int(self._at * len(some))
        self._at = (self._at + STEP) % 1
        return [*some[first:], *some[:first]]
