"""What evidence proves, over all combinations of state, sighting, note and age."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scripthut.core.jobs import ExitNote, Phase, Sighting
from scripthut.core.judge import (
    LATE,
    PATIENCE,
    UNHEARD,
    WORD,
    Evidence,
    Standing,
    Verdict,
    ended_unclaimed,
    judge,
)
from scripthut.core.states import LIVE, TABLE, TERMINAL, Event, State

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=2)
TOKEN = "abcdefgh.0.1"


def sighting(phase: Phase, word: str = "X", reason: str | None = None, **kw: object) -> Sighting:
    return Sighting("17", phase, word, reason, **kw)  # type: ignore[arg-type]


def note(code: int, ended: datetime = NOW, seconds: int = 60, job_id: str = "17") -> ExitNote:
    return ExitNote(TOKEN, job_id, code, ended - timedelta(seconds=seconds), ended, "n1")


def verdict(
    state: State, seen: Evidence, since: datetime = LONG_AGO, **standing: object
) -> Verdict:
    standing.setdefault("submitted_at", LONG_AGO)
    return judge(Standing(state, **standing), seen, NOW, since)  # type: ignore[arg-type]


SIGHTINGS = [None, *(sighting(phase) for phase in Phase)]
NOTES = [None, note(0), note(3), note(143), note(0, seconds=7200), note(137, ended=LONG_AGO)]
AGES = [None, NOW - timedelta(seconds=5), NOW - PATIENCE, LONG_AGO]
FLAGS = list(itertools.product([False, True], repeat=2))


@pytest.mark.parametrize("state", list(State))
def test_no_combination_of_evidence_asks_for_an_illegal_move(state: State) -> None:
    for seen, exit_note, age, (cancelled, unanswered) in itertools.product(
        SIGHTINGS, NOTES, AGES, FLAGS
    ):
        for claim, limit in itertools.product([None, "17", "99"], [None, 3600]):
            found = verdict(
                state,
                Evidence(seen, exit_note, claim, unanswered),
                missing_since=age,
                cancel_asked=cancelled,
                cancel_sent=cancelled,
                time_limit=limit,
            )
            assert found.event is None or found.event in TABLE[state], (seen, exit_note, age)


@pytest.mark.parametrize("state", list(State))
def test_completion_is_never_concluded_without_evidence_of_exit_0(state: State) -> None:
    for seen, exit_note, age, (cancelled, unanswered) in itertools.product(
        SIGHTINGS, NOTES, AGES, FLAGS
    ):
        found = verdict(
            state,
            Evidence(seen, exit_note, None, unanswered),
            missing_since=age,
            cancel_asked=cancelled,
        )
        if found.event is Event.EXITED_OK:
            said_done = seen is not None and seen.phase is Phase.DONE
            noted_zero = exit_note is not None and exit_note.code == 0
            assert said_done or noted_zero
            assert exit_note is None or exit_note.code == 0


@pytest.mark.parametrize("state", sorted(LIVE | {State.LOST}))
def test_an_unanswered_question_moves_nothing(state: State) -> None:
    found = verdict(state, Evidence(unanswered=True), missing_since=LONG_AGO)
    assert found.event is None


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_end_is_an_end_whatever_is_seen(state: State) -> None:
    assert verdict(state, Evidence(sighting(Phase.RUNNING), note(0))).event is None


def test_an_outage_does_not_use_up_patience() -> None:
    answers_again = NOW - timedelta(seconds=4)
    found = verdict(State.SETTLING, Evidence(), since=answers_again, missing_since=LONG_AGO)
    assert found.event is None


def test_a_job_that_nobody_remembers_is_lost_and_not_completed() -> None:
    found = verdict(State.SETTLING, Evidence(), missing_since=NOW - PATIENCE)
    assert found.event is Event.VANISHED
    assert "no record" in str(found.facts["reason"])


def test_a_job_that_left_the_queue_settles() -> None:
    found = verdict(State.RUNNING, Evidence())
    assert (found.event, found.facts["missing_since"]) == (Event.LEFT_QUEUE, NOW)


def test_a_job_accepted_seconds_ago_may_not_be_in_the_queue_yet() -> None:
    found = verdict(State.SUBMITTED, Evidence(), submitted_at=NOW - timedelta(seconds=3))
    assert found.event is None


@pytest.mark.parametrize(
    "seen",
    [
        Evidence(sighting(Phase.WAITING)),
        Evidence(note=note(0)),
        Evidence(claimed_by="17"),
        Evidence(sighting(Phase.CANCELLED)),
    ],
    ids=["queue", "note", "claim", "final row"],
)
def test_any_trace_of_a_token_is_an_acceptance(seen: Evidence) -> None:
    found = verdict(State.SUBMITTING, seen)
    assert (found.event, found.facts["job_id"]) == (Event.ACCEPTED, "17")


def test_the_job_that_holds_the_claim_is_the_one_that_is_adopted() -> None:
    seen = Evidence(Sighting("18", Phase.RUNNING, "RUNNING"), claimed_by="17")
    assert verdict(State.SUBMITTING, seen).facts["job_id"] == "17"


def test_a_submission_is_repeated_only_after_a_minute_of_no_such_job() -> None:
    early = verdict(State.SUBMITTING, Evidence(), missing_since=NOW - UNHEARD / 2)
    late = verdict(State.SUBMITTING, Evidence(), missing_since=NOW - UNHEARD)
    outage = verdict(State.SUBMITTING, Evidence(), since=NOW, missing_since=LONG_AGO)
    assert [early.event, late.event, outage.event] == [None, Event.NOT_FOUND, None]


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.RUNNING])
def test_a_note_counts_only_once_the_queue_has_let_go_of_the_job(phase: Phase) -> None:
    seen = Evidence(sighting(phase), note(0), claimed_by="17")
    found = verdict(State.RUNNING, seen, started_at=LONG_AGO)
    assert found.event is not Event.EXITED_OK  # one that requeues itself runs again
    assert verdict(State.RUNNING, Evidence(note=note(0))).event is Event.EXITED_OK


def test_a_requeue_is_counted_and_makes_the_note_of_the_run_before_void() -> None:
    waits = Evidence(sighting(Phase.WAITING), note(0), claimed_by="17")
    found = verdict(State.RUNNING, waits, started_at=LONG_AGO)
    assert (found.event, found.facts["requeues"]) == (Event.SEEN_WAITING, 1)
    assert found.facts["void_note"] == NOW
    assert "requeues" not in verdict(State.QUEUED, waits, requeues=1).facts


@pytest.mark.parametrize(
    ("requeues", "began", "is_void"),
    [(1, 5, True), (1, -5, False), (0, 5, False), (0, 90, True)],
)
def test_a_note_that_is_older_than_what_runs_is_void_where_the_wait_between_was_missed(
    requeues: int, began: int, is_void: bool
) -> None:
    runs = sighting(Phase.RUNNING, started_at=NOW + timedelta(seconds=began))
    found = verdict(State.QUEUED, Evidence(runs, note(0), claimed_by="17"), requeues=requeues)
    assert found.event is Event.SEEN_RUNNING
    assert found.facts.get("void_note") == (NOW if is_void else None)


def test_after_a_requeue_a_note_alone_is_believed_when_a_newer_one_would_be_seen() -> None:
    seen = Evidence(note=note(0))
    assert verdict(State.SETTLING, seen, missing_since=NOW, requeues=1).event is None
    late = NOW - LATE
    assert verdict(State.SETTLING, seen, missing_since=late, requeues=1).event is Event.EXITED_OK


def test_accounting_of_an_earlier_run_is_no_verdict_on_this_one() -> None:
    old = replace(sighting(Phase.FAILED, "FAILED"), ended_at=LONG_AGO)
    seen = Evidence(old, claimed_by="17")
    assert verdict(State.RUNNING, seen, started_at=NOW).event is Event.LEFT_QUEUE
    assert verdict(State.RUNNING, seen, started_at=LONG_AGO).event is Event.EXITED_BAD


@pytest.mark.parametrize("code", [0, 3])
def test_a_job_may_end_in_the_second_in_which_it_began(code: int) -> None:
    began = NOW - timedelta(seconds=2) + timedelta(microseconds=357_000)
    ended = began.replace(microsecond=0)
    phase = Phase.DONE if code == 0 else Phase.FAILED
    seen = Evidence(sighting(phase, ended_at=ended), note(code, ended, 0), "17")
    event = Event.EXITED_OK if code == 0 else Event.EXITED_BAD
    assert verdict(State.RUNNING, seen, started_at=began).event is event
    before = Evidence(sighting(phase, ended_at=ended - timedelta(seconds=1)), note(code), "17")
    assert verdict(State.RUNNING, before, started_at=began).event is Event.LEFT_QUEUE


def test_what_is_lost_says_what_was_found_of_it() -> None:
    standing = {"started_at": NOW, "missing_since": LONG_AGO}
    old = sighting(Phase.DONE, ended_at=LONG_AGO)
    for seen, said in (
        (Evidence(), "The scheduler has no record of it and it left no exit note: look"),
        (Evidence(old), "The scheduler's record is not of its last run, and it left no exit"),
        (Evidence(old, note(0), "17"), "It left an exit note (code 0), which may be of an earlier"),
    ):
        found = verdict(State.SETTLING, seen, **standing)  # type: ignore[arg-type]
        assert found.event is Event.VANISHED
        assert str(found.facts["reason"]).startswith(said)


@pytest.mark.parametrize("word", ["PREEMPTED", "NODE_FAIL", "BOOT_FAIL"])
def test_an_end_after_which_a_job_may_be_requeued_stands_for_a_while(word: str) -> None:
    seen = Evidence(sighting(Phase.FAILED, word, ended_at=LONG_AGO), claimed_by="17")
    first = verdict(State.RUNNING, seen)
    assert first.event is Event.LEFT_QUEUE
    again = {"reason": first.facts["reason"], "missing_since": NOW - WORD}
    assert verdict(State.SETTLING, seen, **again).event is Event.EXITED_BAD


def test_the_wait_for_a_requeue_begins_when_the_end_is_seen_whatever_was_out_of_sight() -> None:
    ended = sighting(Phase.FAILED, "PREEMPTED", ended_at=LONG_AGO)
    seen = Evidence(ended, claimed_by="17")
    found = verdict(State.SETTLING, seen, missing_since=NOW - LATE)
    assert (found.event, found.facts["missing_since"]) == (None, NOW)
    again = {"reason": found.facts["reason"], "missing_since": NOW - LATE}
    assert verdict(State.SETTLING, seen, **again).event is Event.EXITED_BAD
    later = replace(seen, sighting=replace(ended, ended_at=NOW - LATE))
    assert verdict(State.SETTLING, later, **again).event is None


def test_a_job_that_ended_well_without_a_claim_may_have_met_that_of_another() -> None:
    seen = Evidence(sighting(Phase.DONE, "COMPLETED"))
    assert verdict(State.RUNNING, seen).event is Event.LEFT_QUEUE
    assert verdict(State.SETTLING, seen, missing_since=NOW - LATE).event is Event.EXITED_OK
    assert verdict(State.RUNNING, replace(seen, claimed_by="17")).event is Event.EXITED_OK


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.CANCELLED])
def test_a_job_that_ended_before_it_began_is_judged_when_no_other_can_begin(phase: Phase) -> None:
    seen = Evidence(sighting(phase, "FAILED", "Because"))
    assert ended_unclaimed(seen)
    assert verdict(State.QUEUED, seen).event is Event.LEFT_QUEUE
    found = verdict(State.SETTLING, replace(seen, withdrawn=True))
    assert found.event is (Event.CANCELLED if phase is Phase.CANCELLED else Event.EXITED_BAD)
    if phase is Phase.FAILED:
        assert found.facts["reason"] == "Exited with code 1" or found.facts["reason"] == "Because"


@pytest.mark.parametrize("state", [State.SUBMITTED, State.QUEUED, State.SETTLING, State.LOST])
def test_a_withdrawn_token_is_evidence_that_nothing_runs(state: State) -> None:
    seen = Evidence(sighting(Phase.DONE, "COMPLETED"), withdrawn=True)
    assert verdict(state, seen).event is Event.CANCELLED
    assert verdict(state, Evidence(withdrawn=True)).event is Event.CANCELLED


def test_a_submission_whose_token_is_withdrawn_was_none_and_is_forgotten() -> None:
    found = verdict(State.SUBMITTING, Evidence(sighting(Phase.WAITING), withdrawn=True))
    assert (found.event, found.facts["token"]) == (Event.NOT_FOUND, None)
    absent = verdict(State.SUBMITTING, Evidence(), missing_since=LONG_AGO)
    assert (absent.event, "token" in absent.facts) == (Event.NOT_FOUND, False)  # may yet arrive


def test_of_a_bad_end_the_scheduler_says_why_while_it_has_the_job() -> None:
    assert verdict(State.RUNNING, Evidence(sighting(Phase.RUNNING), note(143))).event is None


def test_a_handler_that_exits_0_after_the_limit_has_not_completed() -> None:
    over = note(0, seconds=3700)
    waits = verdict(State.RUNNING, Evidence(note=over), time_limit=3600)
    said = verdict(
        State.RUNNING,
        Evidence(sighting(Phase.FAILED, "TIMEOUT", "Reached its time limit"), over),
        time_limit=3600,
    )
    assert waits.event is not Event.EXITED_OK
    assert (said.event, said.facts["reason"]) == (Event.EXITED_BAD, "Reached its time limit")


def test_a_note_of_success_loses_against_a_final_failure() -> None:
    seen = Evidence(sighting(Phase.FAILED, "OUT_OF_MEMORY", "Out of memory", signal=9), note(0))
    found = verdict(State.RUNNING, seen)
    assert (found.event, found.facts["signal"]) == (Event.EXITED_BAD, 9)


def test_the_note_has_the_whole_exit_code() -> None:
    seen = Evidence(
        sighting(Phase.FAILED, "FAILED", "Ended with an error", exit_code=127), note(255)
    )
    found = verdict(State.RUNNING, seen)
    assert found.facts["exit_code"] == 255


def test_a_requeued_job_is_not_judged_by_the_note_of_its_former_self() -> None:
    found = verdict(State.RUNNING, Evidence(sighting(Phase.WAITING), note(0)))
    assert found.event is Event.SEEN_WAITING


def test_the_exit_note_decides_when_there_is_no_accounting() -> None:
    assert verdict(State.SETTLING, Evidence(note=note(4))).event is Event.EXITED_BAD
    assert verdict(State.SETTLING, Evidence(note=note(0))).event is Event.EXITED_OK
    unanswered = Evidence(note=note(4), unanswered=True)
    assert verdict(State.SETTLING, unanswered).event is Event.EXITED_BAD


def test_a_note_of_exit_0_waits_a_while_when_the_accounting_has_not_heard_of_the_end() -> None:
    """It may have gone back into the queue after it, and been cancelled there."""
    seen = Evidence(note=note(0), claimed_by="17", unaccounted=True)
    fresh = verdict(State.RUNNING, seen)
    assert fresh.event is Event.LEFT_QUEUE
    gone = {"missing_since": NOW - WORD + timedelta(seconds=1)}
    assert verdict(State.SETTLING, seen, **gone).event is None
    gone = {"missing_since": NOW - WORD}
    assert verdict(State.SETTLING, seen, **gone).event is Event.EXITED_OK
    cancelled = replace(seen, sighting=sighting(Phase.CANCELLED, "CANCELLED"), unaccounted=False)
    assert verdict(State.RUNNING, cancelled).event is Event.CANCELLED


def test_what_the_accounting_says_of_an_earlier_run_does_not_contradict_the_note() -> None:
    earlier = sighting(Phase.FAILED, "PREEMPTED", ended_at=NOW - timedelta(minutes=5))
    seen = Evidence(earlier, note(0), claimed_by="17")
    gone = {"missing_since": NOW - WORD}
    assert verdict(State.SETTLING, seen, **gone).event is Event.EXITED_OK
    later = Evidence(replace(earlier, ended_at=NOW - timedelta(seconds=45)), note(0), "17")
    first = verdict(State.SETTLING, later, **gone)
    assert first.event is None
    gone = {"missing_since": NOW - LATE, "reason": first.facts["reason"]}
    assert verdict(State.SETTLING, later, **gone).event is Event.EXITED_BAD


def test_a_killed_job_waits_a_while_for_the_schedulers_word() -> None:
    fresh = verdict(State.SETTLING, Evidence(note=note(143)), missing_since=NOW)
    old = verdict(State.SETTLING, Evidence(note=note(143, ended=LONG_AGO)), missing_since=LONG_AGO)
    assert fresh.event is None
    assert (old.event, old.facts["signal"]) == (Event.EXITED_BAD, 15)


def test_a_job_killed_after_an_order_is_cancelled_and_not_failed() -> None:
    seen = Evidence(note=note(143))
    found = verdict(State.RUNNING, seen, cancel_asked=True, cancel_sent=True)
    assert found.event is Event.CANCELLED


def test_a_job_that_completed_before_the_order_arrived_has_completed() -> None:
    found = verdict(State.RUNNING, Evidence(note=note(0)), cancel_asked=True, cancel_sent=True)
    assert found.event is Event.EXITED_OK


def test_a_cancelled_waiting_job_ends_without_accounting() -> None:
    gone = NOW - LATE
    found = verdict(State.SETTLING, Evidence(), missing_since=gone, cancel_sent=True)
    assert found.event is Event.CANCELLED


def test_a_second_job_that_met_the_claim_proves_nothing() -> None:
    seen = Evidence(Sighting("18", Phase.DONE, "COMPLETED"), claimed_by="17")
    assert verdict(State.RUNNING, seen).event is Event.LEFT_QUEUE  # it settles, it has not ended


def test_the_waiting_reason_is_kept_and_brings_no_move() -> None:
    found = verdict(
        State.QUEUED, Evidence(sighting(Phase.WAITING, "PENDING", "Waits for resources"))
    )
    assert (found.event, found.facts["reason"]) == (None, "Waits for resources")


def test_durations_are_never_negative() -> None:
    odd = ExitNote(TOKEN, "17", 0, NOW, NOW - timedelta(seconds=30), "n1")
    found = verdict(State.RUNNING, Evidence(note=odd))
    assert found.facts["finished_at"] >= found.facts["started_at"]  # type: ignore[operator]


@pytest.mark.parametrize("signal", [9, 15])
def test_a_job_that_a_signal_ended_after_our_order_was_cancelled(signal: int) -> None:
    killed = sighting(Phase.FAILED, "FAILED", f"Ended by signal {signal}", signal=signal)
    assert verdict(State.RUNNING, Evidence(killed, claimed_by="17")).event is Event.EXITED_BAD
    ordered = verdict(State.RUNNING, Evidence(killed, note(143)), cancel_asked=True)
    assert ordered.event is Event.CANCELLED
    assert ordered.facts["reason"] == "Cancelled"
    too_long = sighting(Phase.FAILED, "TIMEOUT", "Reached its time limit", signal=signal)
    seen = Evidence(too_long, claimed_by="17")
    assert verdict(State.RUNNING, seen, cancel_asked=True).event is Event.EXITED_BAD


@pytest.mark.parametrize(("code", "signal"), [(139, 11), (192, 64), (193, None), (255, None)])
def test_an_exit_code_beyond_the_signals_is_a_code_like_any_other(
    code: int, signal: int | None
) -> None:
    found = verdict(State.SETTLING, Evidence(note=note(code)), missing_since=LONG_AGO)
    assert found.event is Event.EXITED_BAD
    assert found.facts["signal"] == signal
    assert ("code" in str(found.facts["reason"])) and ("signal 127" not in str(found.facts))
    at_once = verdict(State.RUNNING, Evidence(note=note(code)))
    assert (at_once.event is Event.EXITED_BAD) == (signal is None)


@pytest.mark.parametrize("skew", [timedelta(hours=-2), timedelta(), timedelta(hours=2)])
@pytest.mark.parametrize("unanswered", [False, True])
def test_the_clock_of_a_node_changes_no_verdict(skew: timedelta, unanswered: bool) -> None:
    """A killed job's note: the scheduler's word is awaited as long, whatever the node's clock."""
    seen = Evidence(note=note(143, NOW + skew), unanswered=unanswered)
    first = verdict(State.RUNNING, seen)
    assert first.event is Event.LEFT_QUEUE
    wait = PATIENCE if unanswered else WORD
    early = verdict(State.SETTLING, seen, missing_since=NOW - wait + timedelta(seconds=1))
    assert early.event is None
    late = verdict(State.SETTLING, seen, missing_since=NOW - wait)
    assert late.event is Event.EXITED_BAD


def test_a_command_that_could_not_be_run_is_told_by_its_frame() -> None:
    told = replace(note(1), why="cannot enter the working directory /none")
    found = verdict(State.RUNNING, Evidence(sighting(Phase.FAILED, "FAILED"), told))
    assert found.facts["reason"] == (
        "The command was not run: cannot enter the working directory /none"
    )
