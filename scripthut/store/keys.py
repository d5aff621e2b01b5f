"""The site's own key, in a file that nobody else may read."""

import os
from pathlib import Path


def site_key(directory: Path, fresh: bytes) -> bytes:
    """The key that is kept in a directory; `fresh` becomes it when there is none yet.

    All processes get the same one, however many begin at once.
    """
    path = directory / "site.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = directory / f".site.key.{os.getpid()}.{fresh[:4].hex()}"
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(fresh)
    try:
        os.link(new, path)  # all or nothing, and only one process can
    except FileExistsError:
        pass
    finally:
        new.unlink()
    return path.read_bytes()
