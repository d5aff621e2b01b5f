"""Pictures by their content: their sizes and thumbnails, whoever wrote them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scripthut.core.files.previews import Kind, suffix
from scripthut.core.jobs import Area
from scripthut.store.models import Output, Picture, Task


@dataclass(frozen=True)
class Made:
    """What came of a picture: a thumbnail's name among the kept bytes, or why there is none."""

    sha256: str
    width: int = 0
    height: int = 0
    thumb: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Group:
    """Pictures of one path, over a run's tasks."""

    path: str
    count: int


@dataclass(frozen=True)
class Shot:
    """A picture that a task wrote. Sizes in pixels, None while they are not known."""

    key: str
    row: int
    path: str
    size: int
    sha256: str
    width: int | None
    height: int | None


def is_raster(path: str) -> bool:
    """Whether a picture can have a thumbnail; a drawing of lines is its own."""
    return suffix(path) != "svg"


def want(session: Session, shas: Collection[str]) -> None:
    """Note pictures of which there shall be thumbnails; those that are known stay as they are."""
    known = set(session.scalars(select(Picture.sha256).where(Picture.sha256.in_(shas))))
    rows = [{"sha256": sha} for sha in sorted(set(shas) - known)]
    if rows:
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        insert = sqlite.insert(Picture) if is_sqlite else postgresql.insert(Picture)
        session.execute(insert.on_conflict_do_nothing(), rows)


def waiting(session: Session, limit: int) -> Sequence[str]:
    """The contents of pictures that have neither a thumbnail nor a reason for having none."""
    statement = select(Picture.sha256).where(Picture.thumb.is_(None), Picture.note.is_(None))
    return session.scalars(statement.limit(limit)).all()


def record(session: Session, made: Iterable[Made]) -> None:
    """Write down what came of pictures."""
    for one in made:
        facts = {"thumb": one.thumb, "width": one.width, "height": one.height, "note": one.note}
        session.execute(update(Picture).where(Picture.sha256 == one.sha256).values(**facts))


def thumb(session: Session, sha: str) -> str | None:
    """The name of a picture's thumbnail among the kept bytes; None while there is none."""
    return session.scalar(select(Picture.thumb).where(Picture.sha256 == sha))


def thumbs(session: Session, run_id: str) -> dict[str, str]:
    """Content -> name of the thumbnail, for the pictures of a run that have one."""
    statement = (
        select(Picture.sha256, Picture.thumb)
        .join(Output, Output.sha256 == Picture.sha256)
        .join(Task, (Task.id == Output.task_id) & (Task.attempt == Output.attempt))
        .where(Task.run_id == run_id, Picture.thumb.is_not(None))
    )
    return {sha: thumb for sha, thumb in session.execute(statement) if thumb}


_IS_IMAGE = (
    (Output.attempt == Task.attempt)
    & (Output.area == Area.OUTPUT)
    & (Output.kind == Kind.IMAGE)
    & Output.sha256.is_not(None)
)


def groups(session: Session, run_id: str) -> list[Group]:
    """The pictures that more than one task wrote under the same path, most tasks first.

    The others are one group together, whose path is "".
    """
    count = func.count()
    statement = (
        select(Output.path, count)
        .join(Task, (Task.id == Output.task_id) & _IS_IMAGE)
        .where(Task.run_id == run_id)
        .group_by(Output.path)
        .order_by(count.desc(), Output.path)
    )
    found = [Group(*row) for row in session.execute(statement)]
    alone = sum(group.count for group in found if group.count == 1)
    shared = [group for group in found if group.count > 1]
    return [*shared, Group("", alone)] if alone else shared


def shots(session: Session, run_id: str, path: str, limit: int | None = None) -> list[Shot]:
    """The pictures of a group, in the order of the document."""
    statement = (
        select(
            Task.key,
            Output.id,
            Output.path,
            Output.size,
            Output.sha256,
            Picture.width,
            Picture.height,
        )
        .join(Output, (Task.id == Output.task_id) & _IS_IMAGE)
        .outerjoin(Picture, Picture.sha256 == Output.sha256)
        .where(Task.run_id == run_id)
        .order_by(Task.n, Output.path)
        .limit(limit)
    )
    if path:
        statement = statement.where(Output.path == path)
    else:
        alone = (
            select(Output.path)
            .join(Task, (Task.id == Output.task_id) & _IS_IMAGE)
            .where(Task.run_id == run_id)
            .group_by(Output.path)
            .having(func.count() == 1)
        )
        statement = statement.where(Output.path.in_(alone))
    return [
        Shot(key, row, shown, size, sha or "", width, height)
        for key, row, shown, size, sha, width, height in session.execute(statement)
    ]
