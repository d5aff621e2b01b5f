"""Large files on their way to being kept: they grow piece by piece, and survive a restart."""

import os
import shutil
from hashlib import sha256
from typing import Protocol

from scripthut.core.units import size as in_words
from scripthut.store.files.kept import Kept, NoRoom, make_folder, room, sync_folder

BLOCK = 4 * 1024 * 1024  # bytes hashed at a time
SPARE = 64 * 1024 * 1024  # bytes of the disk that no large file takes


class Hash(Protocol):
    """A checksum on its way."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Parts:
    """Unfinished files by number, written by the engine alone."""

    def __init__(self, kept: Kept) -> None:
        """Makes nothing; the directory appears with the first part."""
        self._kept = kept
        self._directory = kept.directory / "parts"
        self._hashes: dict[int, tuple[Hash, int]] = {}  # and how many bytes it is of

    def size(self, part: int) -> int:
        """How many bytes of it are here."""
        try:
            return (self._directory / str(part)).stat().st_size
        except FileNotFoundError:
            return 0

    def reserve(self, part: int, size: int) -> None:
        """NoRoom, with both figures, when the disk has less room than the whole will need."""
        with room(self._kept.directory):
            make_folder(self._directory, self._kept.directory)
            free = shutil.disk_usage(self._directory).free
        missing = size - self.size(part) + SPARE
        if missing > free:
            raise NoRoom(
                f"The file needs {in_words(missing - SPARE)} more on the server's disk, which has "
                f"{in_words(free)} left, and {in_words(SPARE)} stay free: it waits until there is "
                "room."
            )

    def append(self, part: int, at: int, data: bytes) -> None:
        """Write the bytes that stand at byte `at`; what was behind it goes. NoRoom when full."""
        with room(self._kept.directory):
            make_folder(self._directory, self._kept.directory)
            handle = os.open(self._directory / str(part), os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(handle, "r+b") as file:
                file.truncate(at)
                file.seek(at)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        known = self._hashes.get(part) if at else (sha256(), 0)
        if known is not None and known[1] == at:
            known[0].update(data)
            self._hashes[part] = (known[0], at + len(data))
        else:
            self._hashes.pop(part, None)

    def finish(self, part: int, blocks: int) -> str | None:
        """Keep the whole under its SHA-256, which is the answer.

        None: the checksum is not done, since a restart had interrupted it; `blocks` of 4 MiB more
        are now. Ask again.
        """
        path, whole = self._directory / str(part), self.size(part)
        found, at = self._hashes.get(part, (sha256(), 0))
        with room(self._kept.directory), path.open("rb") as file:
            file.seek(at)
            while at < whole and blocks > 0:
                data = file.read(BLOCK)
                found.update(data)
                at, blocks = at + len(data), blocks - 1
            self._hashes[part] = (found, at)
            if at < whole:
                return None
            name = found.hexdigest()
            target = self._kept.path(name)
            make_folder(target.parent, self._kept.directory)
            path.replace(target)
            sync_folder(target.parent)
        del self._hashes[part]
        return name

    def drop(self, part: int) -> None:
        """Forget a part."""
        self._hashes.pop(part, None)
        (self._directory / str(part)).unlink(missing_ok=True)

    def listed(self) -> set[int]:
        """The parts of which anything is here."""
        found = self._directory.iterdir() if self._directory.is_dir() else ()
        return {int(path.name) for path in found if path.name.isdecimal()}
