"""The rest of the showroom: what clusters say of themselves, queues, sources, plots, metrics."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import exp
from pathlib import Path

import yaml
from flask import Flask
from sqlalchemy import select, update

from scripthut.config import Live, Where, resolve
from scripthut.core.commands import Command, Part
from scripthut.core.jobs import Phase, Question
from scripthut.core.measures.metrics import Curve, Metrics
from scripthut.core.queue import Listed, Queue
from scripthut.core.sights import Before, Crowd, Ended, Holding
from scripthut.core.states import State
from scripthut.core.survey import (
    Disk,
    Door,
    Limit,
    Node,
    NodeState,
    Share,
    Surveyed,
    summarise,
)
from scripthut.core.tokens import token
from scripthut.core.workflow.workflows import Workflow
from scripthut.store import metrics, sources
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.machines import commands, health, logins, pauses, sealing, surveys
from scripthut.store.machines.pauses import Kind, Words
from scripthut.store.models import Run, Task
from scripthut.store.sources import Look

GIB, TIB = 1024**3, 1024**4
SENT = "the node script (constant; python3 there reads it from standard input)"
MOVED = "the group's storage moved; the path is not there any more"
SOURCES: list[dict[str, object]] = [
    {
        "type": "git", "name": "climate", "url": "git@git.example.org:climate/models.git",
        "description": "Ensembles and their evaluation",
    },
    {"type": "path", "name": "scratch", "path": "/scratch/ada/workflows", "backend": "hpc"},
]  # fmt: skip
PARAMS: dict[str, dict[str, object]] = {
    "scenario": {
        "type": "choice", "choices": ["low", "mid", "high"], "default": "mid",
        "description": "How much is emitted until 2100",
    },
    "years": {"type": "number", "default": 100},
    "is_coupled": {"type": "boolean", "default": True, "description": "With the ocean's model"},
    "note": {"type": "string", "default": "ensemble of spring\nwith the new mask"},
}  # fmt: skip
QUESTION = Question(
    "Second factor",
    "Your session needs a second factor.\nA push was sent to the telephone ending in 42.",
    (("Password: ", False), ("Code, or 1 for another push: ", True)),
)
CHANNELS: list[dict[str, object]] = [
    {"type": "mail", "name": "ada", "to": ["ada@example.org"], "on": ["failed", "stalled"]},
    {"type": "ntfy", "name": "phone", "url": "https://ntfy.sh/ada", "runs": ["climate/*"]},
]


def followed(file: Path, config: dict[str, object]) -> Live:
    """A configuration in a file, as people have it."""
    file.write_text("# The group's clusters.\n" + yaml.safe_dump(config, sort_keys=False))
    where = Where(file, file.parent, file.parent)
    return Live.begin(resolve(where, {}), where, {})


def clusters(database: Database, now: datetime) -> None:
    """What the cluster has, what one may have of it, and the queue of everybody's jobs."""
    nodes = [
        Node(
            f"n{n:03d}",
            NodeState.DRAINED if n == 7 else NodeState.FULL if n < 30 else NodeState.MIXED,
            ("gpu",) if n >= 44 else ("short", "long"),
            64, 64 if n < 30 else 40, 256 * GIB, 180 * GIB,
            4 if n >= 44 else 0, 3 if n >= 44 else 0, ("a100",) if n >= 44 else (),
        )
        for n in range(48)
    ]  # fmt: skip
    doors = [
        Door("short", is_default=True, time_limit=14400),
        Door("long", time_limit=604800),
        Door("gpu", time_limit=86400),
    ]
    waiting = {("long", "Waits for free resources"): 212, ("gpu", "Waits for free resources"): 9}
    facts = replace(
        summarise(doors, nodes, waiting, ["Waits for free resources"]),
        limits=(
            Limit("account climate", "jobs running at once", "200"),
            Limit("quality of service normal", "resources at once", "512 CPUs, 8 GPUs"),
        ),
        shares=(Share("climate", 0.62, 0.11),),
        disks=(Disk("/home/ada", 41 * GIB, 50 * GIB, True), Disk("/scratch", 71 * TIB, 80 * TIB)),
    )
    jobs = [
        Listed(
            str(481_020 + n), f"sim12.{n:04d}", "ada",
            Phase.RUNNING if n < 3 else Phase.WAITING, "RUNNING" if n < 3 else "PENDING",
            None if n < 3 else "Waits for free resources", "short", 4, 8 * GIB,
            time_limit=7200, submitted_at=now - timedelta(hours=2, minutes=n),
            started_at=now - timedelta(minutes=40 - n) if n < 3 else now + timedelta(minutes=n * 9),
            node=f"n{30 + n:03d}" if n < 3 else None,
        )
        for n in range(7)
    ]  # fmt: skip
    jobs.append(
        Listed(
            "479411_[12-40%8]", "tune", "ada", Phase.WAITING, "PENDING",
            "Waits: the array runs as many at once as it allows itself", "gpu", 16, 64 * GIB,
            gres="gpu:a100:1", time_limit=86400, submitted_at=now - timedelta(days=1), count=29,
        )
    )  # fmt: skip
    queue = Queue(tuple(jobs), 3, 33, 0)
    told = Surveyed(queue, facts, crowd(jobs, now), ended(now))
    with database.writing() as session:
        surveys.record(session, "hpc", told, now)
        hides = "This cluster shows nobody the jobs of others (query_other_jobs is not set): "
        old = Surveyed(
            Queue(),
            crowd=Crowd("ada", note=f"{hides}you see your own."),
            ended=Ended(is_told=False, note="This server keeps no history of jobs that ended."),
        )
        surveys.record(session, "old-hpc", old, now - timedelta(minutes=9))


def crowd(jobs: list[Listed], now: datetime) -> Crowd:
    """Everybody's jobs: some run, many wait."""
    names = ("mei", "jonas", "chidi", "oluwaseun.adebayo", "kris", "fatima", "li", "noor", "tom")
    others = [
        Listed(
            str(480_900 + 3 * n), ("relax", "qe-scf", "train_resnet", "md.eq")[n % 4], names[n % 9],
            Phase.RUNNING if n < 11 else Phase.WAITING, "RUNNING" if n < 11 else "PENDING",
            None if n < 11 else "Jobs of higher priority are before it" if n % 5 else
            "Waits for another job", ("long", "short", "gpu")[n % 3], (16, 64, 8)[n % 3], 32 * GIB,
            nodes=1 + n % 2, time_limit=86400, submitted_at=now - timedelta(hours=9, minutes=7 * n),
            started_at=now - timedelta(hours=3, minutes=13 * n) if n < 11 else None,
            node=f"n{n:03d}" if n < 11 else None, account="physics",
        )
        for n in range(26)
    ]  # fmt: skip
    holdings = [
        Holding(name, ("long", "short", "gpu")[n % 3], 12 - n, 64 * (12 - n), 31 - 3 * n)
        for n, name in enumerate(names)
    ]
    waiting = {
        "Jobs of higher priority are before it": 188,
        "Waits for free resources": 41,
        "Waits for another job": 22,
        "The account's limit of jobs is reached": 9,
        "Held: release it with `scontrol release`": 2,
    }
    return Crowd(
        user="ada",
        jobs=(*others[:11], *jobs[:3], *others[11:16], *jobs[3:], *others[16:]),
        more=214,
        users=31,
        holdings=(*holdings, Holding("ada", "short", 3, 12, 33), Holding("", "", 61, 904, 120)),
        waiting=waiting,
        before=(Before("gpu", 0, 0), Before("short", 37, 6)),
    )


def ended(now: datetime) -> Ended:
    """What ended in the last day, in several ways."""
    ways = (
        (Phase.DONE, "COMPLETED", None, 0),
        (Phase.DONE, "COMPLETED", None, 0),
        (Phase.FAILED, "FAILED", "Exited with code 3", 3),
        (Phase.DONE, "COMPLETED", None, 0),
        (Phase.FAILED, "TIMEOUT", "Reached its time limit of 2:00:00", None),
        (Phase.CANCELLED, "CANCELLED", "Cancelled", None),
        (Phase.FAILED, "OUT_OF_MEMORY", "Ran out of memory: ask for more with `memory`", None),
    )
    jobs = [
        Listed(
            str(480_700 - 11 * n), f"sim11.{n:04d}", "ada", *ways[n % 7][:3], "short", 4, 8 * GIB,
            time_limit=7200, submitted_at=now - timedelta(hours=3 + n),
            started_at=now - timedelta(hours=2 + n), node=f"n{20 + n:03d}",
            ended_at=now - timedelta(hours=n, minutes=11), exit_code=ways[n % 7][3],
        )
        for n in range(12)
    ]  # fmt: skip
    return Ended(tuple(jobs))


def asked(database: Database, now: datetime) -> None:
    """The last commands on the cluster: most went well, one did not, one had no answer."""
    looked = (
        "The queue, notes of jobs, what tasks have written, 3 pieces of logs",
        (Part("squeue --me --array --noheader --format '%i|%T|%r'", 0),),
    )
    full = Part(
        "sbatch --parsable --job-name b7assem9.24.1 --partition gpu",
        1,
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy",
    )
    found = [(*looked, "")] * 4
    found.insert(1, ("Submit 1 script", (full,), ""))
    rows = [
        Command(now - timedelta(seconds=2 + 9 * n), what, SENT, 0, 84 + 17 * n, 61_877, 2390 - n,
                error, parts)
        for n, (what, parts, error) in enumerate(found)
    ]  # fmt: skip
    why = "hpc did not answer a command within 90 seconds."
    late = now - timedelta(minutes=41)
    rows.append(Command(late, found[0][0], SENT, None, 90_003, 61_877, 0, why))
    with database.writing() as session:
        commands.record(session, "hpc", rows)


def repositories(database: Database, now: datetime) -> None:
    """A source that answers, and one that does not any more."""
    found = [
        Workflow(".hut/workflows/sweep.json", "Parameter sweep", 10_000, PARAMS),
        Workflow(".hut/workflows/evaluate.yaml", "Evaluation", 14),
        Workflow(".hut/workflows/broken.json", None, 0, {}, "line 3: a comma is missing"),
    ]
    look = Look(
        found, "main", "4f0c2d91aa3b", "sweep: half the step near the threshold",
        now - timedelta(hours=5),
    )  # fmt: skip
    with database.writing() as session:
        sources.looked(session, "climate", "git", look, now)
        sources.failed(session, "scratch", "path", MOVED, now - timedelta(hours=1))


def measured(database: Database, run_ids: tuple[str, ...]) -> None:
    """Curves and values of every simulation of some runs."""
    for age, run_id in enumerate(run_ids):
        with database.writing() as session:
            statement = select(Task).where(Task.run_id == run_id, Task.key.like("sim.%"))
            for n, task in enumerate(session.scalars(statement.order_by(Task.n))):
                rate = 0.01 * (1 + n % 6)
                loss = [
                    round(exp(-rate * x) + 0.02 * ((n * 7 + x) % 5) + age / 20, 4)
                    for x in range(60)
                ]
                values = {"loss": loss[-1], "rate": rate, "size": 2 ** (5 + n % 4)}
                curves = {"loss": Curve(tuple(range(60)), tuple(loss))}
                metrics.record(session, task, "m", Metrics(values, curves))


def picture(n: int, colour: str = "#4c5fd5") -> bytes:
    """A small plot, as a task would draw one."""
    points = " ".join(f"{20 + x * 4},{110 - 90 / (1 + (x / (12 + n)) ** 3):.0f}" for x in range(41))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 130" width="200" height="130">'
        f'<rect width="200" height="130" fill="#fff"/><path d="M20 10V110H190" fill="none" '
        f'stroke="#888"/><polyline points="{points}" fill="none" stroke="{colour}" '
        f'stroke-width="2.5"/></svg>'
    ).encode()


def tried_again(database: Database, kept: Kept, run_id: str, key: str) -> None:
    """Let a task have failed once before."""
    with database.writing() as session:
        task = session.scalars(select(Task).where(Task.run_id == run_id, Task.key == key)).one()
        said = b"cannot reach the licence server\n"
        kept.append_log(token(run_id, task.n, 1), "error", 0, said)
        again = {"attempt": 2, "token": token(run_id, task.n, 2)}
        session.execute(update(Task).where(Task.id == task.id).values(**again))


def lose(database: Database, run_id: str, key: str, now: datetime) -> None:
    """Let nothing be known of a task's job."""
    facts = {
        "state": State.LOST, "finished_at": None, "exit_code": None, "collected_at": None,
        "missing_since": now - timedelta(minutes=25), "cpu_used": None, "memory_used": None,
        "reason": "The scheduler has no record of job 481014; look for its traces on the cluster, "
        "then vouch for it or retry it",
    }  # fmt: skip
    with database.writing() as session:
        where = (Task.run_id == run_id, Task.key == key)
        session.execute(update(Task).where(*where).values(**facts))


def guarded(database: Database, now: datetime) -> None:
    """Two machines whose logins need a person: one that asks, and one that waits for somebody."""
    said = "the login needs a person: log in on the backend's page"
    for name in ("guarded", "vault"):
        logins.need(database, name)
        with database.writing() as session:
            health.failed(session, name, "slurm", said, now - timedelta(minutes=12))
    with database.writing() as session:
        logins.put(session, "guarded", QUESTION, sealing.Box().key, 1e9)


def chosen(database: Database, run_id: str) -> None:
    """A run whose document has parameters."""
    had = {name: param["default"] for name, param in PARAMS.items()}
    document = {"params": PARAMS, "tasks": [{"id": "a", "command": "true"}]}
    with database.writing() as session:
        facts = {"document": document, "params": had}
        session.execute(update(Run).where(Run.id == run_id).values(**facts))


def fill(app: Flask, done: str, earlier: str, failed: str, now: datetime) -> None:
    """Write all of it but the files."""
    database: Database = app.extensions["database"]
    kept: Kept = app.extensions["kept"]
    clusters(database, now)
    asked(database, now)
    with database.writing() as session:
        words = Words("ada", "the old cluster is emptied until Friday")
        pauses.pause(session, Kind.BACKEND, "old-hpc", words, now - timedelta(hours=3))
    repositories(database, now)
    measured(database, (done, earlier))
    tried_again(database, kept, failed, "assemble.sample_24")
    lose(database, failed, "assemble.sample_28", now)
    guarded(database, now)
    chosen(database, done)
