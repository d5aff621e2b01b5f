"""What a task says of its own progress, in a file of its own: a share of the work, and words."""

import re
from dataclasses import dataclass

LONGEST = 120  # characters of the words
_NUMBER = r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})"
_SAID = re.compile(rf"{_NUMBER}\s*(%|/\s*{_NUMBER})?(?=\s|$)\s*(.*)")


@dataclass(frozen=True)
class Progress:
    """`fraction` is between 0 and 1; None: the task gave words alone."""

    fraction: float | None
    text: str


def read(data: bytes) -> Progress | None:
    r"""The last line that says anything; None when no line does.

    A whole number and one above 1 count in percent; one with a point, up to 1, is a share.

    >>> said = (b"42", b"0.42", b"42%", b"42.5 fitting", b"1.0", b"1", b"old\n21/50 fold 3\n\n")
    >>> [(p.fraction, p.text) for p in map(read, said) if p]
    [(0.42, ''), (0.42, ''), (0.42, ''), (0.425, 'fitting'), (1.0, ''), (0.01, ''), (0.42, '21/50 fold 3')]
    >>> read(b"loading"), read(b"3/0"), read(b"300% of\x1b[1m it"), read(b" \n")
    (Progress(fraction=None, text='loading'), Progress(fraction=None, text='3/0'), Progress(fraction=1.0, text='of it'), None)
    """  # noqa: E501
    lines = [line for line in map(_plain, data.splitlines()) if line]
    if not lines:
        return None
    found = _SAID.fullmatch(lines[-1])
    if found is None:
        return Progress(None, lines[-1][:LONGEST])
    number, sign, total, words = found.groups()
    if total is None:
        part, whole = float(number), 1.0 if _is_share(number, sign) else 100.0
    else:
        part, whole, words = float(number), float(total), lines[-1]
    share = min(1.0, part / whole) if whole else None
    return Progress(None if share is None else round(share, 6), words[:LONGEST])


def _is_share(number: str, sign: str | None) -> bool:
    return sign is None and "." in number and float(number) <= 1


def _plain(line: bytes) -> str:
    text = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", line.decode("utf-8", "replace"))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
