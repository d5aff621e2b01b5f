"""The only reader of chance: run ids, names, nonces, keys."""

import secrets

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no i, l, o, 0, 1: ids are read aloud and retyped


def new_run_id() -> str:
    """A run id: 8 characters, letters and digits, beginning with a letter."""
    head = secrets.choice(_ALPHABET[:23])
    return head + "".join(secrets.choice(_ALPHABET) for _ in range(7))


def new_holder() -> str:
    """A name for one engine candidate, never used twice."""
    return secrets.token_hex(8)


def new_nonce() -> str:
    """A word that nobody can guess: names the scripts that one response allows."""
    return secrets.token_urlsafe(16)


def new_key() -> bytes:
    """A key to sign with, which nobody can guess."""
    return secrets.token_bytes(32)
