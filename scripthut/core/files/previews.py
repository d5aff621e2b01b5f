"""What kind of file a name stands for: how it is shown on a page, and how it is served."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath


class Kind(StrEnum):
    """How a page shows a file."""

    MARKDOWN = "markdown"  # rendered
    NOTEBOOK = "notebook"  # a link that opens; its Markdown is rendered
    IMAGE = "image"  # in its place
    TEXT = "text"  # a link that opens
    OTHER = "other"  # a link that downloads


class View(StrEnum):
    """How a file's own page shows it."""

    MARKDOWN = "markdown"
    NOTEBOOK = "notebook"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    TABLE = "table"  # rows and columns
    JSON = "json"  # folded
    RECORDS = "records"  # a JSON value a line
    LINES = "lines"  # text, logs and source, with numbers
    HTML = "html"  # in a frame of its own origin
    PDF = "pdf"  # by the browser's own reader
    ARRAY = "array"  # NumPy's: its type, its shape, its first rows
    ARRAYS = "arrays"  # several of them
    COLUMNS = "columns"  # a schema and the first rows
    HEX = "hex"  # the bytes


RENDERED = frozenset({Kind.MARKDOWN, Kind.NOTEBOOK})
"""What has text that is rendered when it is collected."""


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
_SOUNDS: Mapping[str, Served] = {
    "flac": Served("audio/flac", inline=False),
    "m4a": Served("audio/mp4", inline=False),
    "mp3": Served("audio/mpeg", inline=False),
    "oga": Served("audio/ogg", inline=False),
    "ogg": Served("audio/ogg", inline=False),
    "opus": Served("audio/ogg", inline=False),
    "wav": Served("audio/wav", inline=False),
}
_FILMS: Mapping[str, Served] = {
    "mp4": Served("video/mp4", inline=False),
    "m4v": Served("video/mp4", inline=False),
    "ogv": Served("video/ogg", inline=False),
    "webm": Served("video/webm", inline=False),
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
_NOTEBOOK = frozenset({"ipynb"})
# Scripts and style sheets are text here, so that no page can be made to use them as such.
_TEXT_NAMES = (
    "bash bib c cc cfg conf cpp css diff err f90 h hpp ini java jl js jsonl log lua m mjs ndjson "
    "out patch pl properties py r rs rst sbatch sh sql tex toml ts txt yaml yml"
)
_TEXTS = frozenset(_TEXT_NAMES.split())
_VIEWS: Mapping[View, frozenset[str]] = {
    View.MARKDOWN: _MARKDOWN,
    View.NOTEBOOK: _NOTEBOOK,
    View.IMAGE: frozenset(_IMAGES),
    View.AUDIO: frozenset(_SOUNDS),
    View.VIDEO: frozenset(_FILMS),
    View.TABLE: frozenset({"csv", "tsv"}),
    View.JSON: frozenset({"json", "geojson"}),
    View.RECORDS: frozenset({"jsonl", "ndjson"}),
    View.HTML: frozenset({"htm", "html"}),
    View.PDF: frozenset({"pdf"}),
    View.ARRAY: frozenset({"npy"}),
    View.ARRAYS: frozenset({"npz"}),
    View.COLUMNS: frozenset({"parquet", "pq"}),
}
_VIEW_OF = {end: view for view, ends in _VIEWS.items() for end in ends}
# What the parts of a web page are, inside the frame that it is shut into; nowhere else.
_WEB = {
    "css": "text/css; charset=utf-8",
    "eot": "application/vnd.ms-fontobject",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "otf": "font/otf",
    "ttf": "font/ttf",
    "wasm": "application/wasm",
    "woff": "font/woff",
    "woff2": "font/woff2",
}


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
    if end in _NOTEBOOK:
        return Kind.NOTEBOOK
    if end in _IMAGES:
        return Kind.IMAGE
    return Kind.OTHER if _served(end) is BINARY or not _served(end).inline else Kind.TEXT


def served(path: str) -> Served:
    """How a file is sent, by its name alone."""
    return _served(suffix(path))


def view(path: str, head: bytes) -> View:
    r"""How a file's own page shows it, by its name; by its first bytes where that says nothing.

    >>> [str(view(*f)) for f in (("a.csv", b""), ("README", b"Hi\n"), ("x.bin", b"\x00"))]
    ['table', 'lines', 'hex']
    """
    end = suffix(path)
    return _VIEW_OF.get(end) or (View.LINES if end in _TEXTS or is_text(head) else View.HEX)


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file look like UTF-8; a last character may be cut."""
    if b"\x00" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start > len(head) - 4
    return True


def inside_a_frame(path: str) -> str:
    """The type of a file for an interactive page, which runs scripts in an origin of its own."""
    return _WEB.get(suffix(path)) or served(path).type


def _served(end: str) -> Served:
    if end in _MARKDOWN or end in _TEXTS:
        return TEXT
    for table in (_IMAGES, _OTHERS, _SOUNDS, _FILMS):
        if end in table:
            return table[end]
    return BINARY
