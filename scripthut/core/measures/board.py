"""A table of metrics: lines by names, of which a reader wishes some, in some order."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scripthut.core.measures.metrics import Value, number, spoken

COLUMNS = 60  # that a page shows
QUESTION = 300  # characters of a filter

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(
    r"""(?:"(?P<quoted>[^"]{1,120})"|(?P<name>[^\s"<>=!]{1,120}))\s*
    (?P<how><=|>=|!=|==?|<|>)\s*(?:"(?P<words>[^"]{0,200})"|(?P<value>[^\s"]{1,200}))""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Line:
    """A task or a run, what it is called, and what it measured."""

    key: str
    name: str
    state: str
    values: Mapping[str, Value]
    note: str | None = None


@dataclass(frozen=True)
class Wish:
    """A metric to sort by ("": the document's order), and words and conditions to filter by."""

    sort: str = ""
    descending: bool = False
    question: str = ""


@dataclass(frozen=True)
class Board:
    """The lines that were wished for. `unknown` are names in the question that no line has."""

    lines: Sequence[Line]
    names: Sequence[str]
    numeric: frozenset[str] = frozenset()
    unknown: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Condition:
    name: str
    how: str
    value: Value

    def holds(self, line: Line) -> bool:
        found = line.values.get(self.name)
        if found is None:
            return False
        mine, asked = number(found), number(self.value)
        if self.how in _OPERATORS:
            return mine is not None and asked is not None and _OPERATORS[self.how](mine, asked)
        is_same = mine == asked if None not in (mine, asked) else str(found) == str(self.value)
        return is_same is not (self.how == "!=")


def board(lines: Sequence[Line], wish: Wish) -> Board:
    """The lines that hold all words and conditions, sorted; names as they first occur.

    >>> rows = [Line(k, k, "", {"loss": v}) for k, v in (("a", 0.5), ("b", 0.2), ("c", 0.9))]
    >>> [line.key for line in board(rows, Wish("loss", question="loss<0.6")).lines]
    ['b', 'a']
    """
    names: dict[str, None] = {}
    for line in lines:
        names |= dict.fromkeys(line.values)
    conditions, words = _asked(wish.question[:QUESTION])
    found = [
        line
        for line in lines
        if all(c.holds(line) for c in conditions) and all(_has(line, word) for word in words)
    ]
    if wish.sort:
        found = _sorted(found, wish.sort, wish.descending)
    elif wish.descending:
        found.reverse()
    unknown = [c.name for c in conditions if c.name not in names]
    return Board(found, list(names), _numeric(lines, names), unknown)


def _asked(question: str) -> tuple[list[_Condition], list[str]]:
    conditions = [
        _Condition(m["quoted"] or m["name"], m["how"], spoken(m["words"] or m["value"] or ""))
        for m in _CONDITION.finditer(question)
    ]
    return conditions, _CONDITION.sub(" ", question).lower().split()


def _has(line: Line, word: str) -> bool:
    texts = [line.key, line.name, line.state, *(v for v in line.values.values() if v is not None)]
    return any(isinstance(text, str) and word in text.lower() for text in texts)


def _sorted(lines: Sequence[Line], name: str, descending: bool) -> list[Line]:
    """Numbers by size, then words; NaN, and lines without the metric, are last in both orders."""
    numbers: list[tuple[float, Line]] = []
    words: list[tuple[str, Line]] = []
    rest = []
    for line in lines:
        value = line.values.get(name)
        as_number = number(value)
        if as_number is not None and as_number == as_number:
            numbers.append((as_number, line))
        elif isinstance(value, str) and as_number is None:
            words.append((value.lower(), line))
        else:
            rest.append(line)
    numbers.sort(key=lambda pair: pair[0], reverse=descending)
    words.sort(key=lambda pair: pair[0], reverse=descending)
    return [*(line for _, line in numbers), *(line for _, line in words), *rest]


def _numeric(lines: Sequence[Line], names: Mapping[str, None]) -> frozenset[str]:
    """The names whose values are numbers wherever they occur."""
    words = {name for line in lines for name, v in line.values.items() if number(v) is None}
    return frozenset(names) - words
