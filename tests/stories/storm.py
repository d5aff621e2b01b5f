"""Faults at random, one after another, each mended a while later."""

import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
from sqlalchemy import text

from scripthut.store.db import Database
from tests.cluster.fixtures import Cluster
from tests.databases import address, is_postgres
from tests.stories.server import Server

Words = tuple[str, ...]
DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"

# A fault of the cluster -> what ends it; None: what it has stopped is started again.
LASTING: Mapping[Words, Words | None] = {
    ("ctld-hang",): ("ctld-cont",),
    ("ctld-stop",): None,  # killed, it forgets ends that it knew, and drains nodes for that
    ("dbd-hang",): ("dbd-cont",),
    ("dbd-kill",): None,
    ("db-hang",): ("db-cont",),
    ("acct-lag-on",): ("acct-lag-off",),
    ("ssh-stop",): None,
    ("ssh-hang",): ("ssh-cont",),
    ("ssh-hang-sessions",): ("ssh-cont-sessions",),
    ("slow-after", "sbatch", "2"): ("slow-after", "sbatch", "off"),
    ("trunc", "squeue", "700"): ("trunc", "squeue", "off"),
    ("trunc", "sacct", "300"): ("trunc", "sacct", "off"),
    ("trunc", "sbatch", "1"): ("trunc", "sbatch", "off"),
    ("fail", "squeue", "1", DOWN): ("fail", "squeue", "off"),
    ("fail", "sbatch", "1", TIMED_OUT): ("fail", "sbatch", "off"),
    ("noise", r"Submitted batch job 1\n@scripthut {\"end\": 0}\n"): ("noise", "off"),
}


@dataclass
class Storm:
    """What blows at a server, its database and its cluster."""

    server: Server
    cluster: Cluster
    chance: Random
    runs: list[str] = field(default_factory=list)
    count: "Counter[str]" = field(default_factory=Counter)
    may_requeue: bool = True  # the scheduler lets a requeued job wait for two minutes

    def blow(self, until: float) -> None:
        """Let faults happen until then, on the monotonic clock."""
        while time.monotonic() < until:
            # Two thirds of them are the cluster's, the rest the server's and people's.
            lasting = self.chance.random() < 0.6
            if lasting:
                fault = self.chance.choice(list(LASTING))
                self.count[" ".join(fault[:2])] += 1
                self._last(fault)
            else:
                sudden = self.chance.choice(SUDDEN)
                self.count[sudden.__name__] += 1
                sudden(self)
            self.tend()
            self.pause(0.3, 3)

    def pause(self, shortest: float, longest: float) -> None:
        time.sleep(self.chance.uniform(shortest, longest))  # at which moment is the point

    def _last(self, fault: Words) -> None:
        self.cluster.fault(*fault)
        if fault == ("ssh-stop",):
            self.cluster.fault("ssh-kill-sessions")  # else the open connection would live on
        self.pause(1, 9)
        if fault[0] == "slow-after":
            self.cluster.fault("ssh-kill-sessions")  # while an answer is awaited
        mends = LASTING[fault]
        if mends is None:
            self.cluster.up()
        else:
            self.cluster.fault(*mends)

    def tend(self) -> None:
        """Do what an administrator would: nodes that Slurm took out, and jobs that it holds."""
        with suppress(RuntimeError, subprocess.TimeoutExpired):
            if self.cluster.admin("sinfo", "-h", "-t", "drain,down", "-o", "%n").strip():
                for node in ("n1", "n2"):
                    with suppress(RuntimeError):  # it was not taken out
                        self.cluster.fault("node-up", node)
            held = self.cluster.squeue("--states=PENDING", "-o", "%A %r").splitlines()
            if ids := [row.split()[0] for row in held if "held" in row]:
                self.cluster.admin("scontrol", "release", ",".join(ids))

    def job(self) -> str | None:
        """One of the jobs that run."""
        with suppress(RuntimeError, subprocess.TimeoutExpired):
            running = self.cluster.squeue("--states=RUNNING", "-o", "%A").split()
            return self.chance.choice(running) if running else None
        return None


def kill_the_server(storm: Storm) -> None:
    storm.server.kill()
    storm.pause(0, 2)
    storm.server.start()


def stop_the_server(storm: Storm) -> None:
    storm.server.stop()
    storm.server.start()


def put_a_worker_to_sleep(storm: Storm) -> None:
    assert storm.server.process is not None
    workers = psutil.Process(storm.server.process.pid).children()
    with suppress(psutil.NoSuchProcess):
        worker = storm.chance.choice(workers)
        worker.suspend()
        storm.pause(1, 14)  # its lease lasts ten seconds
        worker.resume()


def cut_the_connection(storm: Storm) -> None:
    storm.cluster.fault("ssh-kill-sessions")


def lock_the_database(storm: Storm) -> None:
    if is_postgres():
        database = Database(address(storm.server.data))
        with database.reading() as session:
            session.execute(text("LOCK TABLE runs, tasks, leases IN EXCLUSIVE MODE"))
            storm.pause(1, 6)
        database.dispose()
        return
    with sqlite3.connect(database_of(storm.server), isolation_level=None, timeout=30) as other:
        other.execute("BEGIN IMMEDIATE")
        storm.pause(1, 6)
        other.execute("ROLLBACK")


def requeue_a_job(storm: Storm) -> None:
    job = storm.job() if storm.may_requeue else None
    if job is not None:
        with suppress(RuntimeError):  # it may have ended by now
            storm.cluster.fault("job-requeue", job)


def let_somebody_cancel_a_job(storm: Storm) -> None:
    job = storm.job()
    if job is not None:
        storm.cluster.fault("job-kill", job)


def order_a_cancellation(storm: Storm) -> None:
    run = storm.chance.choice(storm.runs)
    key = storm.chance.choice([k for k in storm.server.states(run) if k.startswith("long")])
    storm.server.post(f"/runs/{run}/tasks/{key}/cancel")


SUDDEN: Sequence[Callable[[Storm], None]] = (
    kill_the_server,
    kill_the_server,
    stop_the_server,
    put_a_worker_to_sleep,
    cut_the_connection,
    lock_the_database,
    requeue_a_job,
    let_somebody_cancel_a_job,
    order_a_cancellation,
)


def database_of(server: Server) -> Path:
    """The file of a server's database."""
    return server.data / "scripthut.db"
