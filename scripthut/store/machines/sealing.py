"""A box that anybody can put something into, and one process alone can open.

An answer to a second factor goes from the web's process through the database to the engine's; so
neither the database, nor its log of writes, nor a backup of it ever holds the answer itself.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scripthut.core.errors import Refused

KEY = 32  # bytes
_NONCE = bytes(12)  # each key is used once: it comes from a pair made for this message alone


class Box:
    """Lives as long as its question; the private half is in memory alone."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.from_private_bytes(os.urandom(KEY))

    @property
    def key(self) -> str:
        """What to seal with, as 64 hexadecimal digits; it names the box, too."""
        return self._private.public_key().public_bytes_raw().hex()

    def open(self, sealed: bytes) -> bytes:
        """What was put in. Refused when it was sealed for another box, or changed."""
        sender = sealed[:KEY]
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(sender))
            cipher = ChaCha20Poly1305(_derived(shared, sender, self.key))
            return cipher.decrypt(_NONCE, sealed[KEY:], None)
        except (ValueError, InvalidTag) as error:
            raise Refused("The answer was not meant for this question.") from error


def seal(key: str, data: bytes) -> bytes:
    """Bytes that the box of that key alone can open."""
    own = X25519PrivateKey.from_private_bytes(os.urandom(KEY))
    sender = own.public_key().public_bytes_raw()
    shared = own.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(key)))
    return sender + ChaCha20Poly1305(_derived(shared, sender, key)).encrypt(_NONCE, data, None)


def _derived(shared: bytes, sender: bytes, key: str) -> bytes:
    info = b"scripthut answer" + sender + bytes.fromhex(key)
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(shared)
