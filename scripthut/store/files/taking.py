"""What a run or a task wrote, as a whole: to take away."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from scripthut.core.jobs import Area
from scripthut.store.models import Output, Task


@dataclass(frozen=True)
class Written:
    """A file and the task that wrote it; `is_summary`: the task's part of the run's summary."""

    key: str
    file: Output

    @property
    def is_summary(self) -> bool:
        return self.file.area is Area.FRAGMENT


def written(session: Session, run_id: str, key: str | None = None) -> list[Written]:
    """All files of a run's tasks, or of one task, in the document's order; kept or not."""
    statement = (
        select(Task.key, Output)
        .join(Output, Output.task_id == Task.id)
        .where(Task.run_id == run_id, Output.attempt == Task.attempt, Output.area != Area.LOG)
        .order_by(Task.n, Output.area, Output.path)
    )
    if key is not None:
        statement = statement.where(Task.key == key)
    return [Written(*row) for row in session.execute(statement)]


def unlisted(session: Session, run_id: str) -> dict[str, int]:
    """Task -> how many of its files were too many to be listed; only those that have any."""
    statement = select(Task.key, Task.outputs_more)
    statement = statement.where(Task.run_id == run_id, Task.outputs_more > 0)
    return {row[0]: row[1] for row in session.execute(statement)}
