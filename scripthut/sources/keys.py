"""Deploy keys: ssh takes a private key only when nobody else may read it."""

import os
import stat
from pathlib import Path

from scripthut.core.errors import Refused

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private(key: Path, copies: Path, name: str) -> Path:
    """The path of a private key that ssh will take: the file itself, or a private copy of it.

    Refused when it cannot be read.
    """
    key = key.expanduser()
    try:
        found = key.stat()
        if not found.st_mode & OTHERS and found.st_uid == os.geteuid():
            return key
        text = key.read_bytes()
    except OSError as error:
        raise Refused(f"The deploy key {key} cannot be read: {error.strerror}.") from error
    copies.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = copies / f"{name}.{os.getpid()}.part"
    part.unlink(missing_ok=True)
    with open(part, "wb", opener=_private) as file:
        file.write(text)
    return part.replace(copies / name)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
