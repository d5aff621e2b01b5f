"""The seam to people: a message goes out, or an error says why not."""

from pathlib import Path
from typing import Protocol

from scripthut.core.errors import Refused
from scripthut.core.happenings import Message

SECONDS = 30.0  # for one message


class Messenger(Protocol):
    """A channel of one kind."""

    def send(self, message: Message) -> None:
        """Hand a message over. Unreachable: later, perhaps; Refused: not as things are."""
        ...


def secret(file: Path | None) -> str | None:
    """What a file of one secret holds, read anew for each message; None for no file."""
    if file is None:
        return None
    try:
        return file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"The secret in {file} cannot be read: {error}.") from error
