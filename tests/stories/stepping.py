"""Engines that are killed, or put to sleep, at one of their steps, each followed by another one.

A program, so that what it forks has no threads: `python -m tests.stories.stepping PLAN`, with a
JSON plan. A step is a moment around a transaction (before it, before its commit, after that) or
around a command on the login node (before it, a moment into it, after it).
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from scripthut import clock
from scripthut.backends import cluster
from scripthut.backends.cluster import ClusterBackend
from scripthut.core import judge
from scripthut.core.jobs import Answer, OutputLimits
from scripthut.core.states import TERMINAL
from scripthut.core.workflow.document import parse
from scripthut.engine.cycle import Cycle
from scripthut.engine.lead import Lead
from scripthut.schedulers.slurm import Slurm
from scripthut.store import lease
from scripthut.store.db import Database, Session
from scripthut.store.files.kept import Kept
from scripthut.store.making.create import NewRun, create_run
from scripthut.store.models import Base, Task
from scripthut.transports.ssh import SSH
from scripthut.transports.ssh_config import Target

AT_ONCE = 6  # lives at the same time
LASTS = 2.0  # seconds of a lease, instead of ten
UNHEARD = timedelta(seconds=6)  # of "no such job", instead of a minute
WITHIN = 0.15  # seconds into a command


@dataclass
class Steps:
    """Counts the steps of an engine; at one of them it is sent a signal."""

    at: int
    what: signal.Signals
    count: int = field(default=0)

    def take(self, later: float = 0.0) -> None:
        """One more step; the signal comes `later` seconds into what follows."""
        self.count += 1
        if self.count != self.at:
            return
        if later:
            threading.Timer(later, os.kill, (os.getpid(), self.what)).start()
        else:
            os.kill(os.getpid(), self.what)


@dataclass
class Stepping:
    """A connection whose commands are steps."""

    inner: SSH
    steps: Steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30, limit: int = 1 << 26
    ) -> Answer:
        self.steps.take()
        self.steps.take(WITHIN)
        answer = self.inner.run(argv, stdin, timeout, limit)
        self.steps.take()
        return answer


Writing = Callable[[], AbstractContextManager[Session]]


def stepped(writing: Writing, steps: Steps) -> Writing:
    """Transactions that are steps."""

    @contextmanager
    def counted() -> Iterator[Session]:
        steps.take()
        with writing() as session:
            yield session
            steps.take()
        steps.take()

    return counted


def live(plan: dict[str, Any], where: Path, steps: Steps) -> int:
    """Be the engine of one run until it is over; how many steps that took."""
    database = Database(plan["databases"][where.name])
    ssh = plan["ssh"]
    target = Target(
        ssh["host"],
        ssh["port"],
        ssh["user"],
        Path(ssh["key"]),
        known_hosts=Path(ssh["known_hosts"]),
    )
    backend = ClusterBackend("hpc", Slurm(), Stepping(SSH(target), steps))  # type: ignore[arg-type]
    lead = Lead(database, f"{os.getpid()}")
    cycle, epoch = None, None
    while not is_over(database):
        if lead.renew():
            if cycle is None or epoch != lead.epoch:
                hands = lead.hands(backend, Kept(where / "kept"), OutputLimits())
                hands = replace(hands, writing=stepped(hands.writing, steps))
                cycle, epoch = Cycle(hands, "slurm", 10), lead.epoch
            cycle.run(clock.utcnow())
        time.sleep(0.3)
    backend.close()
    return steps.count


def is_over(database: Database) -> bool:
    with database.reading() as session:
        ended = select(func.count()).where(Task.state.in_(TERMINAL))
        return session.scalar(ended) == session.scalar(select(func.count()).select_from(Task))


def begin(plan: dict[str, Any], where: Path, run: str) -> None:
    """A database with a run of two tasks, the second after the first."""
    where.mkdir()
    database = Database(plan["databases"][where.name])
    Base.metadata.create_all(database.engine)
    command = f'echo "$SCRIPTHUT_RUN_ID.$SCRIPTHUT_TASK_ID $SLURM_JOB_ID" >>{plan["tally"]}'
    tasks = [{"id": "a", "command": command}, {"id": "b", "command": command, "deps": ["a"]}]
    document = parse([{**task, "memory": "30M"} for task in tasks])
    with database.writing() as session:
        create_run(session, run, NewRun("steps", "hpc", document), clock.utcnow())
    database.dispose()


def fork(act: Callable[[], int]) -> int:
    """Do something in a process of its own; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os._exit(act())
    finally:
        os._exit(255)


def follow(plan: dict[str, Any], where: Path, at: int) -> int:
    """One engine that meets its signal, another one that goes on, the first one again."""
    what = signal.Signals(plan["signal"])
    first = fork(lambda: live(plan, where, Steps(at, what)) * 0)
    _, status = os.waitpid(first, os.WUNTRACED)
    met = os.WIFSIGNALED(status) or os.WIFSTOPPED(status)
    if met:
        os.waitpid(fork(lambda: live(plan, where, Steps(0, what)) * 0), 0)
    if os.WIFSTOPPED(status):
        os.kill(first, signal.SIGCONT)
        os.waitpid(first, 0)
    return 0 if met else 1


def main(plan: dict[str, Any]) -> None:
    """Print a JSON object: step -> whether it was reached."""
    lease.SECONDS, judge.UNHEARD, cluster.UNHEARD = LASTS, UNHEARD, 2.0
    logging.disable(logging.WARNING)
    reached: dict[int, bool] = {}
    going: dict[int, int] = {}
    todo = list(plan["steps"])
    while todo or going:
        while todo and len(going) < AT_ONCE:
            at = todo.pop(0)
            where = Path(plan["directory"]) / str(at)
            begin(plan, where, f"{plan['prefix']}{at:04}")
            going[fork(lambda where=where, at=at: follow(plan, where, at))] = at  # type: ignore[misc]
        pid, status = os.wait()
        reached[going.pop(pid)] = status == 0
    print(json.dumps(reached))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
