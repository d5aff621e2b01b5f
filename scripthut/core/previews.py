"""What kind of file a name stands for: how it is shown on a page, and how it is served."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath


class Kind(StrEnum):
    """How a page shows a file."""

    MARKDOWN = "markdown"  # rendered
    IMAGE = "image"  # in its place
    TEXT = "text"  # a link that opens
    OTHER = "other"  # a link that downloads


@dataclass(frozen=True)
class Served:
    """How a file is sent. What a browser would run or read as markup is never `inline`."""

    type: str
    inline: bool = True


TEXT = Served("text/plain; charset=utf-8")
BINARY = Served("application/octet-stream", inline=False)

_IMAGES: Mapping[str, Served] = {
    "apng": Served("image/apng"),
    "avif": Served("image/avif"),
    "bmp": Served("image/bmp"),
    "gif": Served("image/gif"),
    "ico": Served("image/vnd.microsoft.icon"),
    "jpeg": Served("image/jpeg"),
    "jpg": Served("image/jpeg"),
    "png": Served("image/png"),
    "svg": Served("image/svg+xml", inline=False),  # shown by <img> all the same, where it is inert
    "webp": Served("image/webp"),
}
_OTHERS: Mapping[str, Served] = {
    "csv": Served("text/csv; charset=utf-8"),
    "gz": Served("application/gzip", inline=False),
    "htm": Served("text/html; charset=utf-8", inline=False),
    "html": Served("text/html; charset=utf-8", inline=False),
    "ipynb": Served("application/json", inline=False),
    "json": Served("application/json"),
    "pdf": Served("application/pdf", inline=False),
    "tsv": Served("text/tab-separated-values; charset=utf-8"),
    "xhtml": Served("application/xhtml+xml", inline=False),
    "xml": Served("application/xml", inline=False),
    "zip": Served("application/zip", inline=False),
}
_MARKDOWN = frozenset({"md", "markdown", "mdown", "mkd"})
# Scripts and style sheets are text here, so that no page can be made to use them as such.
_TEXT_NAMES = (
    "bash bib c cc cfg conf cpp css diff err f90 h hpp ini java jl js jsonl log lua m mjs ndjson "
    "out patch pl properties py r rs rst sbatch sh sql tex toml ts txt yaml yml"
)
_TEXTS = frozenset(_TEXT_NAMES.split())


def suffix(path: str) -> str:
    """What follows the last dot of the name, in lower case; "" when there is none.

    >>> [suffix(p) for p in ("a/Plot.PNG", ".hidden", "README", "x.tar.gz", ".hidden.png")]
    ['png', '', '', 'gz', 'png']
    """
    return PurePosixPath(path).suffix[1:].lower()


def kind(path: str) -> Kind:
    """How a file is shown, by its name alone."""
    end = suffix(path)
    if end in _MARKDOWN:
        return Kind.MARKDOWN
    if end in _IMAGES:
        return Kind.IMAGE
    return Kind.OTHER if _served(end) is BINARY or not _served(end).inline else Kind.TEXT


def served(path: str) -> Served:
    """How a file is sent, by its name alone."""
    return _served(suffix(path))


def _served(end: str) -> Served:
    if end in _MARKDOWN or end in _TEXTS:
        return TEXT
    return _IMAGES.get(end) or _OTHERS.get(end) or BINARY
