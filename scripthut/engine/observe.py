"""One look at a backend: what was seen becomes events, and events move tasks."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from scripthut.core.jobs import Job, Observation, Token, Used, Watch
from scripthut.core.judge import Evidence, Standing, Verdict, ended_unclaimed, judge
from scripthut.core.mask import mask_document, secrets
from scripthut.core.progress import read
from scripthut.core.states import LIVE, SPENT, Event, State, after
from scripthut.core.survey import Surveyed
from scripthut.core.workflow.spec import TaskSpec
from scripthut.engine.base import Hands, Watched
from scripthut.engine.jobs import job_of, singly
from scripthut.engine.outcome import outcome
from scripthut.engine.outputs import pieces
from scripthut.store import tasks as store
from scripthut.store import watches
from scripthut.store.db import Session
from scripthut.store.files import wishes
from scripthut.store.machines import surveys
from scripthut.store.models import Task, WatchRow

log = logging.getLogger(__name__)
STEPS = 3  # accepted, then running, then ended: one observation can prove all three
TAIL = -1  # the offset that stands for "the last part"
LEFT_ALONE = Verdict(
    facts={"reason": "What is known of it cannot be judged, so it is left alone: see the log."}
)


@dataclass(frozen=True)
class Seen:
    """What one look found, and whom it asked about."""

    watched: Mapping[Token, Watched]
    observation: Observation
    live: int  # how many tasks hold slots
    moved: int  # how many tasks changed their state
    surveyed: Surveyed = field(default_factory=Surveyed)
    unclaimed: Sequence[Job] = ()  # ended before they began: their tokens are to be withdrawn


@dataclass(frozen=True)
class Moment:
    """When a look was taken, and since when its backend has answered without a break."""

    now: datetime
    answering_since: datetime


def observe(hands: Hands, now: datetime, answering_since: datetime) -> Seen:
    """Ask about everything that matters at once, then move what the evidence proves."""
    with hands.reading() as session:
        rows = [
            *store.to_watch(session, hands.backend.name, now),
            *store.recalled(session, hands.backend.name, now),
        ]
        looks = watches.looks(session, hands.backend.name, now)
        wish = surveys.wanted(session, hands.backend.name, bool(rows), now)
        wished = wishes.wished(session, hands.backend.name, now)
    if not rows and not wish and not wished:
        return Seen({}, Observation(), 0, 0)
    home = hands.backend.home()
    jobs = singly(rows, lambda row: job_of(row, home))
    all_rows, rows = rows, [row for row in rows if row.id in jobs]
    asked = [_watch(row, jobs[row.id], looks, now) for row in rows]
    wish = replace(wish, pieces=pieces.asked(wished, home))
    observation, surveyed = hands.backend.survey(asked, wish)
    pieces.answer(hands, wished, wish.pieces, observation.pieces, now)
    evidence = {row.id: _evidence(jobs[row.id].token, observation) for row in rows}
    moment = Moment(now, answering_since)
    verdicts = singly(
        rows,
        lambda row: [
            *_verdicts(row, evidence[row.id], moment),
            *_said(hands, row, jobs[row.id], observation),
            *_measured(row, observation.used.get(jobs[row.id].token)),
        ],
    )
    moved = _move(hands, all_rows, verdicts, now)
    watched = {jobs[row.id].token: _watched(row, jobs[row.id], looks, now) for row in rows}
    live = sum(row.state in LIVE for row in rows)
    unclaimed = [jobs[row.id] for row in rows if ended_unclaimed(evidence[row.id])]
    return Seen(watched, observation, live, moved, surveyed, unclaimed)


def _watch(row: Task, job: Job, looks: Sequence[WatchRow], now: datetime) -> Watch:
    ended = row.state in SPENT
    wanted = {look.what for look in looks if look.task_id == row.id}
    started = row.state not in (State.SUBMITTING, State.SUBMITTED, State.QUEUED)
    tails = {"output", "error"} & wanted if started and not ended else set()
    if ended:
        tails = {"output", "error"}
    return Watch(
        job=job,
        live=not ended,
        mark=row.listing_mark,
        list_outputs=started and _is_listed(row, now),
        tails=dict.fromkeys(sorted(tails), TAIL),
        progress_mark=row.progress_mark,
        measure=ended and row.started_at is not None and row.collected_at is None,
    )


def _is_listed(row: Task, now: datetime) -> bool:
    """Whether it is time to look into its directory; one that cannot be read is left a while."""
    return row.collect_at is None or row.collect_at <= now


def _watched(row: Task, job: Job, looks: Sequence[WatchRow], now: datetime) -> Watched:
    return Watched(
        task_id=row.id,
        run_id=row.run_id,
        job=job,
        ended_at=row.ended_seen_at if row.state in SPENT else None,
        listing_mark=row.listing_mark,
        is_listed=_is_listed(row, now),
        failures=row.collect_failures,
        is_looked_at=any(look.run_id == row.run_id for look in looks),
    )


def _said(hands: Hands, row: Task, job: Job, seen: Observation) -> list[Verdict]:
    """What is new of a task's progress. One that has ended keeps what it said last."""
    said = seen.progress.get(job.token)
    if said is None or (said.mark is None and row.state in SPENT):
        return []
    told = read(mask_document(said.data, secrets(job.env, hands.secret_names)))
    facts = {
        "progress": told.fraction if told else None,
        "progress_text": (told.text or None) if told else None,
        "progress_mark": said.mark,
    }
    return [Verdict(facts=facts)]


def _measured(row: Task, used: Used | None) -> list[Verdict]:
    """What the scheduler's records add to what the exit note said."""
    if used is None:
        return []
    most = used.or_more(Used(row.memory_used, row.cpu_used))
    return [Verdict(facts={"memory_used": most.memory, "cpu_used": most.cpu})]


def _move(
    hands: Hands,
    rows: Sequence[Task],
    verdicts: Mapping[int, Sequence[Verdict]],
    now: datetime,
) -> int:
    """Write what follows for each task; one run, one transaction. Says how many moved."""
    moved = 0
    by_run: dict[str, list[tuple[Task, Sequence[Verdict]]]] = {}
    for row in rows:
        own = verdicts.get(row.id, [LEFT_ALONE] if _is_news(row, LEFT_ALONE) else [])
        if own:
            by_run.setdefault(row.run_id, []).append((row, own))
    for news in by_run.values():
        with hands.writing() as session:
            moved += sum(_apply(session, row, own, now) for row, own in news)
    return moved


def _verdicts(row: Task, evidence: Evidence, moment: Moment) -> list[Verdict]:
    """All that the evidence proves of a task, in order: one look can prove several moves."""
    if row.state in SPENT:
        return []
    standing = _standing(row)
    found: list[Verdict] = []
    for _ in range(STEPS):
        verdict = judge(standing, evidence, moment.now, moment.answering_since)
        verdict = outcome(row, verdict, moment.now)
        if verdict.event is None:
            return [*found, verdict] if _is_news(row, verdict) else found
        found.append(verdict)
        standing = replace(standing, state=after(standing.state, verdict.event))
        if "missing_since" in verdict.facts:
            standing = replace(standing, missing_since=None)  # seen again; or see just below
        if verdict.event in (Event.LEFT_QUEUE, Event.NOT_FOUND):
            return found  # patience begins now
    return found


def _is_news(row: Task, verdict: Verdict) -> bool:
    return any(getattr(row, name) != value for name, value in verdict.facts.items())


def _apply(session: Session, row: Task, verdicts: Sequence[Verdict], now: datetime) -> bool:
    """Write a task's verdicts; False when another writer was first."""
    old = row.state
    for verdict in verdicts:
        if verdict.event is None:
            store.learn(session, row, verdict.facts)
        elif not store.move(session, row, verdict.event, now, verdict.facts):
            return False
    if row.state is not old:
        why = f" why={row.reason!r}" if row.reason else ""
        log.info("task moved run=%s task=%s %s->%s%s", row.run_id, row.key, old, row.state, why)
    return row.state is not old


def _evidence(token: Token, seen: Observation) -> Evidence:
    return Evidence(
        sighting=seen.sightings.get(token),
        note=seen.notes.get(token),
        claimed_by=seen.claims.get(token),
        withdrawn=token in seen.withdrawn,
        unanswered=token in seen.unanswered,
        unaccounted=token in seen.unaccounted,
    )


def _standing(row: Task) -> Standing:
    return Standing(
        state=row.state,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        missing_since=row.missing_since,
        time_limit=TaskSpec.stored(row.spec).time_limit,
        cancel_asked=row.cancel_asked_at is not None,
        cancel_sent=row.cancel_sent_at is not None,
        requeues=row.requeues,
        reason=row.reason,
    )
