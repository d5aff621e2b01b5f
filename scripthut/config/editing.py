"""A file of the configuration in an editor: opened without its secrets, checked, and saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripthut.config import veil, writing
from scripthut.config.file import Config
from scripthut.config.layers import Resolved, Where, resolve_with
from scripthut.config.live import FIXED, differences
from scripthut.core.errors import Conflict, Invalid, Refused

LARGEST = 256 * 1024  # characters


@dataclass(frozen=True)
class Opened:
    """A file as an editor shows it. `digest` tells the text that it was opened with."""

    file: Path
    text: str
    digest: str
    secrets: int  # how many are not shown


@dataclass(frozen=True)
class Checked:
    """A text that could hold. `changes` and `restart`: words for people."""

    text: str  # with its secrets
    changes: Sequence[str]
    restart: Sequence[str]
    notes: Sequence[str]


@dataclass(frozen=True)
class Desk:
    """Where the configuration's files are edited. `names`: of variables that are secrets, too."""

    where: Where
    environment: Mapping[str, str]
    config: Config  # as it holds
    names: Sequence[str] = ()

    def open(self, file: Path) -> Opened:
        """Open a file. Invalid when it is not YAML: nobody can tell then what in it is secret."""
        text = writing.read_text(file)
        veiled = veil.veil(text, str(file), self.names)
        return Opened(file, veiled.text, writing.digest(text), len(veiled.secrets))

    def check(self, opened: Opened) -> Checked:
        """See whether an edited text could hold. Invalid (with lines), Refused, Conflict."""
        if len(opened.text) > LARGEST:
            raise Refused(f"{opened.file} would have more than {LARGEST} characters.")
        former = writing.read_text(opened.file)
        if writing.digest(former) != opened.digest:
            raise Conflict(
                f"{opened.file} was changed by somebody else since you opened it. Open it again in "
                "another window, and bring over what you changed."
            )
        edited = opened.text.replace("\r\n", "\n")
        veiled = veil.veil(former, str(opened.file), self.names)
        text = veil.unveil(edited, str(opened.file), veiled)
        if "\r\n" in former:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        found = resolve_with(self.where, self.environment, opened.file, text, edited)
        self._check_switch(found)
        changes = tuple(differences(self.config, found.config))
        fixed = [name for name in FIXED if f"settings.{name}" in changes]
        return Checked(text, changes, fixed, found.config.notes)

    def save(self, opened: Opened) -> Checked:
        """Check a text and write it over the one that was opened, which is kept beside it."""
        checked = self.check(opened)
        writing.replace_text(opened.file, checked.text, opened.digest)
        return checked

    @staticmethod
    def _check_switch(found: Resolved) -> None:
        settings = found.config.settings
        if settings.may_edit_in_browser or settings.edit_in_browser is False:
            return
        raise Invalid(
            "the editor",
            [
                "settings: with this text nothing could be edited here any more (proxies or hosts "
                "are named): say `edit_in_browser: true` or `false` under settings"
            ],
        )
