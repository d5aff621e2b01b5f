"""What was made of kept files: all of it is gone through, piece by piece, when a server begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from scripthut.core.files.previews import RENDERED
from scripthut.core.jobs import Area
from scripthut.store.models import Output, Run, Task

COLUMNS = ("%.parquet", "%.pq")


@dataclass(frozen=True)
class Original:
    """A kept file of which something is made: HTML, or how its columns begin."""

    row: int
    area: Area
    raw: bytes
    path: str
    kind: str
    sha256: str
    html: str | None


def after(session: Session, backend: str, row: int, most: int) -> Sequence[Original]:
    """The next of a backend's kept files of which something is made, in the order of their rows."""
    likes = [func.lower(Output.path).like(name) for name in COLUMNS]
    columns = (Output.id, Output.area, Output.raw, Output.path, Output.kind)
    statement = (
        select(*columns, Output.sha256, Output.html)
        .join(Task, Task.id == Output.task_id)
        .join(Run, Run.id == Task.run_id)
        .where(Output.id > row, Run.backend.concat("") == backend, Output.sha256.is_not(None))
        .where(or_(Output.kind.in_(RENDERED), *likes))
        .order_by(Output.id)
        .limit(most)
    )
    return [
        Original(row_id, area, raw, path, kind, sha, html)
        for row_id, area, raw, path, kind, sha, html in session.execute(statement)
        if sha is not None
    ]


def set_html(session: Session, row_id: int, sha256: str, html: str) -> None:
    """Say where a document's HTML is kept, if the row still has those contents."""
    row = session.get(Output, row_id)
    if row is not None and row.sha256 == sha256:
        row.html = html
