"""One git source: what is asked of it, its workflows, and its commits packed for backends."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from scripthut.config import GitSource
from scripthut.core.errors import HutError, Invalid, Refused, Unreachable
from scripthut.core.refs import shown
from scripthut.core.workflow.workflows import OVERLAY, look, overlay
from scripthut.engine.commits.placing import fail
from scripthut.engine.commits.serving import Kitchen, Material, refuse, serve
from scripthut.sources.clone import Commit
from scripthut.sources.repository import MOST, Repository, label_of
from scripthut.store import source_orders, sources
from scripthut.store.db import Session
from scripthut.store.machines import checkouts
from scripthut.store.machines.checkouts import Stage
from scripthut.store.making.create import Source, Workspace
from scripthut.store.models import Checkout, SourceOrder
from scripthut.store.source_orders import What
from scripthut.store.sources import Look

log = logging.getLogger(__name__)
Reading = Callable[[], AbstractContextManager[Session]]


def look_after(
    kitchen: Kitchen, reading: Reading, part: GitSource, is_new: bool, now: datetime
) -> None:
    """Pack what backends wait for, serve what is asked, and know the newest workflows.

    `is_new`: the source is configured in another way than when it was looked at last.
    """
    repository = Repository(part, kitchen.config.sources_dir)
    with reading() as session:
        packing = [row for row in checkouts.to_pack(session, now) if row.source == part.name]
        orders = source_orders.to_do(session, [part.name])
        known = sources.one(session, part.name)
    for row in packing:
        _pack(kitchen, reading, repository, row, now)
    by_ref: dict[str | None, list[SourceOrder]] = {}
    for order in orders:
        by_ref.setdefault(order.ref, []).append(order)
    if is_new or (not packing and not by_ref):
        by_ref.setdefault(None, [])
    for ref, some in by_ref.items():
        is_known = known is not None and not known.notice and known.overlay is not None
        label = known.label if known and is_known and not is_new else None
        _look(kitchen, repository, ref, some, label, now)


def _look(  # noqa: PLR0913
    kitchen: Kitchen,
    repository: Repository,
    ref: str | None,
    orders: Sequence[SourceOrder],
    label: str | None,
    now: datetime,
) -> None:
    """Bring a commit, and serve what is asked of it."""
    part, notice = repository.part, None
    try:
        commit = repository.newest(ref)
        if ref is None:
            is_asked = any(order.what == What.SYNC for order in orders)
            _list(kitchen, repository, commit, None if is_asked else label, now)
    except HutError as error:
        log.warning("source does not answer source=%s: %s", part.name, error)
        if ref is None:
            with kitchen.writing() as session:
                sources.failed(session, part.name, part.type, str(error), now)
        kept = repository.kept() if ref is None and isinstance(error, Unreachable) else None
        if kept is None:
            for order in orders:
                refuse(kitchen.writing, order, [str(error)], now)
            return
        commit, notice = kept, f"{error} The commit is the one that was brought before."
    for order in orders:
        if order.what != What.SYNC:
            try:
                material = _material(repository, commit, notice)
            except HutError as error:
                refuse(kitchen.writing, order, [str(error)], now)
                continue
            serve(kitchen, order, material, now)
        elif notice is None:
            with kitchen.writing() as session:
                source_orders.serve(session, order.id, now)
        else:
            refuse(kitchen.writing, order, [notice], now)


def _material(repository: Repository, commit: Commit, notice: str | None) -> Material:
    def read(path: str) -> Mapping[str, bytes]:
        return repository.read(commit, [path])

    part = repository.part
    if commit.base:
        notice = f"The working copy {part.local_path} holds changes that no commit has."
    return Material(
        source=Source(
            name=part.name,
            git_repo=shown(part.url),
            git_branch=commit.ref,
            git_sha=label_of(commit),
        ),
        glob=part.workflows_glob,
        paths=tuple(repository.paths(commit)),
        read=read,
        workspace=Workspace(part.workspace),
        notice=notice,
    )


def _list(
    kitchen: Kitchen, repository: Repository, commit: Commit, known: str | None, now: datetime
) -> None:
    """Write down the workflows of a commit; one that is `known` is only noted as seen."""
    part = repository.part
    if known == label_of(commit):
        with kitchen.writing() as session:
            sources.seen(session, part.name, now)
        return
    paths = repository.paths(commit)
    files = repository.read(commit, paths[:MOST])
    found = [look(path, files[path]) for path in paths[:MOST] if path in files]
    result = Look(
        workflows=found,
        ref=commit.ref,
        label=label_of(commit),
        subject=commit.subject[:300],
        committed_at=commit.at,
        notice=_notice(part.name, files, len(paths)),
        overlay=files.get(OVERLAY),
    )
    with kitchen.writing() as session:
        sources.looked(session, part.name, part.type, result, now)
    log.info("source looked at source=%s commit=%s workflows=%s", part.name, commit.sha, len(found))


def _notice(name: str, files: Mapping[str, bytes], count: int) -> str | None:
    """What is wrong with a source as a whole."""
    try:
        overlay(name, files.get(OVERLAY))
    except Invalid as error:
        return str(error)
    return f"Only the first {MOST} of {count} workflows are listed." if count > MOST else None


def _pack(
    kitchen: Kitchen, reading: Reading, repository: Repository, row: Checkout, now: datetime
) -> None:
    """Pack a commit that a backend waits for."""
    try:
        archive = repository.packed(row.label, row.ref)
    except Refused as error:
        fail(reading, kitchen.writing, row, str(error), now)
        return
    except Unreachable as error:
        with kitchen.writing() as session:
            checkouts.put_off(session, row, str(error), now)
        return
    facts = {"archive": archive.sha256, "file": str(archive.path), "size": archive.size, "sent": 0}
    with kitchen.writing() as session:
        checkouts.change(session, row.id, Stage.PACKED, **facts)
