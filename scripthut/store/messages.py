"""What people are told about runs: who follows which, what there is to tell, what was sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from scripthut.core.errors import NotFound
from scripthut.core.happenings import Interest, What, happened
from scripthut.core.states import State
from scripthut.store.collected import is_settled
from scripthut.store.models import Channel, Follower, MessageRow, Output, Run, Task
from scripthut.store.runs import find_run

SETTLES = timedelta(minutes=2)  # an ended run is told of when all is collected, or after this
BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 240, 720))
KEEP = timedelta(days=30)  # how long it is known what was sent
LATEST = KEEP / 2  # after its end a run is told of; less than KEEP, or it would be told of again


@dataclass(frozen=True)
class Due:
    """A message to be sent now; `tries` counts this one."""

    id: int
    run_id: str
    channel: str
    what: What
    tries: int


@dataclass(frozen=True)
class Sent:
    """What became of a message. `sent_at` and `problem` None: it waits."""

    channel: str
    what: What
    made_at: datetime
    sent_at: datetime | None
    problem: str | None
    is_given_up: bool


def follow(session: Session, run_id: str, channel: str) -> None:
    """Have a channel told of a run, whatever its rule says; once is enough. NotFound."""
    find_run(session, run_id)
    if session.get(Follower, (run_id, channel)) is None:
        session.add(Follower(run_id=run_id, channel=channel))


def unfollow(session: Session, run_id: str, channel: str) -> None:
    """Take a wish to be told of a run back."""
    row = session.get(Follower, (run_id, channel))
    if row is None:
        raise NotFound(f"{channel} does not follow the run {run_id}.")
    session.delete(row)


def followers(session: Session, run_id: str) -> set[str]:
    """The channels that asked to be told of a run."""
    return set(session.scalars(select(Follower.channel).where(Follower.run_id == run_id)))


def known(session: Session) -> Mapping[str, datetime]:
    """The channels, and since when each is told of anything."""
    return {row.name: row.since for row in session.scalars(select(Channel))}


def register(session: Session, names: Collection[str], now: datetime) -> None:
    """Begin with new channels, and forget those that are gone."""
    session.execute(delete(Channel).where(Channel.name.not_in(names)))
    for name in set(names) - set(known(session)):
        session.add(Channel(name=name, since=now))


def untold(session: Session, interests: Mapping[str, Interest], now: datetime) -> list[MessageRow]:
    """Messages that nobody has written down yet, not added to the session."""
    since = known(session)
    if not since:
        return []
    runs = _recent(session, max(min(since.values()), now - LATEST))
    ids = [run.id for run in runs]
    counts, asked, told = _counts(session, ids), _followers(session, ids), _told(session, ids)
    found = []
    for run in runs:
        ending = run.ended_at.isoformat() if run.ended_at else ""
        for name, interest in interests.items():
            is_new = name in since and (run.ended_at or now) > since[name]
            if not is_new or not (interest.is_in(run.name, run.backend) or (run.id, name) in asked):
                continue
            whats = happened(counts.get(run.id, {}), run.ended_at is not None) & interest.on
            new = [what for what in whats if (run.id, name, what.value, ending) not in told]
            if new and (run.ended_at is None or _is_ready(session, run, now)):
                found += [_row(run, name, what, ending, now) for what in new]
    return found


def due(session: Session, now: datetime, limit: int = 20) -> list[Due]:
    """The messages to send now, each counted as tried and due again later: the intent."""
    statement = select(MessageRow).where(MessageRow.due_at <= now).order_by(MessageRow.id)
    found = []
    for row in session.scalars(statement.limit(limit)):
        row.tries += 1
        row.due_at = now + BACK_OFF[min(row.tries, len(BACK_OFF)) - 1]
        found.append(Due(row.id, row.run_id, row.channel, What(row.what), row.tries))
    return found


def is_due(session: Session, now: datetime) -> bool:
    """Whether any message is to be sent now."""
    statement = select(MessageRow.id).where(MessageRow.due_at <= now).limit(1)
    return session.execute(statement).first() is not None


def sent(session: Session, message: int, now: datetime) -> None:
    """Note that a message was handed over."""
    facts = {"sent_at": now, "due_at": None, "problem": None}
    session.execute(update(MessageRow).where(MessageRow.id == message).values(facts))


def not_sent(session: Session, message: int, problem: str, is_final: bool) -> None:
    """Note why a message was not sent; it is tried again unless that is final."""
    row = session.get(MessageRow, message)
    if row is None:
        return
    row.problem = problem
    if is_final or row.tries > len(BACK_OFF):
        row.due_at = None


def of_run(session: Session, run_id: str) -> list[Sent]:
    """What was told of a run, and what could not be, the oldest first."""
    statement = select(MessageRow).where(MessageRow.run_id == run_id).order_by(MessageRow.id)
    return [
        Sent(
            row.channel,
            What(row.what),
            row.made_at,
            row.sent_at,
            row.problem,
            row.due_at is None and row.sent_at is None,
        )
        for row in session.scalars(statement)
    ]


def forget_old(session: Session, now: datetime) -> None:
    """Drop what was settled long ago, of runs that ended long ago: of others it is still asked."""
    ended = select(Run.id).where(Run.ended_at < now - KEEP)
    old = (MessageRow.made_at < now - KEEP) & MessageRow.run_id.in_(ended)
    session.execute(delete(MessageRow).where(old, MessageRow.due_at.is_(None)))


def failures(session: Session, run_id: str, limit: int) -> list[tuple[str, str]]:
    """The first tasks of a run that failed: (id, reason)."""
    statement = (
        select(Task.key, func.coalesce(Task.reason, ""))
        .where(Task.run_id == run_id, Task.state == State.FAILED)
        .order_by(Task.finished_at, Task.n)
    )
    return [(key, reason) for key, reason in session.execute(statement.limit(limit))]


def picture(session: Session, run_id: str, task: str, raw: bytes | None) -> Output | None:
    """A kept image of a task: the one of that path, or (None) its first."""
    statement = (
        select(Output)
        .join(Task, Task.id == Output.task_id)
        .where(Task.run_id == run_id, Task.key == task, Output.attempt == Task.attempt)
        .where(Output.kind == "image", Output.sha256.is_not(None))
        .order_by(Output.path)
    )
    if raw is not None:
        statement = statement.where(Output.raw == raw)
    return session.scalars(statement.limit(1)).one_or_none()


def _recent(session: Session, since: datetime) -> Sequence[Run]:
    """The runs that go on, and those that ended since."""
    statement = select(Run).where(or_(Run.ended_at.is_(None), Run.ended_at > since))
    return session.scalars(statement.order_by(Run.created_at)).all()


def _counts(session: Session, ids: Collection[str]) -> dict[str, dict[State, int]]:
    statement = select(Task.run_id, Task.state, func.count()).where(Task.run_id.in_(ids))
    found: dict[str, dict[State, int]] = {}
    for run_id, state, count in session.execute(statement.group_by(Task.run_id, Task.state)):
        found.setdefault(run_id, {})[State(state)] = count
    return found


def _followers(session: Session, ids: Collection[str]) -> set[tuple[str, str]]:
    statement = select(Follower.run_id, Follower.channel).where(Follower.run_id.in_(ids))
    return {(run_id, channel) for run_id, channel in session.execute(statement)}


def _told(session: Session, ids: Collection[str]) -> set[tuple[str, str, str, str]]:
    columns = (MessageRow.run_id, MessageRow.channel, MessageRow.what, MessageRow.ending)
    statement = select(*columns).where(MessageRow.run_id.in_(ids))
    return {(run_id, name, what, end) for run_id, name, what, end in session.execute(statement)}


def _is_ready(session: Session, run: Run, now: datetime) -> bool:
    ended = run.ended_at
    return ended is None or now > ended + SETTLES or is_settled(session, run.id)


def _row(run: Run, channel: str, what: What, ending: str, now: datetime) -> MessageRow:
    facts = {"run_id": run.id, "channel": channel, "what": what.value, "ending": ending}
    return MessageRow(**facts, made_at=now, due_at=now, tries=0)
