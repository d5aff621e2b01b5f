"""Pages of files that hold arrays and columns: NumPy's and Parquet."""

from typing import Protocol

from flask import request

from scripthut.core.errors import NotFound
from scripthut.core.files import arrays, heads, npz, tables
from scripthut.store.models import Output
from scripthut.web.extensions import kept

PIECE = 512 * 1024  # bytes of an array that its page is made from

Content = dict[str, object]


class Opened(Protocol):
    """A kept file of a task."""

    @property
    def row(self) -> Output:
        """Its row."""

    def read(self, start: int, limit: int) -> bytes:
        """At most `limit` of its bytes."""


def array(opened: Opened) -> Content:
    """How an .npy file begins."""
    try:
        found = arrays.read(opened.read(0, PIECE))
    except arrays.NotArray as error:
        return {"array": None, "why": f"This file {error}."}
    return {"array": found, "table": _table(found)}


def archive(opened: Opened) -> Content:
    """The arrays in an .npz file; with `?array=`, how one of them begins."""
    name = request.args.get("array")
    try:
        with kept().path(opened.row.sha256 or "").open("rb") as file:
            if name is not None:
                found = npz.member(file, opened.row.size, name)
                return {"array": found, "table": _table(found), "name": name}
            members, more = npz.members(file, opened.row.size)
    except arrays.NotArray as error:
        return {"members": [], "why": f"This file {error}."}
    except LookupError:
        raise NotFound("There is no such array in this file.") from None
    except FileNotFoundError:
        raise NotFound("The server does not have this file any more.") from None
    return {"members": members, "members_more": more}


def columns(opened: Opened) -> Content:
    """The schema and the first rows of a Parquet file, as they were read when it was collected."""
    try:
        found = heads.opened(kept().read(heads.key(opened.row.sha256 or "")))
    except FileNotFoundError:
        return {
            "head": None,
            "why": f"To see what is in this file, install {heads.EXTRA} on the server, "
            "which reads Parquet, and start it again.",
        }
    if found.why:
        return {"head": None, "why": f"This file {found.why}."}
    rows = [tables.Row(n, cells) for n, cells in enumerate(found.rows, 1)]
    names = [name for name, _ in found.columns]
    numeric = frozenset(n for n, (_, kind) in enumerate(found.columns) if _is_number(kind))
    return {"head": found, "table": tables.Table(names, rows, numeric)}


def _table(array: arrays.Array) -> tables.Table:
    rows = [tables.Row(n, cells) for n, cells in enumerate(array.rows)]
    width = len(array.rows[0]) if array.rows else len(array.names)
    return tables.Table(array.names, rows, frozenset(range(width)))


def _is_number(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "double", "half", "decimal"))
