"""Pieces of files that are not kept: what pages wish for comes with the cycle's one look."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath

from scripthut.core.files.previews import Kind
from scripthut.core.jobs import Area, Got, Piece
from scripthut.core.mask import mask_piece, secrets
from scripthut.engine.base import Hands
from scripthut.engine.jobs import job_of
from scripthut.store.files import wishes
from scripthut.store.files.kept import NoRoom
from scripthut.store.files.wishes import Wished
from scripthut.store.models import Output, Task


def piece(file: Output, task: Task, home: PurePosixPath, start: int, length: int) -> Piece:
    """A part of a file, as a backend is asked for it. `task.run` is loaded."""
    return Piece(job_of(task, home, file.attempt), file.area, file.raw, start, length)


def masked(hands: Hands, asked: Piece, file: Output, data: bytes) -> bytes:
    """The bytes as they may be kept: documents and logs go without the secrets of their task."""
    if file.kind != Kind.MARKDOWN and file.area is not Area.LOG:
        return data
    return mask_piece(data, secrets(asked.job.env, hands.secret_names))


def asked(wished: Sequence[Wished], home: PurePosixPath) -> list[Piece]:
    """What the wishes are for, in their order."""
    return [piece(w.file, w.task, home, w.wish.start, w.wish.length) for w in wished]


def answer(
    hands: Hands,
    wished: Sequence[Wished],
    pieces: Sequence[Piece],
    got: Mapping[int, Got],
    now: datetime,
) -> None:
    """Keep what came and say so; what did not come is asked for again while somebody waits."""
    by_run: dict[str, list[tuple[Wished, Got, str | None]]] = {}
    for at, found in sorted(got.items()):
        one, sha = wished[at], None
        if found.why is None:
            try:
                sha = hands.kept.put(masked(hands, pieces[at], one.file, found.data))
            except NoRoom as error:
                found = Got(why=f"cannot be shown: {error}")
        by_run.setdefault(one.task.run_id, []).append((one, found, sha))
    for some in by_run.values():
        with hands.writing() as session:
            for one, found, sha in some:
                wishes.came(session, one, found, sha, now)
