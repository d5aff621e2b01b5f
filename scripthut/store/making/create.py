"""Documents become tasks in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scripthut.core.errors import Invalid, Refused
from scripthut.core.states import State
from scripthut.core.workflow import env
from scripthut.core.workflow.document import Document
from scripthut.core.workflow.rules import Layer
from scripthut.store.models import EventRow, Run, Task

MOST_NOTICES = 20
KEY_LENGTH = 200  # characters of a request's key


class Workspace(StrEnum):
    """Whose directory a run works in."""

    SHARED = "shared"  # all runs of a source at one commit
    RUN = "run"  # its own


@dataclass(frozen=True)
class Source:
    """Where a run's document came from; None: not known, or from nowhere but the request."""

    name: str | None = None  # of the source, in the configuration
    workflow: str | None = None  # the document's path in the source
    git_repo: str | None = None
    git_branch: str | None = None
    git_sha: str | None = None  # in full


@dataclass(frozen=True)
class NewRun:
    """Everything that a run is made of.

    `folder`: the directory on the backend that `~` alone and relative working directories mean;
    None: the home. It may be set later, while no task has been claimed. `layers`: environment
    rules of the backend, the server and the source; the document's own come after them.
    `request_key`: the same key never makes a second run. `origin`: the run that this one repeats.
    """

    name: str
    backend: str
    document: Document
    title: str | None = None
    source: Source = field(default_factory=Source)
    folder: str | None = None
    layers: Sequence[Layer] = ()
    request_key: str | None = None
    origin: str | None = None
    workspace: Workspace = Workspace.SHARED


def create_run(session: Session, run_id: str, new: NewRun, now: datetime) -> Run:
    """Insert a run and all its tasks; the engine takes it from there.

    When its request has made a run before, that one is the answer, and its id another one than
    `run_id`: nothing is inserted then. Invalid when the environment rules contradict each other.
    """
    run = _run(new, run_id, now)
    earlier = insert_run(session, run)
    if earlier is not None:
        return earlier
    rows = task_rows(run, new.document, 0)
    session.execute(insert(Task), rows)
    session.add(EventRow(run_id=run_id, at=now, what="created", note=f"{len(rows)} tasks"))
    return run


def as_tasks(new: NewRun, run_id: str, now: datetime) -> tuple[Run, list[Task]]:
    """A run and its tasks as they would be, in no database. Invalid as in `create_run`."""
    run = _run(new, run_id, now)
    return run, [Task(**row, attempt=1, run=run) for row in task_rows(run, new.document, 0)]


def _run(new: NewRun, run_id: str, now: datetime) -> Run:
    layers = [*new.layers, new.document.layer]
    notices = [*new.document.notices, *check(layers, new.document)]
    return Run(
        id=run_id,
        name=new.name,
        backend=new.backend,
        created_at=now,
        version=1,
        title=new.title or new.document.title,
        source=new.source.name,
        workflow=new.source.workflow,
        git_repo=new.source.git_repo,
        git_branch=new.source.git_branch,
        git_sha=new.source.git_sha,
        folder=new.folder,
        env=[layer.kept() for layer in layers if layer.rules or layer.groups],
        params=dict(new.document.chosen),
        document=None if new.document.written is None else dict(new.document.written),
        notices=notices,
        request_key=new.request_key,
        origin=new.origin,
        workspace=new.workspace.value,
    )


def request_key(given: object) -> str | None:
    """A request's key, if it has one. Refused when it is none."""
    if given is None or (isinstance(given, str) and 0 < len(given) <= KEY_LENGTH):
        return given
    raise Refused(f"request_key: is not a text of at most {KEY_LENGTH} characters")


def insert_run(session: Session, run: Run) -> Run | None:
    """Insert a run; the run that the same request made before, if it did."""
    if run.request_key is None:
        session.add(run)
        session.flush()
        return None
    found = of_request(session, run.request_key)
    if found is not None:
        return found
    try:
        with session.begin_nested():
            session.add(run)
    except IntegrityError:  # another request with this key was first
        return of_request(session, run.request_key)
    return None


def of_request(session: Session, key: str) -> Run | None:
    """The run that a request with this key made; None: none yet."""
    return session.scalars(select(Run).where(Run.request_key == key)).one_or_none()


def check(layers: Sequence[Layer], document: Document) -> list[str]:
    """What is odd about environment rules, in sentences. Invalid when they cannot be followed."""
    notices: list[str] = []
    groups = [Layer(layer.source, (), layer.groups) for layer in layers]
    try:
        env.flatten(layers, notices)
        for spec in document.tasks:
            if spec.env:
                env.flatten([*groups, Layer(f"task {spec.id}", spec.env)], notices)
    except Refused as error:
        raise Invalid("The environment rules", [str(error)]) from None
    found = list(dict.fromkeys(notices))
    rest = len(found) - MOST_NOTICES
    return found if rest <= 0 else [*found[:MOST_NOTICES], f"And {rest} more of the kind."]


def task_rows(run: Run, document: Document, first: int) -> list[dict[str, Any]]:
    """The rows of a document's tasks, the first of which is the run's task number `first`."""
    return [
        {
            "run_id": run.id,
            "n": first + i,
            "key": spec.id,
            "name": spec.name,
            "spec": spec.kept(),
            "deps": list(deps),
            "open_deps": list(document.open[i]),
            "state": State.PENDING,
            "version": run.version,
        }
        for i, (spec, deps) in enumerate(zip(document.tasks, document.deps, strict=True))
    ]
