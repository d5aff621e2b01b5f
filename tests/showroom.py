"""A database that looks like a year of use: for the screenshots, and for tests of how pages look.

.venv/bin/python -m tests.showroom DIRECTORY    serves it, until Ctrl-C
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import insert
from werkzeug.serving import make_server

from scripthut.core.files.previews import RENDERED
from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.markdown import policy
from scripthut.core.markdown.render import render
from scripthut.core.states import State
from scripthut.store import outputs, usage
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.keeping.migrate import upgrade
from scripthut.store.models import BackendRow, EventRow, Lease, Output, Run, Task
from scripthut.store.outputs import Found
from scripthut.web import create_app
from tests import showroom_disk, showroom_rest
from tests.compiled import compiled
from tests.databases import places

NOW = datetime.now(UTC).replace(microsecond=0)
FAR = 10.0**11  # seconds since 1970; the lease of an engine that never goes
LARGE, FAILED, DONE, EARLY = "k4sweep2", "b7assem9", "m2percol", "q8nightl"
BEFORE = "m1percol"  # what is done is compared with it
DISK = "2,3,4"  # rows of what lies on a disk
SUMMARY = """## Percolation on a 512 × 512 lattice

> [!TIP]
> The threshold $p_c$ is within one standard error of the literature.

| lattice | samples | threshold | error |
|--:|--:|--:|--:|
| 128 | 400 | 0.5918 | 0.0021 |
| 256 | 400 | 0.5924 | 0.0011 |
| 512 | 400 | 0.5927 | 0.0006 |

![The spanning probability](curve.svg)
"""
CURVE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 220" width="480" height="220">'
    '<rect width="480" height="220" fill="#fff"/><g stroke="#d8dde6">'
    '<path d="M50 20V180M50 180H460M50 100H460M50 20H460"/></g>'
    '<path d="M50 178C180 176 230 160 255 100S330 24 460 22" fill="none" stroke="#4c5fd5" '
    'stroke-width="3"/><path d="M50 170C160 165 210 140 255 100S360 40 460 30" fill="none" '
    'stroke="#d98a2b" stroke-width="3" stroke-dasharray="7 5"/>'
    '<g font-family="sans-serif" font-size="12" fill="#444"><text x="240" y="206">p</text>'
    '<text x="18" y="104">0.5</text><text x="30" y="24">1</text></g></svg>'
)
COMMAND = """set -e
module load gcc/13
# one sample
python3 work.py --task "{}" --threads 4 | tee log.txt
"""
LOG = (
    "\x1b[36m[info]\x1b[0m assembling contigs of sample 17\n"
    "\x1b[36m[info]\x1b[0m reading /scratch/reads/17_R1.fastq.gz (3.1 GiB)\n"
    + "".join(
        f"\x1b[36m[info]\x1b[0m k={k}: {k * 731} unitigs, N50 {k * 97}\n" for k in range(21, 77)
    )
    + "\x1b[33m[warn]\x1b[0m the coverage of 12 contigs is below 4\n"
    "\x1b[31;1m[error]\x1b[0m cannot write /scratch/tmp/17.gfa: \x1b[1mNo space left\x1b[0m\n"
    "Traceback (most recent call last):\n"
    '  File "assemble.py", line 88, in write\n    out.write(block)\n'
    "OSError: [Errno 28] No space left on device\n"
)


def fill(app: Flask) -> None:
    """Write the runs, the backends and what tasks wrote."""
    database: Database = app.extensions["database"]
    kept: Kept = app.extensions["kept"]
    with database.writing() as session:
        session.merge(Lease(name="engine", holder="showroom", epoch=1, until=FAR))
        session.merge(BackendRow(name="hpc", type="slurm", answered_at=NOW, watched=64, commands=1))
        silent = "ssh: connect to host pbs.example.org port 22: Connection timed out"
        session.merge(
            BackendRow(
                name="old-hpc", type="pbs", answered_at=NOW - timedelta(minutes=9),
                failing_since=NOW - timedelta(minutes=8), message=silent,
            )
        )  # fmt: skip
    _past(database)
    _run(database, EARLY, "nightly/regression", _nightly(), timedelta(hours=9))
    _run(database, BEFORE, "percolation", _percolation(), timedelta(hours=30))
    _run(database, DONE, "percolation", _percolation(), timedelta(hours=3))
    _run(database, FAILED, "genomes/assembly", _assembly(), timedelta(hours=1, minutes=20))
    _run(database, LARGE, "climate/parameter-sweep", _sweep(), timedelta(hours=5))
    _write(database, kept, DONE, "report", "task-summary.md", SUMMARY.encode())
    _write(database, kept, DONE, "report", "curve.svg", CURVE.encode())
    _write(database, kept, DONE, "report", "report.md", SUMMARY.encode(), Area.FRAGMENT)
    _write(database, kept, DONE, "sim.0001", "samples.csv", b"p,spans\n0.58,0.21\n0.59,0.47\n")
    for n in range(1, 19):
        _write(database, kept, DONE, f"sim.{n:04d}", "spans.svg", showroom_rest.picture(n))
    old = SUMMARY.replace("0.5927", "0.5931").replace("0.0006", "0.0011").encode()
    _write(database, kept, BEFORE, "report", "task-summary.md", old)
    _write(
        database, kept, BEFORE, "report", "curve.svg", CURVE.replace("#4c5fd5", "#2d8a5b").encode()
    )
    showroom_rest.fill(app, DONE, BEFORE, FAILED, NOW)
    showroom_disk.fill(database, (LARGE, FAILED, DONE, EARLY), NOW)
    kept.append_log(f"{FAILED}.4.1", "output", 0, LOG.encode())
    kept.append_log(f"{FAILED}.4.1", "error", 0, LOG[LOG.index("\x1b[31;1m[error]") :].encode())


def _past(database: Database) -> None:
    """A year of small runs, more of them on working days."""
    for day in range(360, 1, -1):
        at = NOW - timedelta(days=day)
        if at.weekday() > 4 or day % 11 == 0:
            continue
        hours = (day * 7919) % 23 + 1
        tasks = {f"fit.{i}": ("completed", 0, hours * 700) for i in range(3)}
        name = ("climate/daily", "genomes/qc", "percolation")[day % 3]
        _run(database, f"old{day:05d}", name, tasks, timedelta(days=day))


Told = Mapping[str, tuple[str, int, int]]
"""Key -> state, seconds until it began, seconds that it ran."""


def _sweep() -> Told:
    found = {"prepare.grid": ("completed", 5, 240), "prepare.mask": ("completed", 5, 300)}
    for i in range(9996):
        state = "completed" if i < 6120 else "running" if i < 6180 else "queued"
        state = "failed" if i in (812, 2077, 4410) else state if i < 6200 else "pending"
        found[f"sim{i // 500:02d}.{i % 500:04d}"] = (state, 400 + i * 2, 900 + (i * 37) % 600)
    return found | {"join": ("pending", 0, 0), "report": ("pending", 0, 0)}


def _assembly() -> Told:
    found = {"fetch": ("completed", 4, 210), "index": ("completed", 220, 95)}
    for i in range(14):
        state = "failed" if i in (2, 9) else "running" if i in (12, 13) else "completed"
        found[f"assemble.sample_{15 + i}"] = (state, 320 + i * 30, 600 + i * 71)
    found |= {f"polish.sample_{15 + i}": ("completed", 1600, 300 + i * 12) for i in range(12)}
    found["polish.sample_17"] = found["polish.sample_24"] = ("dep_failed", 0, 0)
    return found | {"compare": ("dep_failed", 0, 0), "report": ("dep_failed", 0, 0)}


def _percolation() -> Told:
    sims = {f"sim.{i:04d}": ("completed", 6 + i * 3, 120 + i * 5) for i in range(1, 19)}
    return {"prepare": ("completed", 2, 4), **sims, "report": ("completed", 260, 20)}


def _nightly() -> Told:
    return {"build": ("completed", 3, 300), "check": ("cancelled", 310, 40)}


def _deps(key: str, keys: list[str]) -> list[str]:
    if key.startswith("polish."):
        return [key.replace("polish", "assemble")]
    if key in ("report", "compare", "join"):
        ends = {"join": "sim", "compare": "polish."}.get(key)
        before = [k for k in keys[: keys.index(key)] if ends is None or k.startswith(ends)]
        return before[-1:] if key == "report" and "join" in keys else before
    if key.startswith(("sim", "assemble")):
        return [k for k in keys[:2] if not k.startswith(("sim.", "assemble"))]
    return ["fetch"] if key == "index" else []


def _run(database: Database, run_id: str, name: str, told: Told, age: timedelta) -> None:
    created, keys = NOW - age, list(told)
    rows = [_task(run_id, n, key, told[key], keys, created) for n, key in enumerate(keys)]
    over = not any(row["finished_at"] is None for row in rows)
    ended = max((row["finished_at"] for row in rows), default=None) if over else None
    with database.writing() as session:
        run = Run(id=run_id, name=name, backend="hpc", created_at=created, version=1)
        run.ended_at = ended
        session.add(run)
        session.flush()
        session.execute(insert(Task), rows)
        session.flush()
        events = list(_events(session.query(Task).filter_by(run_id=run_id).limit(60)))
        session.add_all(events)
        for task in session.query(Task).filter_by(run_id=run_id).limit(300):
            usage.spend(session, task)


def _task(
    run_id: str, n: int, key: str, told: tuple[str, int, int], keys: list[str], created: datetime
) -> dict[str, object]:
    state, waited, ran = State(told[0]), timedelta(seconds=told[1]), timedelta(seconds=told[2])
    has_begun = state in (State.COMPLETED, State.FAILED, State.CANCELLED, State.RUNNING)
    is_over = state not in (State.RUNNING, State.QUEUED, State.PENDING)
    is_sent = has_begun or state is State.QUEUED
    started = min(created + waited, NOW - timedelta(seconds=45))
    started = NOW - timedelta(seconds=told[2] % 700 + 30) if state is State.RUNNING else started
    finished = min(started + ran, NOW) if has_begun else created + timedelta(hours=1)
    reasons = {
        State.FAILED: "Ended with exit code 1",
        State.QUEUED: "Waits for resources (Priority)",
    }
    reasons[State.DEP_FAILED] = "A task that it depends on did not complete"
    running = state is State.RUNNING
    return {
        "run_id": run_id, "n": n, "key": key, "name": key, "state": state, "version": 1,
        "spec": {
            "id": key, "name": key, "command": COMMAND.format(key),
            "deps": [], "working_dir": "~/study", "partition": "short", "cpus": 4,
            "memory": 8 * 1024**3, "time_limit": 7200, "gres": None, "output_file": None,
            "error_file": None, "env": {"OMP_NUM_THREADS": "4"},
        },
        "deps": _deps(key, keys), "token": f"{run_id}.{n}.1" if is_sent else None,
        "job_id": str(481_000 + n) if is_sent else None,
        "submitted_at": min(created + timedelta(seconds=2), started) if is_sent else None,
        "started_at": started if has_begun else None,
        "finished_at": finished if is_over else None, "collected_at": NOW if is_over else None,
        "exit_code": {State.COMPLETED: 0, State.FAILED: 1}.get(state),
        "cpu_used": told[2] * 4 * (55 + n % 40) / 100 if is_over and has_begun else None,
        "memory_used": (20 + n * 7 % 70) * 8 * 1024**3 // 100 if is_over and has_begun else None,
        "node": f"n{n % 48:03d}" if has_begun else None, "reason": reasons.get(state),
        "progress": (n * 7 % 90 + 5) / 100 if running else None,
        "progress_text": f"year {n * 7 % 90 + 5} of 100" if running else None,
    }  # fmt: skip


def _events(tasks: "Iterator[Task]") -> Iterator[EventRow]:
    for task in tasks:
        said = {"run_id": task.run_id, "task_id": task.id}
        if task.submitted_at:
            yield EventRow(**said, at=task.submitted_at, what="accepted", new="submitted")
        if task.started_at:
            yield EventRow(**said, at=task.started_at, what="seen_running", new="running")
        if task.finished_at:
            new = str(task.state)
            yield EventRow(**said, at=task.finished_at, what=new, new=new, note=task.reason)


def _write(
    database: Database, kept: Kept, run_id: str, key: str, path: str, data: bytes,
    area: Area = Area.OUTPUT,
) -> None:  # fmt: skip
    """Keep a file as the engine would have."""
    raw, sha = path.encode(), kept.put(data)
    html = None
    if outputs.kind_of(area, raw) in RENDERED:
        folder = outputs.folder_of(area, raw)
        html = policy.key(sha, folder)
        kept.put_as(html, render(data.decode(), folder).encode())
    with database.writing() as session:
        task = session.query(Task).filter_by(run_id=run_id, key=key).one()
        known = [
            Found(RemoteFile("", row.area, row.raw, row.size, 1, None), row.sha256, row.html)
            for row in session.query(Output).filter_by(task_id=task.id)
        ]
        file = RemoteFile(task.token or "", area, raw, len(data), 1, None)
        written = outputs.record(
            session, task, [*known, Found(file, sha, html, None)], keep_vanished=True
        )
        task.has_outputs = written.has_outputs
        task.has_run_summary = written.has_summary


def make(directory: Path) -> Flask:
    """An application on a filled database in `directory`."""
    backends: list[dict[str, object]] = [
        {
            "type": "slurm",
            "name": "hpc",
            "ssh": {"host": "login.example.org"},
            "prices": {"cpu_hour": 0.012, "currency": "CHF"},
        },
        {"type": "pbs", "name": "old-hpc", "ssh": {"host": "pbs.example.org"}},
        {"type": "slurm", "name": "guarded", "ssh": {"host": "login.guarded.example.org"}},
        {"type": "slurm", "name": "vault", "ssh": {"host": "login.vault.example.org"}},
        {"type": "local", "name": "local", "max_concurrent": 4},
    ]
    more = {"sources": showroom_rest.SOURCES, "notifications": showroom_rest.CHANNELS}
    settings = {**places(directory), "cli_auth": {"cf_access_token": "hunter22"}}
    config = {"settings": settings, "backends": backends, **more}
    live = showroom_rest.followed(directory / "scripthut.yaml", config)
    upgrade(live.config.database_url)
    app = compiled(create_app(live))
    fill(app)
    return app


if __name__ == "__main__":
    server = make_server("127.0.0.1", int(sys.argv[2]), make(Path(sys.argv[1])), threaded=True)
    server.serve_forever()
