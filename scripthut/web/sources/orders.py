"""What is asked of sources: orders written down, for the engine to serve."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import g

from scripthut.clock import utcnow
from scripthut.config import AnySource, GitSource, PathSource
from scripthut.core.errors import Invalid, NotFound
from scripthut.core.refs import check_ref
from scripthut.ids import new_run_id
from scripthut.store import source_orders, sources
from scripthut.store.machines import pauses
from scripthut.store.making.create import KEY_LENGTH
from scripthut.store.models import SourceOrder
from scripthut.store.source_orders import What
from scripthut.web.extensions import config, database

LONGEST_WAIT = 60.0  # seconds


@dataclass(frozen=True)
class Wish:
    """How somebody wants a workflow started."""

    workflow: object
    backend: object = None
    branch: object = None  # or a tag, or a commit
    params: object = field(default_factory=dict)
    request_key: object = None


def part_of(name: str) -> AnySource:
    """A source of the configuration; NotFound."""
    for part in config().sources:
        if part.name == name:
            return part
    known = ", ".join(part.name for part in config().sources) or "none"
    raise NotFound(f"There is no source {name!r}. The configuration has: {known}.")


def backends_of(part: AnySource) -> list[str]:
    """The backends that a source's workflows can run on, the one it prefers first."""
    names = [backend.name for backend in config().backends]
    if isinstance(part, PathSource):
        return [name for name in names if name == part.backend]
    return sorted(names, key=lambda name: name != part.backend)


def ask_sync(part: AnySource) -> str:
    """Ask that a source be looked at; the order's id. Conflict while it is paused."""
    pauses.check_source(g.session, part.name)
    return _write(SourceOrder(source=part.name, what=What.SYNC, params={}))


def ask_start(part: AnySource, wish: Wish, what: What = What.RUN) -> str:
    """Ask for a run, or for how it would look; the order's id. Invalid; NotFound; Conflict."""
    pauses.check_source(g.session, part.name)
    problems: list[str] = []
    order = SourceOrder(
        source=part.name,
        what=what,
        workflow=_workflow(part, wish, problems),
        backend=_backend(part, wish.backend, problems),
        ref=_ref(part, wish.branch, problems),
        params=_params(wish.params, problems),
        request_key=_key(wish.request_key, problems),
    )
    if problems:
        raise Invalid("The request", problems)
    return _write(order)


def await_end(order_id: str, seconds: float) -> SourceOrder:
    """An order, when it was served or so many seconds have passed."""
    until = time.monotonic() + min(max(0.0, seconds), LONGEST_WAIT)
    pause = 0.05
    while True:
        with database().reading() as session:
            order = source_orders.one(session, order_id)
        if order.ended_at is not None or time.monotonic() >= until:
            return order
        time.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(0.5, pause * 1.5)


def _write(order: SourceOrder) -> str:
    order.id, order.asked_at = new_run_id(), utcnow()
    with database().writing() as session:
        return source_orders.order(session, order).id


def _workflow(part: AnySource, wish: Wish, problems: list[str]) -> str:
    name = wish.workflow
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 1000:
        problems.append("workflow: name one, by its path in the source")
        return ""
    if wish.branch or sources.one(g.session, part.name) is None:
        return name  # what another commit holds is seen when it was brought
    return sources.workflow(g.session, part.name, name).path


def _backend(part: AnySource, wanted: object, problems: list[str]) -> str:
    names, why = backends_of(part), config().unusable(part.backend)
    if why and (not names or wanted is None or wanted == ""):
        choice = f"; choose one of {', '.join(names)}" if names else ""
        problems.append(f"backend: {why}{choice}")
        return ""
    if wanted is None or wanted == "":
        has_choice = len(names) > 1 and part.backend is None
        if has_choice:
            problems.append(f"backend: choose one of {', '.join(names)}")
        return names[0]
    if wanted not in names:
        problems.append(f"backend: {wanted!r} is not one of {', '.join(names)}")
    return str(wanted)


def _ref(part: AnySource, wanted: object, problems: list[str]) -> str | None:
    if wanted is None or wanted == "":
        return None
    if not isinstance(part, GitSource):
        problems.append(f"branch: {part.name} is a directory and has no branches")
        return None
    try:
        return check_ref(str(wanted))
    except ValueError as error:
        problems.append(f"branch: {error}")
        return None


def _params(given: object, problems: list[str]) -> dict[str, object]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(
        isinstance(value, str | int | float) for value in given.values()
    ):
        problems.append('params: is not a mapping like {"NAME": value}')
        return {}
    return {str(name): value for name, value in given.items()}


def _key(key: object, problems: list[str]) -> str | None:
    if key is None or key == "":
        return None
    if not isinstance(key, str) or len(key) > KEY_LENGTH:
        problems.append(f"request_key: is not a text of at most {KEY_LENGTH} characters")
        return None
    return key
