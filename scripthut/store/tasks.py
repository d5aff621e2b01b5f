"""Tasks: what a cycle must know of them, and `move`, the one writer of a task's state."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, insert, or_, select, union_all, update
from sqlalchemy.orm import Session, contains_eager
from sqlalchemy.orm.attributes import set_committed_value

from scripthut.core.states import LIVE, OPEN, SPENT, TERMINAL, Event, State, after
from scripthut.core.workflow.graph import Node
from scripthut.store import usage
from scripthut.store.index import on_backend
from scripthut.store.models import EventRow, Run, Task, WatchRow
from scripthut.store.versions import next_version

COLLECT_FOR = timedelta(days=1)  # how long a task's outputs are asked for though nobody looks
ENDED = 500  # ended tasks whose outputs are asked for in one look
RECALLED = 200  # those of which they are asked for again

UNSEEN = frozenset({"missing_since", "progress_mark"})  # the engine's own book-keeping


def move(
    session: Session, task: Task, event: Event, now: datetime, facts: Mapping[str, object]
) -> bool:
    """Move a task as the table says; the only writer of a task's state.

    Compare and set: False, and nothing written, when the task is no longer in the state in which
    it was read (another writer was first). `facts` are columns that change with it. Raises
    IllegalTransition when the table has no such move.
    """
    old, new = task.state, after(task.state, event)
    version = next_version(session, task.run_id)
    changes = {**facts, "state": new, "version": version}
    if new in SPENT:
        changes["missing_since"] = None
        if old not in SPENT:  # a generator's job ended long before its tasks joined
            changes.setdefault("finished_at", now)
            changes["ended_seen_at"] = now
    statement = (
        update(Task)
        .where(Task.id == task.id, Task.state == old, Task.attempt == task.attempt)
        .values(changes)
        .execution_options(synchronize_session=False)
    )
    if session.connection().execute(statement).rowcount != 1:
        return False
    note = facts.get("reason")
    session.add(
        EventRow(
            run_id=task.run_id,
            task_id=task.id,
            at=now,
            what=event.value,
            old=old.value,
            new=new.value,
            note=note if isinstance(note, str) else None,
        )
    )
    if new in TERMINAL:
        _close_run(session, task.run_id, now)
    for name, value in changes.items():
        set_committed_value(task, name, value)  # the row has it already: nothing to flush
    if new in TERMINAL:
        usage.spend(session, task)
    return True


def move_pending(  # noqa: PLR0913
    session: Session,
    run_id: str,
    event: Event,
    now: datetime,
    reason: str,
    ids: Collection[int] | None = None,
) -> int:
    """Move many of a run's pending tasks (`ids` None: all) at once; says how many moved.

    What `move` does, in three statements however many they are: a run of 10,000 tasks must not
    hold the database's one writer for long. One with a token was submitted once, and its job may
    still arrive: it is cancelled only after the token was withdrawn.
    """
    new = after(State.PENDING, event)
    facts: dict[str, object] = {"reason": reason}
    if new in TERMINAL:
        facts |= {"finished_at": now, "ended_seen_at": now, "missing_since": None}
    which = Task.run_id == run_id
    if ids is not None:
        which &= Task.id.in_(ids)
    if event is Event.CANCELLED:
        which &= Task.token.is_(None)
    moved = _move_all(session, run_id, State.PENDING, event, which, facts, now)
    if new in TERMINAL:
        _close_run(session, run_id, now)
    return moved


def move_again(  # noqa: PLR0913
    session: Session,
    run_id: str,
    old: State,
    ids: Collection[int],
    now: datetime,
    facts: Mapping[str, object],
) -> int:
    """Move many of a run's tasks that are in one state back to pending; says how many moved.

    What `move` does, as `move_pending`: all that failed of a run may be thousands.
    """
    return _move_all(session, run_id, old, Event.RETRIED, Task.id.in_(ids), facts, now)


def _move_all(  # noqa: PLR0913
    session: Session,
    run_id: str,
    old: State,
    event: Event,
    which: ColumnElement[bool],
    facts: Mapping[str, object],
    now: datetime,
) -> int:
    new = after(old, event)
    changes = {**facts, "state": new, "version": next_version(session, run_id)}
    statement = (
        update(Task)
        .where(Task.state == old, which)
        .values(changes)
        .returning(Task.id)
        .execution_options(synchronize_session=False)
    )
    moved = session.execute(statement).scalars().all()
    said = {"run_id": run_id, "at": now, "what": event.value, "note": facts.get("reason")}
    said |= {"old": old.value, "new": new.value}
    if moved:
        session.execute(insert(EventRow), [{**said, "task_id": task_id} for task_id in moved])
    return len(moved)


def learn(session: Session, task: Task, facts: Mapping[str, object]) -> bool:
    """Write facts that do not change the state; False when there is nothing new in them."""
    changes = {name: value for name, value in facts.items() if getattr(task, name) != value}
    if not changes:
        return False
    if set(changes) - UNSEEN:
        changes["version"] = next_version(session, task.run_id)
    statement = update(Task).where(Task.id == task.id, Task.attempt == task.attempt)
    session.connection().execute(statement.values(changes))
    return True


def _close_run(session: Session, run_id: str, now: datetime) -> None:
    """Note when the last task of a run has ended."""
    # By the states it names, the index finds none at once; NOT IN would walk over all that ended.
    open_tasks = select(Task.id).where(Task.run_id == run_id, Task.state.in_(OPEN))
    statement = (
        update(Run)
        .where(Run.id == run_id, Run.ended_at.is_(None), ~open_tasks.exists())
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )
    session.connection().execute(statement)


def uncollected(now: datetime) -> ColumnElement[bool]:
    """Was a job, ended not long ago, and not everything it wrote has been fetched."""
    return _left() & (Task.ended_seen_at > now - COLLECT_FOR)


def _left() -> ColumnElement[bool]:
    """Was a job that ended, and not everything it wrote has been fetched."""
    is_open = Task.collected_at.is_(None)
    # Found by an index of those that are open: by their state they were all that ever ended.
    has_ended = Task.state.concat("").in_(SPENT)
    return is_open & has_ended & Task.job_id.is_not(None)


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Is it time to look again where something could not be had."""
    return or_(Task.collect_at.is_(None), Task.collect_at <= now)


def to_watch(session: Session, backend: str, now: datetime) -> Sequence[Task]:
    """The tasks a cycle asks a backend about: live, lost, or ended and not yet collected.

    Each comes with its run, the oldest first. Of those that ended, some that are to be asked for
    now: a day on which the server's disk is full leaves many thousands.
    """
    live = select(Task.id).where(Task.state.in_([*LIVE, State.LOST]))
    ended = (
        select(Task.id)
        .join(Task.run)
        .where(on_backend(backend), uncollected(now), _is_due(now))
        .order_by(Task.ended_seen_at, Task.id)
        .limit(ENDED)
        .subquery()
    )
    statement = (
        select(Task)
        .join(Task.run)
        .where(on_backend(backend))
        # Each by its own index: joined by "or" they were looked for among all tasks.
        .where(Task.id.in_(union_all(live, select(ended.c.id))))
        .options(contains_eager(Task.run))
        .order_by(Task.id)
    )
    return session.scalars(statement).all()


def recalled(session: Session, backend: str, now: datetime) -> Sequence[Task]:
    """Tasks that ended long ago, whose files are not here, and at whose run somebody looks.

    Each comes with its run; those first that are looked at themselves.
    """
    looks = select(WatchRow.task_id).where(WatchRow.until > now)
    own = looks.where(WatchRow.task_id == Task.id).exists()
    looked_at = select(WatchRow.run_id).where(WatchRow.until > now)
    statement = (
        select(Task)
        .join(Task.run)
        .where(on_backend(backend), Run.removed_at.is_(None))
        .where(_left(), Task.ended_seen_at <= now - COLLECT_FOR)
        .where(Task.run_id.in_(looked_at))
        .where(_is_due(now))
        .options(contains_eager(Task.run))
        .order_by(own.desc(), Task.id)
        .limit(RECALLED)
    )
    return session.scalars(statement).all()


def active_runs(session: Session, backend: str) -> Sequence[Run]:
    """The runs of a backend that are not over, the oldest first."""
    statement = select(Run).where(Run.backend == backend, Run.ended_at.is_(None))
    return session.scalars(statement.order_by(Run.created_at, Run.id)).all()


def nodes(session: Session, run_id: str) -> list[Node]:
    """A run's tasks as the planner sees them, in the document's order."""
    statement = select(Task.id, Task.key, Task.state, Task.deps).where(Task.run_id == run_id)
    return [Node(*row) for row in session.execute(statement.order_by(Task.n))]


def live_counts(session: Session, backend: str) -> dict[str, int]:
    """Run id -> how many of its tasks hold a slot of the backend."""
    statement = (
        select(Task.run_id, func.count())
        .join(Task.run)
        .where(on_backend(backend), Task.state.in_(LIVE))
        .group_by(Task.run_id)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def by_ids(session: Session, ids: Collection[int]) -> Sequence[Task]:
    """Tasks by their row ids, each with its run, in the order of their ids."""
    statement = select(Task).join(Task.run).where(Task.id.in_(ids)).order_by(Task.id)
    return session.scalars(statement.options(contains_eager(Task.run))).all()


def of_arrays(session: Session, ids: Collection[int]) -> set[int]:
    """Which of some tasks may be submitted with others as one array."""
    is_array = Task.spec["array"].as_boolean()
    return set(session.scalars(select(Task.id).where(Task.id.in_(ids), is_array)))


def to_cancel(session: Session, backend: str, again_before: datetime) -> Sequence[Task]:
    """Live tasks whose cancellation is asked for and not sent, or sent before `again_before`.

    Those too whose submission has no known outcome.
    """
    statement = (
        select(Task)
        .join(Task.run)
        .where(on_backend(backend), Task.cancel_asked_at.is_not(None))
        .where(Task.state.in_(LIVE))
        .where(or_(Task.cancel_sent_at.is_(None), Task.cancel_sent_at < again_before))
        .options(contains_eager(Task.run))
        .order_by(Task.id)
    )
    return session.scalars(statement).all()


def unwanted(session: Session, backend: str) -> dict[str, list[Task]]:
    """Run id -> pending tasks whose cancellation was ordered."""
    statement = (
        select(Task)
        .join(Task.run)
        .where(on_backend(backend), Run.ended_at.is_(None))
        .where(Task.state == State.PENDING, Task.cancel_asked_at.is_not(None))
        .order_by(Task.id)
    )
    found: dict[str, list[Task]] = {}
    for task in session.scalars(statement):
        found.setdefault(task.run_id, []).append(task)
    return found


def mark_cancel_sent(session: Session, ids: Collection[int], now: datetime) -> None:
    """Note that the scheduler was told to cancel these tasks."""
    session.connection().execute(update(Task).where(Task.id.in_(ids)).values(cancel_sent_at=now))


def news(session: Session, now: datetime) -> dict[str, int]:
    """Backend -> the sum of the versions of its runs: it grows whenever any of them changes.

    Only runs that are not over, and those whose last outputs are not collected yet.
    """
    open_runs = select(Run.id).where(Run.ended_at.is_(None))
    theirs = union_all(open_runs, select(Task.run_id).where(uncollected(now)))
    statement = (
        select(Run.backend, func.sum(Run.version + 1))
        .where(Run.id.in_(theirs))
        .group_by(Run.backend)
    )
    return {backend: int(versions) for backend, versions in session.execute(statement)}


def alive(session: Session, now: datetime) -> set[str]:
    """The backends of which a task lives, or has left something that is to be collected."""
    live = select(Task.run_id).where(Task.state.in_(LIVE))
    theirs = union_all(live, select(Task.run_id).where(uncollected(now)))
    return set(session.scalars(select(Run.backend).where(Run.id.in_(theirs)).distinct()))


def ordered(session: Session, now: datetime) -> set[str]:
    """The backends that have an order to cancel which was not sent yet, or a task to try again."""
    is_unsent = Task.cancel_asked_at.is_not(None) & Task.cancel_sent_at.is_(None)
    is_order = Task.state.in_(LIVE) & is_unsent
    is_due = (Task.state == State.RETRYING) & (Task.retry_at <= now)
    statement = select(Run.backend).join(Task, Task.run_id == Run.id).where(or_(is_order, is_due))
    return set(session.scalars(statement.distinct()))


def give_up_collecting(session: Session, now: datetime) -> None:
    """Say of what tasks wrote that their cluster has not given it for a day.

    Nobody asks for it any more by itself; it is asked for again when somebody looks.
    """
    problem = (
        "not everything was collected: the cluster did not give it within a day. "
        "It is asked for again while somebody looks"
    )
    statement = (
        update(Task)
        .where(_left(), Task.ended_seen_at <= now - COLLECT_FOR, Task.outputs_problem.is_(None))
        .values(outputs_problem=problem)
    )
    session.connection().execute(statement)


def log_dirs(session: Session, backend: str) -> list[tuple[str, str]]:
    """The runs of a backend that have not ended and have begun to write, and where they log."""
    statement = select(Run.id, Run.log_dir).where(Run.backend == backend, Run.ended_at.is_(None))
    rows = session.execute(statement.order_by(Run.id))
    return [(run_id, log_dir) for run_id, log_dir in rows if log_dir is not None]
