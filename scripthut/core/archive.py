"""What goes into a zip: names that every system can unpack, and the list of what is there."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

MANIFEST = "MANIFEST.txt"
LONGEST = 120  # characters of one part of a path; some systems count bytes, and take 255
_ODD = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')  # Windows has no such names
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def safe_part(text: str) -> str:
    r"""One part of a path as every system takes it.

    >>> [safe_part(t) for t in ("plot.png", "a:b?.csv", "..", "CON.txt", "end. ", "\\x00é")]
    ['plot.png', 'a_b_.csv', '_', '_CON.txt', 'end', '_x00é']
    """
    cleaned = _ODD.sub("_", unicodedata.normalize("NFC", text))
    cleaned = "".join(c if c.isprintable() else "_" for c in cleaned).strip(" ").rstrip(". ")
    if len(cleaned) > LONGEST:
        end = PurePosixPath(cleaned).suffix[:16]
        cleaned = cleaned[: LONGEST - len(end)] + end
    return f"_{cleaned}" if _DEVICES.fullmatch(cleaned) else cleaned or "_"


@dataclass
class Names:
    """Names for files in one archive: each only once, also where upper and lower case are one."""

    taken: set[str] = field(default_factory=lambda: {MANIFEST.lower()})

    def give(self, parts: Iterable[str]) -> str:
        """A path in the archive for a file at `parts`.

        >>> names = Names()
        >>> [names.give(["fit", n]) for n in ("a.txt", "A.txt", "a.txt/b", "../a.txt")]
        ['fit/a.txt', 'fit/A~2.txt', 'fit/a.txt~2/b', 'fit/_/a.txt']
        """
        *above, name = [
            safe_part(p) for part in parts for p in part.split("/") if p not in ("", ".")
        ]
        folder = ""
        for part in above:
            folder = self._free(folder, part, is_folder=True) + "/"
        return self._free(folder, name, is_folder=False)

    def _free(self, folder: str, name: str, is_folder: bool) -> str:
        stem, end = (name, "") if is_folder else _split(name)
        number = 1
        while True:
            found = folder + (name if number == 1 else f"{stem}~{number}{end}")
            mark = found.lower() + ("/" if is_folder else "")
            other = found.lower() + ("" if is_folder else "/")
            if other not in self.taken and (is_folder or mark not in self.taken):
                self.taken.add(mark)
                return found
            number += 1


def _split(name: str) -> tuple[str, str]:
    end = PurePosixPath(name).suffix
    return name.removesuffix(end), end


@dataclass(frozen=True)
class Entry:
    """A kept file and its name in the archive; `origin` is what it is called on the page."""

    name: str
    origin: str
    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Left:
    """A file that is not in the archive, and why not (the end of a sentence)."""

    origin: str
    size: int
    why: str


def manifest(title: str, entries: Sequence[Entry], left: Sequence[Left], more: int) -> str:
    """The list of an archive, such that `sha256sum -c` takes it. `more`: files never listed.

    >>> print(manifest("run x", [Entry("f/a_b", "f/a:b", "e3b0", 0, 0)], [Left("f/c", 9, "is large")], 2))
    # run x
    # Check what was unpacked with: sha256sum -c MANIFEST.txt
    e3b0  f/a_b
    # Named otherwise here than by its task:
    #   f/a_b was f/a:b
    # Not in here:
    #   f/c (9 bytes): it is large
    #   2 more files, which were too many to be listed
    <BLANKLINE>
    """  # noqa: E501
    lines = [f"# {_line(title)}", f"# Check what was unpacked with: sha256sum -c {MANIFEST}"]
    lines += [f"{entry.sha256}  {entry.name}" for entry in entries]
    renamed = [e for e in entries if e.name != e.origin]
    if renamed:
        lines.append("# Named otherwise here than by its task:")
        lines += [f"#   {e.name} was {_line(e.origin)}" for e in renamed]
    if left or more:
        lines.append("# Not in here:")
        lines += [f"#   {_line(x.origin)} ({x.size} bytes): it {x.why}" for x in left]
    if more:
        lines.append(f"#   {more} more files, which were too many to be listed")
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "_" for c in text)
