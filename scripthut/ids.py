"""The only reader of chance: run ids, tokens, nonces."""

import secrets

from scripthut.core.jobs import Token

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no i, l, o, 0, 1: ids are read aloud and retyped
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_run_id() -> str:
    """A run id: 8 characters, letters and digits, beginning with a letter."""
    head = secrets.choice(_ALPHABET[:23])
    return head + "".join(secrets.choice(_ALPHABET) for _ in range(7))


def new_holder() -> str:
    """A name for one engine candidate, never used twice."""
    return secrets.token_hex(8)


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


def new_nonce() -> str:
    """A word that nobody can guess: names the scripts that one response allows."""
    return secrets.token_urlsafe(16)


def new_key() -> bytes:
    """A key to sign with, which nobody can guess."""
    return secrets.token_bytes(32)
