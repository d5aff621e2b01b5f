"""An order on a source, and what was found there -> a run, or how it would look."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from scripthut import ids
from scripthut.backends.base import Backend
from scripthut.config import Config
from scripthut.core.errors import BROKEN, HutError, Invalid, NotFound
from scripthut.core.workflow import document
from scripthut.core.workflow.workflows import OVERLAY, find, overlay, run_name, stacks, text_of
from scripthut.engine.commits.preview import preview
from scripthut.store import source_orders
from scripthut.store.db import Session
from scripthut.store.making.create import NewRun, Source, Workspace, create_run
from scripthut.store.models import SourceOrder
from scripthut.store.source_orders import What

log = logging.getLogger(__name__)
Writing = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Material:
    """A source as an order meets it."""

    source: Source  # without the workflow
    glob: str
    paths: tuple[str, ...]
    read: Callable[[str], Mapping[str, bytes]]  # the file of a path, and the source's own rules
    workspace: Workspace = Workspace.SHARED
    folder: str | None = None
    notice: str | None = None


@dataclass(frozen=True)
class Kitchen:
    """With what orders are served."""

    config: Config
    writing: Writing
    backend: Callable[[str], Backend | None]
    homes: Mapping[str, PurePosixPath]  # where they are known


def serve(kitchen: Kitchen, order: SourceOrder, material: Material, now: datetime) -> None:
    """Do what an order asks, or write down why it cannot be done."""
    try:
        new = _new_run(kitchen.config, order, material)
        shown = None
        if order.what == What.PREVIEW:
            backend = kitchen.backend(new.backend)
            if backend is None:
                raise NotFound(f"The configuration has no backend {new.backend!r} any more.")
            shown = preview(kitchen.config, new, backend, kitchen.homes, now)
    except Invalid as error:
        refuse(kitchen.writing, order, error.problems, now)
        return
    except HutError as error:
        refuse(kitchen.writing, order, [str(error)], now)
        return
    except BROKEN as error:
        log.exception("order broke source=%s workflow=%s", order.source, order.workflow)
        refuse(kitchen.writing, order, [f"{order.workflow}: cannot be read: {error}"], now)
        return
    with kitchen.writing() as session:
        if shown is not None:
            source_orders.serve(session, order.id, now, result=shown)
            return
        try:
            run = create_run(session, ids.new_run_id(), new, now)
        except Invalid as error:
            source_orders.refuse(session, order.id, error.problems, now)
            return
        source_orders.serve(session, order.id, now, run_id=run.id)


def refuse(writing: Writing, order: SourceOrder, problems: list[str], now: datetime) -> None:
    """Write down why nothing comes of an order."""
    with writing() as session:
        source_orders.refuse(session, order.id, problems, now)


def _new_run(config: Config, order: SourceOrder, material: Material) -> NewRun:
    path = find(material.paths, order.workflow or "")
    files = material.read(path)
    if path not in files:
        raise Invalid(path, [f"{path}: is too large to be a document"])
    parsed = document.parse_text(text_of(path, files[path]), path, order.params)
    backend, rules = str(order.backend), files.get(OVERLAY)
    above = (*config.layers(backend), overlay(order.source, rules))
    notices = [material.notice] if material.notice else []
    if stacks(rules):
        notices.append(f"{OVERLAY}: stacks are kept, and not used by this version.")
    notices += config.beyond(backend, parsed.tasks)
    parsed = replace(parsed, notices=(*parsed.notices, *notices))
    return NewRun(
        name=run_name(order.source, path, material.glob),
        backend=backend,
        document=parsed,
        source=replace(material.source, workflow=path),
        folder=material.folder,
        layers=above,
        request_key=order.request_key,
        workspace=material.workspace,
    )
