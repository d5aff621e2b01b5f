"""A task's life as a table, and a run's state as a function of its tasks'.

Rule 1: everything that decides which state follows which lives in TABLE. An event that a state
has no entry for is an IllegalTransition, never a shrug; an entry of the same state means that
there is nothing new. docs: ARCHITECTURE.md, "A task's life".
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a task stands."""

    PENDING = "pending"  # waits for its dependencies or a slot
    SUBMITTING = "submitting"  # the intent is committed; whether the scheduler knows is not known
    SUBMITTED = "submitted"  # the scheduler gave an id
    QUEUED = "queued"
    RUNNING = "running"
    SETTLING = "settling"  # left the queue, verdict not confirmed; nothing downstream moves
    GENERATING = "generating"  # its job ended well; the document it wrote has not joined the run
    RETRYING = "retrying"  # its job failed, and its policy tries it again at a time that is set
    LOST = "lost"  # asked, answered, and for PATIENCE no record anywhere; a person decides
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEP_FAILED = "dep_failed"


class Event(StrEnum):
    """What can happen to a task."""

    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_FOUND = "not_found"  # the scheduler was asked for a token and never heard of it
    SEEN_WAITING = "seen_waiting"
    SEEN_RUNNING = "seen_running"
    LEFT_QUEUE = "left_queue"
    EXITED_OK = "exited_ok"
    EXITED_BAD = "exited_bad"
    CANCELLED = "cancelled"
    VANISHED = "vanished"
    RESTORED = "restored"
    DEPENDENCY_FAILED = "dependency_failed"
    VOUCHED = "vouched"  # a person says that a lost task did complete
    DENIED = "denied"  # a person says that a lost task did not
    RETRIED = "retried"  # by a person
    PRODUCED = "produced"  # a generator's job exited 0
    WILL_RETRY = "will_retry"  # it failed, and its policy says when to try again
    DUE = "due"  # that time has come


class IllegalTransition(Exception):
    """An event that cannot happen to a task in this state: a defect, not a circumstance."""


S, E = State, Event
_ENDS: Mapping[Event, State] = {
    E.EXITED_OK: S.COMPLETED,
    E.EXITED_BAD: S.FAILED,
    E.CANCELLED: S.CANCELLED,
    E.PRODUCED: S.GENERATING,
    E.WILL_RETRY: S.RETRYING,
}
_QUEUE: Mapping[Event, State] = {
    E.SEEN_WAITING: S.QUEUED,
    E.SEEN_RUNNING: S.RUNNING,
    E.LEFT_QUEUE: S.SETTLING,
}
_AGAIN: Mapping[Event, State] = {E.RETRIED: S.PENDING}

TABLE: Mapping[State, Mapping[Event, State]] = {
    S.PENDING: {
        E.CLAIMED: S.SUBMITTING,
        E.CANCELLED: S.CANCELLED,
        E.RESTORED: S.COMPLETED,
        E.DEPENDENCY_FAILED: S.DEP_FAILED,
    },
    S.SUBMITTING: {E.ACCEPTED: S.SUBMITTED, E.REFUSED: S.FAILED, E.NOT_FOUND: S.PENDING},
    S.SUBMITTED: {**_QUEUE, **_ENDS, E.VANISHED: S.LOST},
    S.QUEUED: {**_QUEUE, **_ENDS},
    S.RUNNING: {**_QUEUE, **_ENDS},
    S.SETTLING: {**_QUEUE, **_ENDS, E.VANISHED: S.LOST},
    S.GENERATING: {
        E.EXITED_OK: S.COMPLETED,
        E.EXITED_BAD: S.FAILED,
        E.WILL_RETRY: S.RETRYING,
        E.CANCELLED: S.CANCELLED,
    },
    S.RETRYING: {E.DUE: S.PENDING, E.CANCELLED: S.CANCELLED, **_AGAIN},
    S.LOST: {**_ENDS, E.VOUCHED: S.COMPLETED, E.DENIED: S.FAILED, **_AGAIN},
    S.COMPLETED: _AGAIN,
    S.FAILED: _AGAIN,
    S.CANCELLED: _AGAIN,
    S.DEP_FAILED: _AGAIN,
}

TERMINAL = frozenset({S.COMPLETED, S.FAILED, S.CANCELLED, S.DEP_FAILED})
OPEN = frozenset(State) - TERMINAL
SPENT = TERMINAL | {S.GENERATING, S.RETRYING}
"""States in which the attempt's job has ended: what it wrote is collected."""
LIVE = frozenset({S.SUBMITTING, S.SUBMITTED, S.QUEUED, S.RUNNING, S.SETTLING})
"""States in which the scheduler is asked; they occupy a slot. LOST is asked about too."""
BROKEN = frozenset({S.FAILED, S.CANCELLED, S.DEP_FAILED})
"""Ends that a dependent task cannot follow."""


def after(state: State, event: Event) -> State:
    """The state that follows; IllegalTransition when the event cannot happen here."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalTransition(f"{event} cannot happen to a task that is {state}") from None


class RunState(StrEnum):
    """What a run is said to be; derived from its tasks, never stored."""

    PENDING = "pending"
    RUNNING = "running"
    STALLED = "stalled"  # nothing moves until a person decides about a lost task
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def run_state(counts: Mapping[State, int]) -> RunState:
    """A run's state from how many of its tasks are in which state: the first row that fits.

    >>> run_state({State.COMPLETED: 3, State.PENDING: 1}), run_state({State.PENDING: 4})
    (<RunState.RUNNING: 'running'>, <RunState.PENDING: 'pending'>)
    """
    seen = {state for state, count in counts.items() if count}
    if seen <= TERMINAL:
        return _ended(seen)
    if seen & (LIVE | {S.GENERATING, S.RETRYING}):
        return RunState.RUNNING
    if S.LOST in seen:
        return RunState.STALLED
    return RunState.PENDING if seen == {S.PENDING} else RunState.RUNNING


def _ended(seen: set[State]) -> RunState:
    if S.FAILED in seen:
        return RunState.FAILED
    if S.CANCELLED in seen:
        return RunState.CANCELLED
    return RunState.FAILED if S.DEP_FAILED in seen else RunState.COMPLETED
