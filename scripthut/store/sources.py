"""Sources as the engine last saw them, and the workflows that they held."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from scripthut.core.errors import NotFound
from scripthut.core.workflow.workflows import Workflow, find
from scripthut.store.models import SourceRow, WorkflowRow


@dataclass(frozen=True)
class Look:
    """What a source was like when it was looked at."""

    workflows: Sequence[Workflow]
    ref: str | None = None  # with the next three, of a git source
    label: str | None = None
    subject: str | None = None
    committed_at: datetime | None = None
    notice: str | None = None
    overlay: bytes | None = None  # its own scripthut.yaml; None: it has none


def every(session: Session) -> Mapping[str, SourceRow]:
    """All sources that were ever asked, by name."""
    return {row.name: row for row in session.scalars(select(SourceRow))}


def one(session: Session, name: str) -> SourceRow | None:
    """A source; None when it was never asked."""
    return session.get(SourceRow, name)


def workflows(session: Session, source: str | None = None) -> Mapping[str, Sequence[WorkflowRow]]:
    """The workflows of all sources, or of one, by the source's name and in the order of paths."""
    statement = select(WorkflowRow).order_by(WorkflowRow.source, WorkflowRow.path)
    if source is not None:
        statement = statement.where(WorkflowRow.source == source)
    found: dict[str, list[WorkflowRow]] = {}
    for row in session.scalars(statement):
        found.setdefault(row.source, []).append(row)
    return found


def workflow(session: Session, source: str, wanted: str) -> WorkflowRow:
    """The workflow of a source that a name means; NotFound; Refused when several are meant."""
    rows = {row.path: row for row in workflows(session, source).get(source, ())}
    try:
        return rows[find(list(rows), wanted)]
    except NotFound as error:
        known = ", ".join(list(rows)[:20]) or "none were found"
        raise NotFound(f"{error} In {source} there are: {known}.") from None


def looked(session: Session, name: str, kind: str, look: Look, now: datetime) -> None:
    """Write down what a source is like; its former workflows are gone."""
    row = _row(session, name, kind)
    row.ref, row.label, row.subject = look.ref, look.label, look.subject
    row.committed_at, row.notice = look.committed_at, look.notice
    row.overlay = (look.overlay or b"").decode("utf-8", "replace").replace("\0", "")
    row.looked_at = row.tried_at = now
    row.failing_since = row.message = None
    session.execute(delete(WorkflowRow).where(WorkflowRow.source == name))
    rows = list(_rows(name, look.workflows))
    if rows:
        session.execute(insert(WorkflowRow), rows)


def _rows(source: str, found: Iterable[Workflow]) -> Iterable[dict[str, Any]]:
    for each in found:
        yield {
            "source": source,
            "path": each.path,
            "title": each.title,
            "tasks": each.tasks,
            "params": dict(each.params),
            "problem": each.problem,
        }


def seen(session: Session, name: str, now: datetime) -> None:
    """Write down that a source is as it was."""
    row = session.get_one(SourceRow, name)
    row.looked_at = row.tried_at = now
    row.failing_since = row.message = None


def failed(session: Session, name: str, kind: str, message: str, now: datetime) -> None:
    """Write down that a source did not answer, or would not; what was known of it stays."""
    row = _row(session, name, kind)
    row.tried_at, row.message = now, message
    row.failing_since = row.failing_since or now


def _row(session: Session, name: str, kind: str) -> SourceRow:
    row = session.get(SourceRow, name)
    if row is None:
        row = SourceRow(name=name, type=kind)
        session.add(row)
    row.type = kind
    return row
