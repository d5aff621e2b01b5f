"""How files of columns begin: read once for each content, when they are collected."""

import logging
from collections.abc import Iterable

from scripthut.core.files.heads import EXTRA, Head, has_head, kept, key
from scripthut.engine.children.workshop import Workshop
from scripthut.store import outputs
from scripthut.store.files.kept import Kept
from scripthut.store.outputs import Found

MOST = 256 * 1024 * 1024  # bytes of a file
TOO_LONG = "is too long to be read here: download it"
TOO_HARD = "could not be read within the server’s limits"
WORKSHOP = Workshop("scripthut.engine.children.columns")

log = logging.getLogger(__name__)


def read_new(store: Kept, found: Iterable[Found]) -> None:
    """Read how those of these files begin that hold columns. NoRoom goes through."""
    for one in found:
        if one.sha256 is not None and has_head(outputs.shown_path(one.file.path)):
            read(store, one.sha256)


def read(store: Kept, sha: str) -> None:
    """Read how a file of columns begins, unless that is kept. NoRoom goes through."""
    name = key(sha)
    if store.has(name):
        return
    try:
        data = store.read(sha, limit=MOST + 1)
        answer = WORKSHOP.do(EXTRA, "", data) if len(data) <= MOST else None
    except OSError as error:  # no process to be had, or the file has gone
        log.warning("not read file=%s: %s", sha, error)
        return
    if answer is None:
        answer = kept(Head([], [], why=TOO_LONG if len(data) > MOST else TOO_HARD))
    if answer:
        store.put_as(name, answer)
