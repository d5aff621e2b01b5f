"""Directories of commits on a backend: asked about, sent, and given to the runs that wait."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from scripthut.config import Config
from scripthut.core import folders, tokens
from scripthut.core.errors import NotFound
from scripthut.core.folders import Folder, Placed
from scripthut.core.states import Event
from scripthut.core.workflow.graph import ready
from scripthut.engine.base import Hands
from scripthut.sources.repository import git_source
from scripthut.store import tasks
from scripthut.store.db import Session
from scripthut.store.machines import checkouts
from scripthut.store.machines.checkouts import Stage
from scripthut.store.making.create import Workspace
from scripthut.store.models import Checkout, Run

Doing = Callable[[], AbstractContextManager[Session]]
"""A reading or a writing transaction."""

log = logging.getLogger(__name__)
PIECE = 8 * 1024 * 1024  # bytes of an archive in one command
SENDING = 8.0  # seconds that a cycle spends on sending at most: looks and orders wait for it
AT_ONCE = 100  # tasks ended in one transaction


def place(hands: Hands, config: Config, now: datetime) -> int:
    """Bring what runs of this backend wait for one step further; how much of it moved."""
    name = hands.backend.name
    with hands.reading() as session:
        unplaced = checkouts.unplaced(session, name)
    for run in unplaced:
        _attach(hands, config, run, now)
    _try_again(hands)
    with hands.reading() as session:
        rows = checkouts.to_do(session, name, now)
    moved = sum(_asked(hands, row, now) for row in rows if row.stage != Stage.PACKED)
    until = time.monotonic() + SENDING
    packed = [row for row in rows if row.stage == Stage.PACKED]
    for row in sorted(packed, key=_left):  # else a small one waits until a large one is whole
        if time.monotonic() < until:
            moved += _sent(hands, row, until, now)
    return len(unplaced) + moved


def wanted(config: Config, run: Run) -> Checkout:
    """The directory that a run of a commit is to work in. NotFound: its source is not known."""
    part = git_source(config.sources, run.source or "")
    roots = {one.name: one.clone_dir for one in config.backends}
    if run.backend not in roots:
        raise NotFound(f"The configuration has no backend {run.backend!r} any more.")
    has_own = run.workspace == Workspace.RUN
    label = run.git_sha or ""
    sha = label.rpartition(".")[2]  # of a changed working copy, the commit made of it
    own = run.id if has_own else None
    return Checkout(
        backend=run.backend,
        root=part.clone_dir or roots[run.backend],
        name=folders.name_of(sha, part.postclone, part.submodules, own),
        source=part.name,
        label=label,
        ref=run.git_branch or part.branch,
        postclone=part.postclone,
        keep=has_own,
    )


def _attach(hands: Hands, config: Config, run: Run, now: datetime) -> None:
    try:
        row = wanted(config, run)
    except NotFound as error:
        end_run(hands.reading, hands.writing, run.id, str(error), now)
        return
    with hands.writing() as session:
        checkouts.attach(session, run.id, row)


def _folder(row: Checkout) -> Folder:
    return Folder(row.root, row.name, row.archive, row.size, row.postclone, row.keep)


def _asked(hands: Hands, row: Checkout, now: datetime) -> bool:
    """Ask about a directory once; whether it moved."""
    return _write(hands, row, hands.backend.place(_folder(row)), now)


def _left(row: Checkout) -> int:
    """Bytes of an archive that are still to be sent."""
    return row.size - row.sent


def _sent(hands: Hands, row: Checkout, until: float, now: datetime) -> bool:
    """Send what is missing of an archive, as far as there is time; whether it moved."""
    placed = Placed(folders.Stage.WANTED, "", row.sent)
    try:
        for offset, data in _pieces(Path(row.file or ""), row, until):
            placed = hands.backend.place(_folder(row), offset, data)
            if placed.stage is not folders.Stage.WANTED or placed.offset != offset + len(data):
                break
    except FileNotFoundError:  # packed by an engine on another machine, or cleaned up
        with hands.writing() as session:
            checkouts.change(session, row.id, Stage.WANTED, archive=None, sent=0)
        return True
    return _write(hands, row, placed, now)


def _pieces(file: Path, row: Checkout, until: float) -> Iterator[tuple[int, bytes]]:
    """What is still to be sent, piece by piece, for as long as there is time."""
    with file.open("rb") as opened:
        opened.seek(row.sent)
        offset = row.sent
        while offset < row.size and time.monotonic() < until:
            data = opened.read(PIECE)
            yield offset, data
            offset += len(data)


def _write(hands: Hands, row: Checkout, placed: Placed, now: datetime) -> bool:
    """Write down what the backend said of a directory, where that is news."""
    if placed.stage is folders.Stage.FAILED:
        why = f"The repository could not be prepared on {row.backend}: {placed.why}"
        fail(hands.reading, hands.writing, row, why, now)
        return True
    stage, facts = _moved(row, placed)
    if (stage, facts.get("sent"), facts.get("message")) == (row.stage, row.sent, row.message):
        return False
    with hands.writing() as session:
        checkouts.change(session, row.id, stage, **facts)
    if stage != row.stage:
        log.info("checkout backend=%s name=%s %s->%s", row.backend, row.name, row.stage, stage)
    return stage != row.stage or facts.get("sent") != row.sent


def _moved(row: Checkout, placed: Placed) -> tuple[Stage, dict[str, object]]:
    if placed.stage is folders.Stage.READY:
        return Stage.READY, {"path": placed.path, "sent": row.size}
    if placed.stage is folders.Stage.WORKING:
        return Stage.WORKING, {"sent": row.size, "message": placed.why}
    stage = Stage.WANTED if row.archive is None else Stage.PACKED
    return stage, {"sent": placed.offset, "message": None}


def fail(reading: Doing, writing: Doing, row: Checkout, why: str, now: datetime) -> None:
    """End what waits for a directory that cannot be had. Who tries again has it made anew."""
    log.warning("checkout failed backend=%s name=%s: %s", row.backend, row.name, why)
    with reading() as session:
        runs = checkouts.waiters(session, row.id)
    for run in runs:
        end_run(reading, writing, run.id, why, now)
    with writing() as session:
        checkouts.change(session, row.id, Stage.FAILED, message=why, archive=None, sent=0)


def end_run(reading: Doing, writing: Doing, run_id: str, why: str, now: datetime) -> None:
    """Refuse the tasks of a run that would be next; what depends on them follows by itself."""
    with reading() as session:
        doomed = [node.id for node in ready(tasks.nodes(session, run_id))]
    for at in range(0, len(doomed), AT_ONCE):
        with writing() as session:
            for task in tasks.by_ids(session, doomed[at : at + AT_ONCE]):
                token = tokens.token(task.run_id, task.n, task.attempt)
                if tasks.move(session, task, Event.CLAIMED, now, {"token": token}):
                    tasks.move(session, task, Event.REFUSED, now, {"reason": why})


def _try_again(hands: Hands) -> None:
    """Have made anew what failed, where somebody has tried a run's tasks again since."""
    with hands.reading() as session:
        rows = checkouts.failed(session, hands.backend.name)
        missed = [
            row
            for row in rows
            for run in checkouts.waiters(session, row.id)
            if ready(tasks.nodes(session, run.id))
        ]
    for row in missed:
        with hands.writing() as session:
            checkouts.change(session, row.id, Stage.ASKED)
