"""Killed or put to sleep at every step of a submission: one job each, none forgotten."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from signal import SIGKILL, SIGSTOP, Signals

import pytest
from sqlalchemy import select

from scripthut.core.states import TERMINAL, State
from scripthut.ids import new_run_id
from scripthut.store.db import Database
from scripthut.store.models import EventRow, Task
from tests.cluster.fixtures import Cluster
from tests.databases import address
from tests.serving import ROOT
from tests.stories.server import until
from tests.stories.test_soak import accounted, is_whole

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
STEPS = range(1, 31)  # of an engine, of which the second task's submission is not the last


def live(slurm: Cluster, directory: Path, what: Signals, prefix: str) -> set[int]:
    """Let an engine be sent a signal at each of its steps; those that were reached."""
    tally = slurm.base / f"tally-{what.name}"
    tally.touch()
    tally.chmod(0o666)
    plan = {
        "directory": str(directory),
        "databases": {str(at): address(directory / str(at)) for at in STEPS},
        "tally": str(tally),
        "signal": what,
        "steps": list(STEPS),
        "prefix": prefix,
        "ssh": {
            "host": slurm.host,
            "port": slurm.port,
            "user": slurm.user,
            "key": str(slurm.key),
            "known_hosts": str(slurm.known_hosts),
        },
    }
    words = [sys.executable, "-m", "tests.stories.stepping", json.dumps(plan)]
    done = subprocess.run(
        words, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=400, check=True
    )
    return {int(step) for step, was_reached in json.loads(done.stdout).items() if was_reached}


@pytest.mark.parametrize("what", [SIGKILL, SIGSTOP], ids=["killed", "asleep"])
def test_whatever_happens_at_a_step_each_task_runs_once_and_ends_once(
    slurm: Cluster, tmp_path: Path, what: Signals
) -> None:
    prefix = new_run_id()[:4]  # notes and claims of earlier sessions are still in the user's home
    reached = live(slurm, tmp_path, what, prefix)
    assert reached == set(STEPS)
    runs = [f"{prefix}{at:04}" for at in STEPS]
    tokens = {f"{run}.{n}.1" for run in runs for n in range(2)}
    until(lambda: is_whole(accounted(slurm, runs), tokens), 60, "the accounting")
    said = accounted(slurm, runs)
    ran = Counter(
        line.split()[0] for line in (slurm.base / f"tally-{what.name}").read_text().splitlines()
    )
    assert ran == {f"{run}.{key}": 1 for run in runs for key in "ab"}
    for at in STEPS:
        states, ends = verdicts(address(tmp_path / str(at)))
        assert (at, states, ends) == (at, {State.COMPLETED}, [1, 1])
    assert {job.word for jobs in said.values() for job in jobs} == {"COMPLETED"}
    twice = {token: jobs for token, jobs in said.items() if len(jobs) > 1}
    # One that slept between its last look at its lease and its command submits once more when it
    # wakes: that job meets the claim of the other, as the tally shows.
    assert len(twice) <= (len(STEPS) // 3 if what is SIGSTOP else 0), twice


def verdicts(url: str) -> tuple[set[State], list[int]]:
    """The states of a database's tasks, and how often each of them came to an end."""
    database = Database(url)
    with database.reading() as session:
        tasks = session.scalars(select(Task).order_by(Task.id)).all()
        ends = {state.value for state in TERMINAL}
        ended = session.scalars(select(EventRow.task_id).where(EventRow.new.in_(ends))).all()
    database.dispose()
    return {task.state for task in tasks}, [ended.count(task.id) for task in tasks]
