"""The state table, exhausted."""

import itertools

import pytest

from scripthut.core.states import (
    BROKEN,
    LIVE,
    TABLE,
    TERMINAL,
    Event,
    IllegalTransition,
    RunState,
    State,
    after,
    run_state,
)

PEOPLE = {Event.RETRIED, Event.VOUCHED, Event.DENIED}  # what only a person can make happen


def test_every_state_has_a_row_and_every_row_leads_to_a_state() -> None:
    assert set(TABLE) == set(State)
    assert {state for row in TABLE.values() for state in row.values()} <= set(State)


def test_every_event_can_happen_somewhere() -> None:
    assert {event for row in TABLE.values() for event in row} == set(Event)


def reachable(start: State, without: set[Event] = frozenset()) -> set[State]:
    seen, todo = {start}, [start]
    while todo:
        for event, state in TABLE[todo.pop()].items():
            if event not in without and state not in seen:
                seen.add(state)
                todo.append(state)
    return seen


def test_every_state_is_reached_from_pending() -> None:
    assert reachable(State.PENDING) == set(State)


@pytest.mark.parametrize("state", sorted(set(State) - TERMINAL))
def test_every_state_that_is_no_end_reaches_one_without_a_person(state: State) -> None:
    assert reachable(state, PEOPLE) & TERMINAL


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_end_is_left_only_when_a_person_retries(state: State) -> None:
    assert dict(TABLE[state]) == {Event.RETRIED: State.PENDING}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_what_is_not_in_the_table_is_illegal(state: State, event: Event) -> None:
    if event in TABLE[state]:
        assert after(state, event) is TABLE[state][event]
    else:
        with pytest.raises(IllegalTransition, match=f"{event} cannot happen"):
            after(state, event)


def test_a_live_task_completes_only_by_evidence_of_exit_0() -> None:
    to_completed = {
        (state, event)
        for state in LIVE | {State.LOST}
        for event, new in TABLE[state].items()
        if new is State.COMPLETED
    }
    assert {event for _, event in to_completed} == {Event.EXITED_OK, Event.VOUCHED}
    assert (State.SUBMITTING, Event.EXITED_OK) not in to_completed


MIXTURES = [mix for n in range(1, 4) for mix in itertools.combinations(State, n)]


@pytest.mark.parametrize("states", MIXTURES)
def test_a_run_has_ended_exactly_when_all_its_tasks_have(states: tuple[State, ...]) -> None:
    said = run_state(dict.fromkeys(states, 1))
    ended = said in {RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED}
    assert ended == (set(states) <= TERMINAL)
    assert (said is RunState.COMPLETED) == (set(states) == {State.COMPLETED})


def test_a_run_with_a_cancelled_task_and_its_broken_dependents_reads_cancelled() -> None:
    counts = {State.COMPLETED: 1, State.CANCELLED: 1, State.DEP_FAILED: 5}
    assert run_state(counts) is RunState.CANCELLED


def test_a_run_that_only_waits_for_a_person_reads_stalled() -> None:
    assert run_state({State.LOST: 1, State.PENDING: 3}) is RunState.STALLED
    assert run_state({State.LOST: 1, State.RUNNING: 3}) is RunState.RUNNING


def test_a_half_done_run_reads_running_and_not_pending() -> None:
    assert run_state({State.COMPLETED: 2, State.PENDING: 2}) is RunState.RUNNING


def test_broken_ends_are_ends() -> None:
    assert BROKEN < TERMINAL
