"""The frame around a remote command that tells its whole output from a cut one.

A login shell may print before the command, a connection may be cut while the answer travels, and
an SSH library reports neither. So every command runs inside SCRIPT, which prints a begin mark and
an end mark on both streams; the end mark carries the exit code. Only what lies between the marks is
an answer.
"""

import secrets
from collections.abc import Sequence

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer
from scripthut.core.quote import sh

# It passes through the login shell, which may be csh or fish: no quote, no `!`, no newline and no
# backslash in it. Each word arrives as `+word`, or as `%word` with its odd bytes in octal; the dot
# keeps $( ) from eating newlines at the word's end.
SCRIPT = (
    "hut_mark=$1; shift; "
    "for hut_word do shift; case $hut_word in "
    '+*) set -- "$@" "${hut_word#+}";; '
    '*) hut_word=$(printf %b. "${hut_word#?}"); set -- "$@" "${hut_word%.}";; '
    "esac; done; "
    'echo "$hut_mark:begin"; echo "$hut_mark:begin" >&2; '
    '"$@"; hut_code=$?; '
    'echo "$hut_mark:end:$hut_code"; echo "$hut_mark:end:$hut_code" >&2'
)
LONGEST = 120_000  # bytes of a command line; Linux takes 128 KiB in one argument
NOISE = 1024 * 1024  # bytes a login shell may print around the answer
_PLAIN = frozenset(
    b'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-./:=,@+%^~#*?[]{}()<>|&;$"`'
)


def _travelling(word: str) -> str:
    """A word in a form that every login shell hands on unchanged.

    >>> _travelling("a b"), _travelling("it's\\n")
    ('+a b', '%it\\\\0047s\\\\0012')
    """
    data = word.encode("utf-8", "surrogateescape")
    if all(byte in _PLAIN for byte in data):
        return f"+{word}"
    return "%" + "".join(chr(b) if b in _PLAIN else f"\\0{b:03o}" for b in data)


class _Stream:
    """One stream of a framed command: what came, and where the marks are in it."""

    def __init__(self, mark: str, limit: int) -> None:
        self._begin = f"{mark}:begin\n".encode()
        self._end = f"{mark}:end:".encode()
        self._limit = limit
        self._data = bytearray()
        self._from: int | None = None  # where the answer begins
        self._to: int | None = None  # where it ends
        self._seen = 0  # up to here no mark begins
        self.code: int | None = None

    def feed(self, data: bytes) -> bool:
        """Take bytes; False when there are more than anybody asked for."""
        if self.code is None:
            self._data += data
            self._look()
        size = len(self._data) if self._to is None else self._to
        return size - (self._from or 0) <= self._limit + (NOISE if self.code is None else 0)

    def _look(self) -> None:
        if self._from is None and (at := self._find(self._begin)) is not None:
            self._from = self._seen = at + len(self._begin)
        if self._from is not None and self._to is None:
            self._to = self._find(self._end)
        if self._to is not None:
            line, newline, _ = self._data[self._to + len(self._end) :].partition(b"\n")
            self.code = int(line) if newline and line.isdigit() else None

    def _find(self, mark: bytes) -> int | None:
        at = self._data.find(mark, self._seen)
        if at >= 0:
            return at
        self._seen = max(self._seen, len(self._data) - len(mark) + 1)
        return None

    @property
    def began(self) -> bool:
        return self._from is not None

    @property
    def body(self) -> str:
        return self._data[self._from or 0 : self._to].decode("utf-8", "replace")


class Frame:
    """One command on its way: the words to run, and the answer that comes back."""

    def __init__(self, argv: Sequence[str], limit: int, mark: str | None = None) -> None:
        """Frame `argv`; at most `limit` bytes are taken of each stream.

        `mark` None: a new one by chance, so that no file the command shows can forge the end.
        """
        if not argv or any("\0" in word for word in argv):
            raise ValueError("a command has at least one word, and no NUL in it")
        mark = mark or secrets.token_hex(12)
        words = [_travelling(word) for word in argv]
        self.words = ["/bin/sh", "-c", SCRIPT, "sh", mark, *words]
        if len(self.line) > LONGEST:
            raise ValueError("the command is too long: large data go over standard input")
        self._limit = limit
        self._out = _Stream(mark, limit)
        self._err = _Stream(mark, limit)

    @property
    def line(self) -> str:
        """The words as one line for a login shell, ASCII only."""
        return sh(self.words)

    def feed(self, out: bytes = b"", err: bytes = b"") -> None:
        """Take what came. Unreachable when there is more than the limit."""
        if not (self._out.feed(out) and self._err.feed(err)):
            raise Unreachable(
                f"The answer is longer than the {self._limit} bytes it may have, and is not used."
            )

    @property
    def is_complete(self) -> bool:
        """Whether both streams have shown their end mark."""
        return self._out.code is not None and self._err.code is not None

    def answer(self, where: str, is_over: bool) -> Answer:
        """What the command said; Unreachable when its end was not seen.

        `is_over`: the machine itself reported the command's end, so that a login shell that closed
        standard error is no reason for doubt.
        """
        if self._out.code is not None and (is_over or self.is_complete):
            return Answer(self._out.code, self._out.body, self._err.body if self._err.began else "")
        raise Unreachable(self._why(where))

    def _why(self, where: str) -> str:
        if self._out.began:
            return (
                f"The command on {where} did not show its end: the connection was cut, or it was "
                "killed. What it did is not known."
            )
        said = " ".join(f"{self._out.body} {self._err.body}".split())[:300]
        if said:
            return f"The login shell on {where} did not run the command; it said: {said}"
        return f"The connection to {where} was cut before the command is known to have begun."
