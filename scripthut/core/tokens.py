"""Tokens: the words by which jobs are found again, alone or as elements of an array."""

import re
from collections.abc import Iterable

from scripthut.core.jobs import Token

ARRAY = 1000  # tasks of a run that may share an array; Slurm's own limit of indices is 1001

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_SPAN = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?")
_TOKEN = re.compile(r"([a-z0-9]{8})\.([0-9a-z]{1,6})\.([0-9a-z]{1,3})")


def token(run_id: str, n: int, attempt: int) -> Token:
    """The word by which a job is found again: `<run>.<n>.<attempt>`, at most 15 characters.

    Old PBS servers cut job names after 15 characters; n and attempt are base 36.

    >>> token("abcdefgh", 9999, 1)
    'abcdefgh.7pr.1'
    """
    return f"{run_id}.{base36(n)}.{base36(attempt)}"


def base36(n: int) -> str:
    """A number of at least 0 in base 36.

    >>> [base36(n) for n in (0, 35, 36)]
    ['0', 'z', '10']
    """
    digits = ""
    while True:
        n, rest = divmod(n, 36)
        digits = _BASE36[rest] + digits
        if not n:
            return digits


def place(of: Token, block: int = ARRAY) -> tuple[Token, int]:
    """The array that a task belongs to, by the token of the array's first place, and its index.

    An array is named by the token that its index 0 has or would have, so the scheduler's row of an
    element says all by itself whose it is, whatever a crash has made anybody forget.

    >>> place("abcdefgh.s0.1"), element("abcdefgh.rs.1", 8)
    (('abcdefgh.rs.1', 8), 'abcdefgh.s0.1')
    """
    run_id, n, attempt = of.split(".")
    index = int(n, 36) % block
    return f"{run_id}.{base36(int(n, 36) - index)}.{attempt}", index


def element(array: str, index: int) -> Token | None:
    """The token of an array's element; None when the array's name is no token.

    >>> element("abcdefgh.0.1", 36), element("my simulation", 1)
    ('abcdefgh.10.1', None)
    """
    match = _TOKEN.fullmatch(array)
    return match and f"{match[1]}.{base36(int(match[2], 36) + index)}.{match[3]}"


def names_array(word: str) -> bool:
    """Whether a word is an array's token: that of its index 0.

    >>> [names_array(word) for word in ("abcdefgh.rs.1", "abcdefgh.s0.1", "my simulation")]
    [True, False, False]
    """
    return _TOKEN.fullmatch(word) is not None and place(word)[1] == 0


def ranges(indices: Iterable[int]) -> str:
    """Indices as schedulers write them.

    >>> ranges([7, 0, 1, 2, 9, 8])
    '0-2,7-9'
    """
    found: list[list[int]] = []
    for index in sorted(indices):
        if found and index == found[-1][1] + 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)


def indices(text: str) -> list[int]:
    """The indices that a scheduler wrote; ValueError when that cannot be read, or was cut.

    >>> indices("0-2,7,10-20:5")
    [0, 1, 2, 7, 10, 15, 20]
    """
    found: list[int] = []
    for part in text.split(","):
        match = _SPAN.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no span of indices")
        first, last, step = match.groups()
        found += range(int(first), int(last or first) + 1, int(step or 1))
    return found
